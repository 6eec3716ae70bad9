#!/bin/bash
# What tools/gpu_run.sh makes of programs that pass, skip and fail: its exit status and the report's outcomes.  The
# programs are stand-ins, so that it is tested without a GPU and without a build.
#
#   gpu_run_test.sh TOOLS_DIRECTORY
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf -- "$folder"' EXIT
mkdir "$folder"/{bin,tests,bench,lib}
cp "$1/gpu_run.sh" "$folder/run.sh"
echo "source  a test" >"$folder/made_by_gpu_tests"

# program NAME STATUS OUTPUT
program() {
  printf '#!/bin/bash\nprintf %%b %q\nexit %d\n' "$3" "$2" >"$folder/$1"
  chmod +x "$folder/$1"
}

# expect STATUS LINE...: run.sh's exit status, and what the report has.
expect() {
  local status=0 wanted=$1 line
  shift
  "$folder/run.sh" "$folder/report" tests benchmarks >"$folder/output" 2>&1 || status=$?
  for line in "$@"; do
    grep -qE -- "$line" "$folder/report" || { cat "$folder/report"; echo "no line is like: $line"; exit 1; }
  done
  [[ $status == "$wanted" ]] || { cat "$folder/output"; echo "exit status $status, not $wanted"; exit 1; }
}

readonly passed='[  PASSED  ] 3 tests.\n'
program tests/device_gpu_test 0 "$passed"
program tests/kernels_gpu_test 0 "$passed[  SKIPPED ] 2 tests, listed below:\n"
program bench/cuda_bench 0 'BM_Copy 1 ns\n'
program bin/waypost 0 'a table\n'
expect 0 '^device_gpu_test +passed$' '^kernels_gpu_test +passed, 2 tests skipped$' '^cuda_bench +passed$' '^all passed$' \
  '^BM_Copy 1 ns$'

# A failure is told, and does not keep the rest from being run.
program tests/kernels_gpu_test 1 '[  FAILED  ] 1 test\n'
expect 1 '^kernels_gpu_test +FAILED \(exit status 1\)$' '^cuda_bench +passed$' '^1 failed$'

# Google Benchmark ends with 0 when a benchmark failed.
program tests/kernels_gpu_test 0 "$passed"
program bench/cuda_bench 0 "BM_Copy ERROR OCCURRED: 'it failed'\n"
expect 1 '^cuda_bench +FAILED$'

# Without a GPU nothing counts as passed, and the reason is told.
program tests/device_gpu_test 0 'gpu_presence_test.cc:12: Skipped\nno driver\n\n[  SKIPPED ] Gpu.IsThere (0 ms)\n[  PASSED  ] 0 tests.\n'
expect 77 '^device_gpu_test +skipped$' '^benchmarks +not run: no GPU$' 'nothing ran on a GPU: no driver$'

# A program that does not start is no missing GPU.
program tests/device_gpu_test 127 'a library is missing\n'
expect 1 'does not start: a library is missing' '^device_gpu_test +FAILED'
