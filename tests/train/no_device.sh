#!/bin/sh
# A GPU that is not there is one line and exit status 2, before anything is written.
#
#   no_device.sh TRAIN_DIGITS
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
for device in cuda:99 cuda:x gpu; do
  status=0
  "$1" --dir "$dir/run" --device $device 2>"$dir/error" || status=$?
  cat "$dir/error"
  [ "$status" -eq 2 ]
  [ "$(wc -l <"$dir/error")" -eq 1 ]
  grep -q "^train_digits: --device" "$dir/error"
  [ ! -e "$dir/run" ]
done
