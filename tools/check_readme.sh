#!/bin/bash
# Checks that every C++ example of README.md is, line by line, part of a program in tests/examples, where it is
# compiled and run as a test.  Indentation may differ.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

dedent() { sed 's/^[[:space:]]*//' "$@"; }

[[ -e README.md ]] || die "README.md is missing"
programs=(tests/examples/*.cc)
[[ -e ${programs[0]} ]] || die "tests/examples has no program"

count=0 block="" inside=false
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
