#!/bin/bash
# Runs what tools/gpu_tests.sh put beside it (there its name is run.sh) on this machine's GPU, and writes one report: the
# machine, every command with its output and its exit status, and a table of the outcomes.
#
#   ./run.sh [REPORT [PART...]]    REPORT: default report.txt in the present directory
#                                  PART: tests, sanitizer, benchmarks; default all of them
#
# Files are written below $WAYPOST_BENCH_DIR (default: the report's directory), which so says which drive is measured.
# Exit status: 0 all passed; 1 something failed; 2 used wrongly; 77 nothing failed, but there is no GPU.
set -uo pipefail

readonly here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd) seconds_max=900
report=$(realpath -m -- "${1:-report.txt}")
shift $(($# > 0))
parts=("$@")
(($# > 0)) || parts=(tests sanitizer benchmarks)

say() { printf '%s\n' "$*" | tee -a -- "$report"; }
wrong() {
  printf 'run.sh: %s\n' "$*" >&2
  exit 2
}

for part in "${parts[@]}"; do
  case $part in
    tests | sanitizer | benchmarks) ;;
    *) wrong "there is no part $part (tests, sanitizer, benchmarks)" ;;
  esac
done
: >"$report" || wrong "cannot write the report"
work=$(mktemp -d -- "${WAYPOST_BENCH_DIR:-$(dirname "$report")}/waypost-gpu-XXXXXX") || wrong "cannot make a directory for files"
trap 'rm -rf -- "$work"' EXIT
mkdir "$work/files" && export WAYPOST_BENCH_DIR=$work/files TMPDIR=$work/files

# ---- Running ----

outcomes=()
failures=0

# outcome NAME TEXT
outcome() { outcomes+=("$(printf '%-44s %s' "$1" "$2")"); }

# run NAME COMMAND...: a command that ends by itself, or after a while.
run() {
  local name=$1 status begin=$SECONDS skipped
  shift
  say ""
  say "\$ ${*@Q}"
  timeout --kill-after=10 "$seconds_max" \
    env LD_LIBRARY_PATH="$here/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}" "$@" </dev/null 2>&1 |
    tee -- "$work/output" | tee -a -- "$report"
  status=${PIPESTATUS[0]}
  say "exit status $status after $((SECONDS - begin)) s"
  skipped=$(sed -n 's/^\[  SKIPPED \] \([0-9]*\) tests\?, listed below:$/\1/p' "$work/output")
  if ((status != 0)); then
    failures=$((failures + 1))
    outcome "$name" "FAILED (exit status $status)"
  elif grep -q 'ERROR OCCURRED' "$work/output"; then
    # Google Benchmark tells of a skipped benchmark in its line only.
    failures=$((failures + 1))
    outcome "$name" "FAILED"
  elif grep -q '^\[  PASSED  \] 0 tests' "$work/output"; then
    outcome "$name" "skipped"
  else
    outcome "$name" "passed${skipped:+, $skipped tests skipped}"
  fi
}

# tell COMMAND...: of the machine; that there is no such command is no failure.
tell() {
  say ""
  say "\$ ${*@Q}"
  "$@" 2>&1 | tee -a -- "$report"
}

# ---- The machine ----

# Why nothing can run on a GPU; empty when it can.
why_no_gpu() {
  LD_LIBRARY_PATH=$here/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH} \
    "$here/tests/device_gpu_test" --gtest_color=no --gtest_filter=Gpu.IsThere >"$work/output" 2>&1 || {
    printf 'tests/device_gpu_test does not start: %s' "$(head -n 1 "$work/output")"
    return
  }
  grep -q '^\[  SKIPPED \]' "$work/output" || return
  sed -n '/Skipped$/{n;p;q}' "$work/output"
}

# Where CUDA's toolkits put it; empty when it is nowhere.
find_sanitizer() {
  local path
  for path in "$(command -v compute-sanitizer)" /usr/local/cuda*/bin/compute-sanitizer \
    /usr/local/cuda*/compute-sanitizer/compute-sanitizer; do
    [[ ! -x $path ]] || { printf '%s' "$path"; return; }
  done
}

describe_machine() {
  say "GPU tests and benchmarks of Waypost, $(date -u '+%Y-%m-%d %H:%M') UTC"
  say ""
  say "$(<"$here/made_by_gpu_tests")"
  say ""
  say "kernel  $(uname -srm)"
  say "libc    $(getconf GNU_LIBC_VERSION 2>/dev/null || echo unknown)"
  say "cpu     $(sed -n 's/^model name[[:space:]]*: //p' /proc/cpuinfo | sort | uniq -c | sed 's/^ *//;s/ / x /')"
  say "memory  $(sed -n 's/^MemTotal: *//p' /proc/meminfo)"
  say "driver  $(head -n 1 /proc/driver/nvidia/version 2>/dev/null || echo 'none in /proc/driver/nvidia')"
  say "files   $(df -hT -- "$work" | tail -n 1)"
  command -v nvidia-smi >/dev/null || return 0
  tell nvidia-smi
  tell nvidia-smi --query-gpu=name,driver_version,memory.total,pcie.link.gen.max,pcie.link.width.max,clocks.max.sm \
    --format=csv
  tell nvidia-smi topo -m
}

# ---- The parts ----

readonly tests=("$here"/tests/*_gpu_test)

part_tests() {
  local test
  for test in "${tests[@]}"; do run "$(basename "$test")" "$test" --gtest_color=no; done
}

part_sanitizer() {
  local sanitizer test tool
  sanitizer=$(find_sanitizer)
  [[ -n $sanitizer ]] || {
    outcome "compute-sanitizer" "not run: it is not on this machine"
    return
  }
  for test in "${tests[@]}"; do
    for tool in memcheck racecheck; do
      # Calls that fail are what some tests are about; Waypost checks each of its own.
      run "$(basename "$test"), $tool" "$sanitizer" --tool "$tool" --report-api-errors no --error-exitcode 99 \
        "$test" --gtest_color=no
    done
  done
}

part_benchmarks() {
  local bench staging
  for bench in "$here"/bench/*; do run "$(basename "$bench")" "$bench" --benchmark_color=false; done
  for staging in lazy device-copy; do
    run "waypost bench, $staging" "$here/bin/waypost" bench "$WAYPOST_BENCH_DIR" --device cuda:0 --bytes 4G --staging "$staging"
  done
}

# ---- The order ----

describe_machine
no_gpu=$(why_no_gpu)
say ""
say "gpu     ${no_gpu:-there is one}"

for part in "${parts[@]}"; do
  if [[ -n $no_gpu && $part != tests ]]; then
    # The tests run all the same: those that need no GPU pass, the others skip.
    outcome "$part" "not run: no GPU"
  else
    "part_$part"
  fi
done

say ""
for line in "${outcomes[@]}"; do say "$line"; done
say ""
if ((failures > 0)); then
  say "$failures failed"
  exit 1
elif [[ -n $no_gpu ]]; then
  say "nothing failed, and nothing ran on a GPU: $no_gpu"
  exit 77
fi
say "all passed"
