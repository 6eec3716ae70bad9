#!/bin/bash
# Installs the Debian packages that Waypost is built with, by apt-get, as root or through sudo.
#
#   tools/install.sh                what the build needs
#   tools/install.sh --for-tests    also what tools/test.sh needs
#   tools/install.sh --for-full     also what tools/test.sh --full needs
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

packages=(g++ cmake ninja-build pkg-config ccache
  libleveldb-dev libsnappy-dev libprotobuf-dev protobuf-compiler libprotozero-dev libisal-dev liburing-dev libfmt-dev
  libspdlog-dev libcli11-dev nlohmann-json3-dev libssl-dev libpng-dev)
test_packages=(libgtest-dev libgmock-dev clang-format clang libclang-rt-14-dev python3-venv python3-dev chromium fonts-dejavu-core e2fsprogs
  libfuse3-dev libjemalloc2)
full_packages=(clang-tidy patch libbenchmark-dev)

case "${1:-}" in
  "") ;;
  --for-tests) packages+=("${test_packages[@]}") ;;
  --for-full) packages+=("${test_packages[@]}" "${full_packages[@]}") ;;
  *)
    say "usage: tools/install.sh [--for-tests | --for-full]" >&2
    exit 2
    ;;
esac

# Those of the arguments that are not installed.
missing_of() {
  local package
  for package in "$@"; do
    [[ $(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null) == installed ]] || say "$package"
  done
}

if ! command -v apt-get >/dev/null || ! command -v dpkg-query >/dev/null; then
  die "there is no apt-get here (Waypost is developed on Debian 12); by other means it needs what Debian calls:" \
    "${packages[*]}"
fi

mapfile -t missing < <(missing_of "${packages[@]}")
if ((${#missing[@]} == 0)); then
  say "all ${#packages[@]} packages are there already"
  exit 0
fi

as_root=()
if ((EUID != 0)); then
  command -v sudo >/dev/null ||
    die "installing needs root or sudo, and there is neither; please have installed: ${missing[*]}"
  as_root=(sudo)
fi
run_apt() {
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q -o Dpkg::Use-Pty=0 "$@" </dev/null
}

say "installing ${#missing[@]} packages: ${missing[*]}"
# An old list can still do, so a failure here is only told.
run_apt update || say "apt-get update failed (is there a network?); going on with the package lists that are here"
run_apt install -y --no-install-recommends "${missing[@]}" || say "apt-get install failed"

mapfile -t missing < <(missing_of "${packages[@]}")
((${#missing[@]} == 0)) || die "these packages are still missing: ${missing[*]}"
say "all ${#packages[@]} packages are there now"
