# Shared by the scripts of tools/: to be sourced, not run.  Changes to the repository's root.

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

say() { printf '%s\n' "$*"; }

# The script's own name goes before the message, so that it is seen who gave up.
die() {
  printf '%s: %s\n' "$(basename "$0")" "$*" >&2
  exit 1
}

# 75 -> 1m15s
duration() { printf '%dm%02ds' $(($1 / 60)) $(($1 % 60)); }

jobs_max() { nproc 2>/dev/null || echo 2; }

# make_venv FOLDER REQUIREMENTS: makes the virtual environment, or takes the one that is there when it was made for the
# same requirements by the same Python.
make_venv() {
  local venv=$1 requirements=$2 python=${PYTHON:-/usr/bin/python3} stamp
  [[ -x $python ]] || python=python3
  stamp="$("$python" --version) $(sha256sum <"$requirements")"
  if [[ -x $venv/bin/python && $(cat "$venv/stamp" 2>/dev/null) == "$stamp" ]]; then
    say "$venv is there already"
    return
  fi
  say "making $venv with $(grep -v '^#' "$requirements" | tr '\n' ' ')"
  rm -rf "$venv"
  "$python" -m venv "$venv" || die "$python cannot make a virtual environment (package python3-venv)"
  "$venv/bin/python" -m pip install --disable-pip-version-check --progress-bar off -q -r "$requirements" ||
    die "pip could not install what $requirements names (see above)"
  say "$stamp" >"$venv/stamp"
}

# Of ninja's output: what is not a status line (that is, errors and warnings), and one status line in ten per
# cent of the build.
thin_out_progress() {
  local line tenth last=-1
  while IFS= read -r line; do
    if [[ $line =~ ^\[\ *([0-9]+)%\ (.*)\] ]]; then
      tenth=$((BASH_REMATCH[1] / 10))
      ((tenth == last)) || say "built ${BASH_REMATCH[1]}% (${BASH_REMATCH[2]})"
      last=$tenth
    else
      say "$line"
    fi
  done
}

# What Ninja and CTest run under: a command that may be set around them.
runner=()

# configure PRESET [OPTION...]
configure() {
  mkdir -p build
  cmake --preset "$@" >"build/configure-$1.log" 2>&1 || {
    cat "build/configure-$1.log"
    die "configuring $1 failed"
  }
}

# configure_and_build PRESET [TARGET...]
configure_and_build() {
  configure "$1"
  build "$@"
}

# build PRESET [TARGET...]
build() {
  local preset=$1
  shift
  NINJA_STATUS='[%p %f/%t] ' "${runner[@]}" ninja -C "build/$preset" -j "$(jobs_max)" "$@" | thin_out_progress
}
