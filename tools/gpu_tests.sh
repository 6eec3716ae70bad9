#!/bin/bash
# Builds a folder with everything that is to be run on a GPU: the tests with the label gpu, the GPU benchmarks, and the
# shared libraries that they need.  It can be copied to any x86-64 Linux machine that has NVIDIA's driver; nothing else
# of the build or the source needs to be there.
#
#   tools/gpu_tests.sh [FOLDER]    builds FOLDER (default build/gpu); what an earlier run left there is replaced
#   FOLDER/run.sh [REPORT]         on the other machine: runs it all and writes one report (tools/gpu_run.sh)
#
# Needs nvcc 12 or newer, and what `tools/install.sh --for-full` installs.
target=$(realpath -m -- "${1:-$(dirname "${BASH_SOURCE[0]}")/../build/gpu}")
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

readonly target size_max_mib=64
readonly benches=(cuda_bench cuda_engine_bench)
programs=()

if (($# > 1)) || [[ ${1:-} == -* ]]; then
  say "usage: tools/gpu_tests.sh [FOLDER]" >&2
  exit 2
fi
# Nobody's own files are removed.
if [[ -e $target && ! -e $target/made_by_gpu_tests && -n $(ls -A -- "$target") ]]; then
  die "$target is there and was not made by this script; give another folder"
fi

build_programs() {
  configure release -DWAYPOST_BENCH=ON
  grep -q '^WAYPOST_CUDA:BOOL=ON' build/release/CMakeCache.txt ||
    die "build/release is without CUDA: nvcc was not found, or WAYPOST_CUDA is OFF"
  build release gpu_tests waypost_tool "${benches[@]}"
}

copy_programs() {
  local program
  mkdir -p "$target"/{bin,tests,bench,lib}
  cp tools/gpu_run.sh "$target/run.sh"
  for program in build/release/bin/waypost build/release/tests/*_gpu_test "${benches[@]/#/build/release/bench/}"; do
    programs+=("$target/${program#build/release/}")
    strip -o "${programs[-1]}" "$program"
  done
}

# "NAME PATH" of each library that a program loads at its start, but for those of the C library: those belong to the
# machine's kernel and loader.
libraries_of() {
  local name arrow path rest
  ldd "$1" | while read -r name arrow path rest; do
    case $name in
      libc.so.* | libm.so.* | libpthread.so.* | libdl.so.* | librt.so.*) ;;
      *) [[ $arrow != '=>' ]] || say "$name $path" ;;
    esac
  done
}

copy_libraries() {
  local program name path
  for program in "${programs[@]}"; do
    libraries_of "$program" | while read -r name path; do
      [[ -e $path ]] || die "$program needs $name, which is not here"
      [[ -e $target/lib/$name ]] || strip -o "$target/lib/$name" "$path"
    done
  done
}

# That all of them are found in the folder.
check_libraries() {
  local program name path
  for program in "${programs[@]}"; do
    LD_LIBRARY_PATH=$target/lib libraries_of "$program" | while read -r name path; do
      [[ $path == "$target/lib/"* ]] || die "$program takes $name from $path and not from the folder"
    done
  done
}

# The newest version of the C library that one of them asks for.
glibc_needed() {
  find "$target"/{bin,tests,bench,lib} -type f -exec objdump -T {} + | grep -o 'GLIBC_2[.0-9]*' | sort -uV | tail -n 1
}

# The report begins with it.
describe_build() {
  say "source  $(git describe --always --dirty 2>/dev/null || say unknown)"
  say "built   $(date -u +%Y-%m-%d), $(c++ --version | head -n 1), $(nvcc_version)"
  say "needs   x86-64, $(glibc_needed | tr _ ' ') or newer, a driver for CUDA $(toolkit_major)"
}

nvcc_version() { "$(cached CMAKE_CUDA_COMPILER)" --version | sed -n 's/.*\(release.*\),.*/nvcc \1/p'; }
toolkit_major() { nvcc_version | sed 's/.*release \([0-9]*\).*/\1/'; }
cached() { sed -n "s/^$1:[A-Z]*=//p" build/release/CMakeCache.txt; }

build_programs
rm -rf "$target"
copy_programs
copy_libraries
check_libraries
describe_build >"$target/made_by_gpu_tests"

size_mib=$((($(du -sb "$target" | cut -f 1) + (1 << 20) - 1) >> 20))
((size_mib < size_max_mib)) || die "$target has $size_mib MiB; it is to stay below $size_max_mib"
cat "$target/made_by_gpu_tests"
say "folder  $target, $size_mib MiB; on a machine with a GPU: run.sh"
