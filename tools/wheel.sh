#!/bin/bash
# Builds the Python package as a wheel with the shared libraries inside, and prints its path.
#
#   tools/wheel.sh [DIRECTORY]      build/wheel unless given; wheels that it holds already are removed
#
# The wheel runs where glibc and libstdc++ are at least as new as here (its name says so); of Debian's packages it needs
# none.  PYTHON names the interpreter that it is for, else Debian's own.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

(($# <= 1)) || die "usage: tools/wheel.sh [DIRECTORY]"
target=$(realpath -m "${1:-build/wheel}")
make_venv build/venv-wheel python/requirements-build.txt >&2

rm -rf "$target"/waypost-*.whl build/wheel-raw
mkdir -p "$target"
# Without isolation: what the build needs is in the environment, and one build folder serves every time.
build/venv-wheel/bin/python -m pip wheel . --no-build-isolation --no-deps --disable-pip-version-check -q \
  -w build/wheel-raw >&2
PATH=$PWD/build/venv-wheel/bin:$PATH build/venv-wheel/bin/auditwheel -v repair -w "$target" build/wheel-raw/waypost-*.whl \
  >build/wheel.log 2>&1 || { cat build/wheel.log >&2; die "auditwheel failed"; }
say "$target"/waypost-*.whl
