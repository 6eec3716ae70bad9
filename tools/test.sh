#!/bin/bash
# Installs what the tests need, builds, and runs every test; ends with a table of times and a line of counts.
#
#   tools/test.sh            everything but the long ones
#   tools/test.sh --quick    without those that need Python
#   tools/test.sh --full     also the large states and counts, the mutants, and clang-tidy; more of the fuzzers
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
  mapfile -t files < <(find bench cuda engine include python tests tools -name '*.h' -o -name '*.cc' -o -name '*.cu' -o -name '*.cuh' | sort)
  clang-format --dry-run -Werror "${files[@]}"
  say "${#files[@]} files are formatted as .clang-format says"
}

step_docs() { tools/check_docs.sh; }

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

# What is as it is with CUDA comes from the compiler's cache; what is not must build and find no GPU.
step_no_cuda() {
  configure_and_build no-cuda bin/waypost bin/train_digits device_test engine_test
  build/no-cuda/tests/device_test --gtest_brief=1
}

# The programs, and those of the tests that the judges need.
step_release_build() {
  configure_and_build release bin/waypost bin/train_digits waypost_graph judge_programs graph_sample crash_test
}

step_tensorflow() {
  say "(some 300 MB to fetch; tools/test.sh --quick leaves out what needs it)"
  make_venv build/venv-tf tests/python/requirements.txt
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
  say "screenshots of TensorBoard will be in build/judges/screenshots"
  build/venv-tf/bin/python tests/python/run_judges.py --bin build/release/bin --work build/judges --disks "$disks" \
    --counts "$results/$step.counts"
}

step_wheel() { tools/wheel.sh; }

step_python_env() {
  say "(some 500 MB to fetch)"
  make_venv build/venv-python python/requirements-test.txt
  build/venv-python/bin/python -m pip install --disable-pip-version-check -q --force-reinstall --no-deps build/wheel/waypost-*.whl
}

# Sums up what pytest says of its tests: "passed failed skipped".
counts_of_pytest() {
  local tests failures skipped
  tests=$(attribute "$1" tests)
  failures=$(($(attribute "$1" failures) + $(attribute "$1" errors)))
  skipped=$(attribute "$1" skipped)
  say "$((tests - failures - skipped)) $failures $skipped"
}

step_python() {
  local venv=$PWD/build/venv-python status=0
  "$venv/bin/ruff" check python bench/python
  "$venv/bin/ruff" format --check python bench/python
  # As users have it, with the types of its native module: not the sources, but what is installed.
  (cd build && MYPYPATH='' "$venv/bin/mypy" --config-file ../pyproject.toml --cache-dir mypy-cache -p waypost)
  "$venv/bin/python" -m pytest -q -p no:cacheprovider --durations 10 --junitxml "$results/$step.xml" python/tests || status=$?
  [[ ! -e $results/$step.xml ]] || counts_of_pytest "$results/$step.xml" >"$results/$step.counts"
  return "$status"
}

# Of the native module; the engine under it has its own tests in the steps asan and tsan.
step_python_sanitizers() {
  if [[ $mode == --full ]]; then
    tools/sanitize_python.sh asan
    tools/sanitize_python.sh tsan
  else
    tools/sanitize_python.sh tsan python/tests/test_stress.py
  fi
}

# The programs of docs/python.md, as they stand, where nothing but the wheel and PyTorch is installed.
step_python_examples() {
  rm -rf build/venv-clean build/python-examples
  grep '^torch==' python/requirements-test.txt >build/clean-requirements.txt
  make_venv build/venv-clean build/clean-requirements.txt
  build/venv-clean/bin/python -m pip install --disable-pip-version-check -q build/wheel/waypost-*.whl
  build/venv-clean/bin/python python/examples/train.py build/python-examples/train 100
  build/venv-clean/bin/python python/examples/resume.py build/python-examples
  build/venv-tf/bin/python python/examples/open_in_tensorflow.py build/python-examples/killed
}

step_large() {
  configure_and_build release full_tests
  # Verbose: the rates and the counts are the point.
  run_ctest release 1 -L full --verbose
}

step_mutants() { tools/mutants.sh; }

step_fuzz() {
  if [[ $mode == --full ]]; then tools/fuzz.sh --runs 10000000; else tools/fuzz.sh --seconds 5; fi
}

step_tidy() {
  local left_out=(-not -path 'tests/fuzz/*')
  # Without nvcc none of this is built, and the headers that it needs may not be there.
  grep -q '/tests/cuda/' build/dev/compile_commands.json || left_out+=(
    -not -path 'cuda/*' -not -path 'tests/cuda/*' -not -path 'tools/bench/gpu_memory.cc')
  find cuda engine tools tests -name '*.cc' "${left_out[@]}" -print0 | sort -z |
    xargs -0 -n 4 -P "$(jobs_max)" clang-tidy --quiet -p build/dev
}

# ---- The order ----

# NAME|WHAT IT IS|what follows a failure: "stop" where nothing after it would make sense
steps=(
  "install|install packages|stop"
  "format|check the formatting"
  "dev_build|build (dev)|stop"
  "dev_tests|run the tests (dev)"
  "no_cuda|build without CUDA"
  "asan|build and run the tests with address and undefined-behaviour sanitizers"
  "tsan|build and run the tests with the thread sanitizer"
  "fuzz|run the fuzzers"
  "release_build|build (release)|stop"
  "docs|check examples and tests that the documentation names"
)
[[ $mode == --quick ]] || steps+=(
  "tensorflow|make a virtual environment with TensorFlow"
  "judges|let the real TensorFlow judge"
  "wheel|build the wheel of the Python package|stop"
  "python_env|make a virtual environment with PyTorch, JAX and what the package plugs into|stop"
  "python|check and test the Python package"
  "python_sanitizers|run its threads with the thread sanitizer"
  "python_examples|run its examples in a clean virtual environment"
)
[[ $mode != --full ]] || steps+=(
  "large|run the tests with large states and large counts (release)"
  "mutants|break the code and see the tests fail"
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
