#!/bin/bash
# Breaks the code on purpose, one small patch of tests/mutants at a time, and demands that a test notices.
#
#   tools/mutants.sh [NAME...]      without names: every patch
#
# A patch begins with comment lines, of which two are read here:
#   # Target: base_test             what has to be built (several: separated by spaces)
#   # Tests: ^Crc32c[.]             a regular expression for ctest: one of these tests must fail
#
# Exit status: 1 if a break went unnoticed, or a patch did not apply or compile, or names no test.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
exec </dev/null

readonly work=build/mutants
readonly source_copy=$work/src build=$work/build
readonly timeout_seconds=600

header() { sed -n "s/^# $2: //p" "$1"; }
files_of() { sed -n 's|^+++ b/\([^[:space:]]*\).*|\1|p' "$1"; }

# Every file that belongs to the source, committed or not.
source_files() {
  if git rev-parse --is-inside-work-tree >/dev/null 2>&1; then
    git ls-files --cached --others --exclude-standard
  else
    find . -path ./build -prune -o -type f -printf '%P\n'
  fi
}

# Copies what differs.  With the time of now: a file that a break was taken out of must be newer than its
# object.
refresh() {
  local file
  while IFS= read -r file; do
    [[ -f $file ]] || continue
    if ! cmp -s "$file" "$source_copy/$file"; then
      mkdir -p "$source_copy/$(dirname "$file")"
      cp "$file" "$source_copy/$file"
    fi
  done
}

build_targets() {
  # shellcheck disable=SC2086  # the targets are separated by spaces
  ninja -C "$build" -j "$(jobs_max)" $1 >"$work/build.log" 2>&1
}

# The tests must pass on the code as it is, or a failure would say nothing.
check_unbroken() {
  local patch all_targets="" all_tests=""
  for patch in "${patches[@]}"; do
    [[ -n $(header "$patch" Target) && -n $(header "$patch" Tests) ]] ||
      die "$patch lacks its line '# Target:' or '# Tests:'"
    all_targets+=" $(header "$patch" Target)"
    all_tests+="$(header "$patch" Tests)"$'\n'
  done
  # Without parentheses around each: ctest knows no more than 32 pairs.
  all_tests=$(sort -u <<<"$all_tests" | sed '/^$/d' | paste -sd '|')
  say "building what the ${#patches[@]} breaks are to be noticed by, unbroken"
  all_targets=$(tr ' ' '\n' <<<"$all_targets" | sort -u | tr '\n' ' ')
  build_targets "$all_targets" || { tail -n 40 "$work/build.log"; die "the unbroken code does not build"; }
  ctest --test-dir "$build" --no-tests=error --output-on-failure -j "$(jobs_max)" -LE full -R "$all_tests" \
    >"$work/ctest.log" 2>&1 || { tail -n 60 "$work/ctest.log"; die "the unbroken code fails its tests"; }
}

# Sets `outcome` for one patch.
try_patch() {
  local patch=$1 status=0
  if ! patch -p1 --forward --fuzz=0 --batch --no-backup-if-mismatch -r - -d "$source_copy" <"$patch" \
    >"$work/patch.log" 2>&1; then
    outcome="DOES NOT APPLY"
  elif ! build_targets "$(header "$patch" Target)"; then
    outcome="DOES NOT COMPILE"
  else
    timeout "$timeout_seconds" ctest --test-dir "$build" --no-tests=error --stop-on-failure -LE full \
      -R "$(header "$patch" Tests)" >"$work/ctest.log" 2>&1 || status=$?
    case $status in
      0) outcome=SURVIVED ;;
      124) outcome="caught: the tests hang" ;;
      *)
        outcome="caught: $(sed -n 's/^.*Test *#[0-9]*: \([^ ]*\) .*\*\*\*.*/\1/p' "$work/ctest.log" | head -1)"
        ! grep -q '^No tests were found' "$work/ctest.log" || outcome="NO SUCH TEST"
        ;;
    esac
  fi
}

patches=(tests/mutants/*.patch)
if (($# > 0)); then
  patches=()
  for name in "$@"; do patches+=("tests/mutants/$(basename "$name" .patch).patch"); done
fi
for patch in "${patches[@]}"; do [[ -e $patch ]] || die "there is no $patch"; done

mkdir -p "$source_copy"
source_files | refresh
# What is in the source no more must not be built.
comm -13 <(source_files | sort) <(cd "$source_copy" && find . -type f -printf '%P\n' | sort) |
  while IFS= read -r file; do rm -f "$source_copy/$file"; done
cmake -S "$source_copy" -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=Debug -DCMAKE_CXX_FLAGS_DEBUG="-O1 -g0" \
  >"$work/configure.log" 2>&1 || { cat "$work/configure.log"; die "configuring failed"; }
check_unbroken

failures=0
for patch in "${patches[@]}"; do
  begin=$SECONDS outcome=""
  try_patch "$patch"
  files_of "$patch" | refresh
  printf '%6ss  %-34s  %s\n' $((SECONDS - begin)) "$(basename "$patch" .patch)" "$outcome"
  if [[ $outcome != caught:* ]]; then
    failures=$((failures + 1))
    case $outcome in
      *APPLY) sed 's/^/         /' "$work/patch.log" ;;
      *COMPILE) tail -n 20 "$work/build.log" | sed 's/^/         /' ;;
      *) sed -n 's/^# /         /p' "$patch" ;;
    esac
  fi
done
say "$((${#patches[@]} - failures)) of ${#patches[@]} breaks were noticed"
((failures == 0))
