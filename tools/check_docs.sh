#!/bin/bash
# Checks that what the documentation shows is there:
#   - every C++ example of README.md is, line by line, part of a program in tests/examples, where it is compiled and
#     run as a test (indentation may differ);
#   - every program of python/examples, which tools/test.sh runs, stands in docs/python.md as it is;
#   - every test that a page of docs/ names, as `Suite.Name`, `Suite.*` or by its file, exists.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

dedent() { sed 's/^[[:space:]]*//' "$@"; }

check_examples() {
  local programs=(tests/examples/*.cc) program line count=0 block="" inside=false found
  [[ -e README.md ]] || die "README.md is missing"
  [[ -e ${programs[0]} ]] || die "tests/examples has no program"
  while IFS= read -r line; do
    if [[ $line == '```cpp' ]]; then
      inside=true block=""
    elif [[ $line == '```' && $inside == true ]]; then
      inside=false count=$((count + 1)) found=false
      for program in "${programs[@]}"; do
        [[ $'\n'$(dedent "$program")$'\n' != *$'\n'"$block"* ]] || found=true
      done
      [[ $found == true ]] || die "example $count of README.md is in no program of tests/examples: ${block%%$'\n'*} ..."
    elif [[ $inside == true ]]; then
      block+=$line$'\n'
    fi
  done < <(dedent README.md)
  ((count > 0)) || die "README.md has no example"
  say "all $count examples of README.md are compiled and run by tests/examples"
}

check_tests() {
  local known named name file count=0
  known=$(sed -nE 's/^(TEST|TEST_F|TEST_P|TYPED_TEST)\((\w+), *(\w+)\).*/\2.\3/p' $(find tests -name '*.cc'))
  for file in docs/*.md; do
    # Words of code with a dot between two capitals: what else looks so is no test's name here.
    while IFS= read -r name; do
      grep -qxF -- "$name" <<<"$known" || die "$file names the test $name, which does not exist"
      count=$((count + 1))
    done < <(grep -oE '`[A-Z][A-Za-z0-9]+\.[A-Z][A-Za-z0-9]+`' "$file" | tr -d '`')
    while IFS= read -r name; do
      grep -q "^$name" <<<"$known" || die "$file names the tests $name*, none of which exists"
      count=$((count + 1))
    done < <(grep -oE '`[A-Z][A-Za-z0-9]+\.\*`' "$file" | tr -d '`*')
    while IFS= read -r name; do
      [[ -e $name ]] || die "$file names $name, which does not exist"
      count=$((count + 1))
    done < <(grep -oE '`tests/[A-Za-z0-9_/]+\.(cc|py|sh|h)`' "$file" | tr -d '`')
  done
  ((count > 0)) || die "docs names no test"
  say "all $count tests that docs names exist"
}

check_python() {
  local program pages
  pages=$(<docs/python.md)
  for program in python/examples/*.py; do
    [[ $(basename "$program") != train.py || $(<README.md) == *"$(<"$program")"* ]] || die "README.md does not show $program"
    [[ $pages == *'```python'$'\n'"$(<"$program")"$'\n''```'* ]] || die "docs/python.md does not show $program as it is"
  done
  say "docs/python.md shows the programs of python/examples as they are run"
}

check_examples
check_python
check_tests
