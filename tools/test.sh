#!/bin/bash
# Installs what the tests need, builds, and runs every test; ends with a table of times and a line of counts.
#
#   tools/test.sh            everything but the long ones
#   tools/test.sh --quick    without those that need Python
#   tools/test.sh --full     also the large states, the mutants, a minute of each fuzzer, and clang-tidy
#
# Exit status: 0 if nothing failed.  Builds are kept below build/, so that a second run is quick.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
exec </dev/null

readonly mode=${1:---default}
case $#$mode in
  0--default | 1--quick | 1--full) ;;
  *)
    say "usage: tools/test.sh [--quick | --full]" >&2
    exit 2
    ;;
esac

readonly results=build/test-results
readonly fuzz_seconds=60

# ---- Counting ----
# A step that runs tests writes "passed failed skipped" to $results/STEP.counts; any other step that fails
# counts as one failed test.

attribute() { grep -o -m1 "\\<$2=\"[0-9]*\"" "$1" | tr -dc 0-9; }

counts_of_junit() {
  local tests failures skipped
  tests=$(attribute "$1" tests)
  failures=$(attribute "$1" failures)
  skipped=$(($(attribute "$1" skipped) + $(attribute "$1" disabled)))
  say "$((tests - failures - skipped)) $failures $skipped"
}

# ---- Running tests ----

# Leaves out of ctest's output the lines of tests that passed, but for every hundredth.
thin_out_passed() {
  local line
  while IFS= read -r line; do
    if [[ $line =~ ^\ +Start\  ]]; then
      continue
    elif [[ $line =~ ^\ *([0-9]+)/([0-9]+)\ Test.*\ Passed\  ]]; then
      ((BASH_REMATCH[1] % 100)) || say "${BASH_REMATCH[1]} of ${BASH_REMATCH[2]} tests run"
    else
      say "$line"
    fi
  done
}

# run_ctest PRESET JOBS [ARGUMENT...]
run_ctest() {
  local preset=$1 jobs=$2 junit=$PWD/$results/$step.xml status=0
  shift 2
  rm -f "$junit"
  "${runner[@]}" ctest --test-dir "build/$preset" --no-tests=error --output-on-failure --output-junit "$junit" -j "$jobs" "$@" |
    thin_out_passed || status=$?
  [[ ! -e $junit ]] || counts_of_junit "$junit" >"$results/$step.counts"
  return "$status"
}

# ---- The steps ----

step_install() {
  if [[ $mode == --full ]]; then tools/install.sh --for-full; else tools/install.sh --for-tests; fi
}

step_format() {
  local files
  mapfile -t files < <(find bench engine include tests tools -name '*.h' -o -name '*.cc' | sort)
  clang-format --dry-run -Werror "${files[@]}"
  say "${#files[@]} files are formatted as .clang-format says"
}

step_readme() { tools/check_readme.sh; }

step_dev_build() { configure_and_build dev; }
step_dev_tests() { run_ctest dev "$(jobs_max)" -LE full; }

step_asan() {
  configure_and_build asan
  run_ctest asan 2 -LE full
}

step_tsan() {
  # The thread sanitizer of GCC 12 gives up at once where the kernel spreads addresses too far.
  ! setarch -R true 2>/dev/null || runner=(setarch -R)
  configure_and_build tsan
  run_ctest tsan 2 -LE full
}

# The programs, and those of the tests that the judges need.
step_release_build() {
  configure_and_build release bin/waypost bin/train_digits waypost_graph judge_write_sample graph_sample crash_test
}

# Makes build/venv-tf, or takes the one that is there when it was made for the same requirements.
step_tensorflow() {
  local venv=build/venv-tf python=/usr/bin/python3 stamp
  [[ -x $python ]] || python=python3
  stamp="$("$python" --version) $(sha256sum <tests/python/requirements.txt)"
  if [[ -x $venv/bin/python && $(cat "$venv/stamp" 2>/dev/null) == "$stamp" ]]; then
    say "$venv is there already"
    return
  fi
  say "making $venv with $(grep -v '^#' tests/python/requirements.txt | tr '\n' ' ')(some 300 MB to fetch)"
  rm -rf "$venv"
  "$python" -m venv "$venv" || die "$python cannot make a virtual environment (package python3-venv)"
  "$venv/bin/python" -m pip install --disable-pip-version-check --progress-bar off \
    -r tests/python/requirements.txt ||
    die "pip could not install what tests/python/requirements.txt names (see above); without it" \
      "TensorFlow cannot judge; tools/test.sh --quick leaves these tests out"
  say "$stamp" >"$venv/stamp"
}

step_judges() {
  local disks=$PWD/build/judges/disks seed
  rm -rf "$disks"
  # Each seed cuts elsewhere; of each a sample of the disks is kept.
  for seed in 1 2 3 4 5 6 7 8; do
    mkdir -p "$disks/$seed"
    WAYPOST_TEST_SEED=$seed WAYPOST_EXPORT_DISKS=$disks/$seed build/release/tests/crash_test --gtest_brief=1 \
      --gtest_filter='*AtEveryOperation*' >"$results/disks-$seed.log" || { cat "$results/disks-$seed.log"; return 1; }
  done
  rm -rf build/judges/graph
  build/release/tests/graph_sample build/judges/graph
  build/venv-tf/bin/python tests/python/check_graph.py build/judges/graph
  build/venv-tf/bin/python tests/python/run_judges.py --bin build/release/bin --work build/judges --disks "$disks" \
    --counts "$results/$step.counts"
}

step_large() {
  configure_and_build release full_test
  # Verbose: the rates are the point.
  run_ctest release 1 -L full --verbose
}

step_mutants() { tools/mutants.sh; }

step_fuzz() {
  local fuzzer name count=0
  configure fuzz
  NINJA_STATUS='[%p %f/%t] ' cmake --build --preset fuzz -j "$(jobs_max)" | thin_out_progress
  for fuzzer in build/fuzz/tests/fuzz_*; do
    name=$(basename "$fuzzer")
    [[ -f $fuzzer && -x $fuzzer && $name != fuzz_test ]] || continue
    mkdir -p "build/fuzz/corpus/$name"
    "$fuzzer" -max_total_time="$fuzz_seconds" -print_final_stats=1 -artifact_prefix="$results/$name-" \
      "build/fuzz/corpus/$name" >"$results/$name.log" 2>&1 || {
      tail -n 60 "$results/$name.log"
      die "$name found something: $results/$name-*"
    }
    say "$name: $(sed -n 's/^stat::number_of_executed_units: *//p' "$results/$name.log") inputs in $fuzz_seconds seconds"
    count=$((count + 1))
  done
  ((count > 0)) || die "there are no fuzzers in build/fuzz/tests"
}

step_tidy() {
  find engine tools tests -name '*.cc' -not -path 'tests/fuzz/*' -print0 | sort -z |
    xargs -0 -n 4 -P "$(jobs_max)" clang-tidy --quiet -p build/dev
}

# ---- The order ----

# NAME|WHAT IT IS|what follows a failure: "stop" where nothing after it would make sense
steps=(
  "install|install packages|stop"
  "format|check the formatting"
  "dev_build|build (dev)|stop"
  "dev_tests|run the tests (dev)"
  "asan|build and run the tests with address and undefined-behaviour sanitizers"
  "tsan|build and run the tests with the thread sanitizer"
  "release_build|build (release)|stop"
  "readme|check the examples of README.md"
)
[[ $mode == --quick ]] || steps+=(
  "tensorflow|make a virtual environment with TensorFlow"
  "judges|let the real TensorFlow judge"
)
[[ $mode != --full ]] || steps+=(
  "large|run the tests with large states (release)"
  "mutants|break the code and see the tests fail"
  "fuzz|run the fuzzers"
  "tidy|run clang-tidy"
)

table=()
passed=0 failed=0 skipped=0

# The counts of one step, whether it failed or not.
count_step() {
  local p=0 f=0 s=0
  [[ ! -s $results/$step.counts ]] || read -r p f s <"$results/$step.counts"
  # A failure without a failed test: the build, a crash of the runner, a check that counts nothing.
  (($1 == 0 || f > 0)) || f=1
  passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
}

rm -rf "$results"
mkdir -p "$results"
for number in "${!steps[@]}"; do
  IFS='|' read -r step title on_failure <<<"${steps[number]}"
  say ""
  say "[$((number + 1))/${#steps[@]}] $title"
  begin=$SECONDS
  # A subshell that is no part of a condition: there `set -e` would not hold.
  set +e
  (set -e; "step_$step") 2>&1
  status=$?
  set -e
  took=$(duration $((SECONDS - begin)))
  outcome=ok
  ((status == 0)) || outcome=FAILED
  count_step "$status"
  table+=("$(printf '%7s  %-6s  %s' "$took" "$outcome" "$title")")
  say "[$((number + 1))/${#steps[@]}] $outcome after $took"
  if ((status != 0)) && [[ $on_failure == stop ]]; then
    table+=("                 stopped here: the rest needs this step")
    break
  fi
done

say ""
printf '%s\n' "${table[@]}"
printf '%7s  in all\n\n' "$(duration "$SECONDS")"
counts="$passed passed, $failed failed"
((skipped == 0)) || counts+=", $skipped skipped"
say "$counts"
((failed == 0))
