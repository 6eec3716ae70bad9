#!/bin/sh
# A run that is started again in the middle ends as one that went straight through, bit by bit; saves
# are under way while it trains.  In every preset, the thread sanitizer's too.
#
#   demonstration.sh TRAIN_DIGITS WAYPOST
set -eu
train=$1 waypost=$2
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
"$train" --dir "$dir/straight" --steps 600 --save-every 50
"$train" --dir "$dir/resumed" --steps 330 --save-every 50
"$train" --dir "$dir/resumed" --steps 600 --save-every 50
"$waypost" verify "$dir/resumed/checkpoints/model.ckpt-600"
"$waypost" diff "$dir/straight/checkpoints/model.ckpt-600" "$dir/resumed/checkpoints/model.ckpt-600"
