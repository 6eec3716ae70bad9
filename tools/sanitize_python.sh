#!/bin/bash
# Runs tests of the Python package with its native module built for a sanitizer.
#
#   tools/sanitize_python.sh asan|tsan [TEST...]     without tests: those of python/tests that need no other host
#
# Python, NumPy and PyTorch are not built for it: of theirs nothing is looked at but what they hand to the module.  What
# tools/test.sh makes for the Python tests must be there: build/venv-python and build/venv-wheel.
#
# Exit status: 1 if a test failed or something was reported.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
exec </dev/null

sanitizer=${1:-}
[[ $sanitizer == asan || $sanitizer == tsan ]] || { say "usage: tools/sanitize_python.sh asan|tsan [TEST...]" >&2; exit 2; }
shift
readonly sanitizer build=build/python-$sanitizer python=$PWD/build/venv-python/bin/python
[[ -x $python && -x build/venv-wheel/bin/python ]] || die "build/venv-python or build/venv-wheel is missing; tools/test.sh makes them"

tests=("$@")
if ((${#tests[@]} == 0)); then
  for name in members modules opened publisher restoring saving stress summary tensors torch train train_trees trees; do
    tests+=("python/tests/test_$name.py")
  done
fi

configure "$sanitizer" -B "$build" -DWAYPOST_PYTHON=ON -DWAYPOST_TESTS=OFF -DWAYPOST_CUDA=OFF \
  -DPython_EXECUTABLE="$PWD/build/venv-wheel/bin/python" \
  -Dnanobind_DIR="$(build/venv-wheel/bin/python -m nanobind --cmake_dir)"
build "python-$sanitizer" waypost_python waypost_graph

# As the wheel lays it out.
package=$PWD/$build/package
rm -rf "$package"
mkdir -p "$package"
cp -r python/waypost "$package/"
cp "$build"/lib/_native*.so "$build"/lib/libwaypost_graph.so "$package/waypost/"

# The interpreter was not linked to the runtime, which must come first.  Its own leaks are not ours.
runner=()
if [[ $sanitizer == asan ]]; then
  export LD_PRELOAD="$(g++ -print-file-name=libasan.so) $(g++ -print-file-name=libubsan.so)"
  export ASAN_OPTIONS=detect_leaks=0
else
  ! setarch -R true 2>/dev/null || runner=(setarch -R)
  export LD_PRELOAD="$(g++ -print-file-name=libtsan.so)"
  # A test forks while threads run.  What libgomp's threads wait by is unknown to the sanitizer: they would all race.
  export TSAN_OPTIONS=die_after_fork=0 OMP_NUM_THREADS=1
fi
PYTHONPATH=$package "${runner[@]}" "$python" -m pytest -q -p no:cacheprovider "${tests[@]}"
