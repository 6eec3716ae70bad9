#!/bin/bash
# Builds the libFuzzer targets of the decoders of untrusted bytes (tests/fuzz) by clang, with address and
# undefined-behaviour sanitizers, and runs them, as many side by side as there are cores.
#
#   tools/fuzz.sh [--seconds N | --runs N] [TARGET...]     60 seconds of every target, unless told otherwise
#
# Each begins with the seeds that its decoder has (golden files, files of Waypost), the regressions, and what earlier
# runs have kept below build/fuzz/corpus.  Exit status: 1 when something was found, and the path of the input that shows
# it is printed; `build/fuzz/fuzzers/TARGET FILE` repeats it.  It belongs into tests/fuzz/regressions/TARGET/ then, which
# every run of the tests replays.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
exec </dev/null

usage() {
  say "usage: tools/fuzz.sh [--seconds N | --runs N] [TARGET...]" >&2
  exit 2
}

limit=-max_total_time=60
case "${1:-}" in
  --seconds | --runs)
    [[ ${2:-} =~ ^[1-9][0-9]*$ ]] || usage
    [[ $1 == --seconds ]] && limit=-max_total_time=$2 || limit=-runs=$2
    shift 2
    ;;
  -*) usage ;;
esac

readonly limit bin=build/fuzz/fuzzers seeds=build/fuzz/seeds logs=build/fuzz/logs found=build/fuzz/found
# Whatever the bytes: no more memory than this, no single allocation above this, and an answer in this time.
readonly promises=(-rss_limit_mb=512 -malloc_limit_mb=256 -timeout=10)
# Freed memory that is kept to see its use would count as used; long stacks of allocations take time.
export ASAN_OPTIONS=quarantine_size_mb=16:malloc_context_size=3

# Of the last line of progress in a log: the number behind the word $2.
last_of() { grep -aE '^#[0-9]+' "$1" | tail -1 | sed -nE "s|.* $2: ([0-9]+).*|\\1|p"; }
stat_of() { sed -nE "s/^stat::$2: *//p" "$1"; }
count_files() { find "$@" -type f 2>/dev/null | wc -l; }

# Runs one target; $logs/TARGET.row is its line of the table, and is there only when nothing was found.
fuzz() {
  local name=$1 log=$logs/$1.log status=0 regressions=() rate
  [[ ! -d tests/fuzz/regressions/$name ]] || regressions=("tests/fuzz/regressions/$name")
  mkdir -p "build/fuzz/corpus/$name"
  # Without its choice by entropy, which takes most of the time, more than twice as many inputs are tried.
  "$bin/$name" "$limit" "${promises[@]}" -entropic=0 -print_final_stats=1 -artifact_prefix="$found/$name-" \
    "build/fuzz/corpus/$name" "$seeds/$name" "${regressions[@]}" 2>&1 | grep -av '^\[libprotobuf' >"$log" || status=$?
  ((status == 0)) || return 0
  rate=$(stat_of "$log" average_exec_per_sec)
  ((rate > 0)) || rate=$(stat_of "$log" number_of_executed_units)  # it took less than a second
  printf '%-20s %12s %8s %9s %7s %12s\n' "$name" "$(stat_of "$log" number_of_executed_units)" \
    "$rate" "$(last_of "$log" ft)" "$(last_of "$log" corp)" \
    "$(count_files "tests/fuzz/regressions/$name")" >"$logs/$name.row"
}

configure fuzz
NINJA_STATUS='[%p %f/%t] ' cmake --build --preset fuzz -j "$(jobs_max)" | thin_out_progress
rm -rf "$bin" "$seeds" "$logs" "$found"
mkdir -p "$bin" "$seeds" "$logs" "$found"
mapfile -t known < <(build/fuzz/bin/fuzz_seeds "$seeds")
((${#known[@]} > 0)) || die "there are no seeds"
for name in "${known[@]}"; do ln -s ../bin/fuzzer "$bin/$name"; done
targets=("$@")
((${#targets[@]} > 0)) || targets=("${known[@]}")
for name in "${targets[@]}"; do
  [[ " ${known[*]} " == *" $name "* ]] || die "there is no target $name; there are ${known[*]}"
done

running=0
for name in "${targets[@]}"; do
  if ((running == $(jobs_max))); then
    wait -n || true
    running=$((running - 1))
  fi
  fuzz "$name" &
  running=$((running + 1))
done
wait

printf '%-20s %12s %8s %9s %7s %12s\n' target executions "a second" features corpus regressions
failed=()
for name in "${targets[@]}"; do
  if [[ -e $logs/$name.row ]]; then
    cat "$logs/$name.row"
  else
    failed+=("$name")
  fi
done
for name in "${failed[@]}"; do
  say ""
  tail -n 60 "$logs/$name.log"
  say "$name found something: $(find "$found" -name "$name-*" | tr '\n' ' ')"
done
((${#failed[@]} == 0)) || die "found something: ${failed[*]}"
awk -v targets="${#targets[@]}" '{ sum += $2 } END { printf "%d executions of %d targets, nothing found\n", sum, targets }' "$logs"/*.row
