#!/bin/bash
# The demonstration: trains once straight through; trains again, is killed in the middle, is started again;
# and compares the two ends bit by bit.  Installs what it needs and builds first.
#
#   tools/demo.sh [--device cuda:0]     with a device, weights and Adam's moments are in the memory of that GPU
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
(($# == 0)) || [[ $# == 2 && $1 == --device ]] || { say "usage: tools/demo.sh [--device cuda:0]" >&2; exit 2; }
readonly device=(--device "${2:-cpu}")

readonly demo=build/demo bin=build/release/bin last_step=10000 third_save=3000
now_ms() { date +%s%3N; }
heading() { printf '\n[%s/6] %s\n' "$1" "$2"; }
indent() { sed -u 's/^/    /'; }

# The highest step of which a directory has a checkpoint; 0 if none.
highest_step() {
  find "$1/checkpoints" -name 'model.ckpt-*.index' 2>/dev/null |
    sed 's/.*model\.ckpt-\([0-9]*\)\.index$/\1/' | sort -n | tail -1 | grep . || echo 0
}

# Trains in $1 and kills the job with SIGKILL up to $2 milliseconds after its third save; false if it was
# done before that.
train_and_kill() {
  local directory=$1 delay_ms=$((RANDOM % $2)) status=0
  "$bin/train_digits" --dir "$directory" "${device[@]}" >"$directory.log" 2>&1 &
  local pid=$!
  until (($(highest_step "$directory") >= third_save)) || ! kill -0 "$pid" 2>/dev/null; do sleep 0.01; done
  sleep "$(printf '%d.%03d' $((delay_ms / 1000)) $((delay_ms % 1000)))"
  kill -KILL "$pid" 2>/dev/null || true
  wait "$pid" 2>/dev/null || status=$?
  indent <"$directory.log"
  if ((status == 128 + 9)); then
    say "    killed (SIGKILL) ${delay_ms} ms after the third save; the latest checkpoint is of step" \
      "$(highest_step "$directory")"
    return 0
  fi
  ((status == 0)) || die "training in $directory failed with status $status"
  return 1
}

heading 1 "installing what the build needs"
tools/install.sh | indent

heading 2 "building (release)"
configure_and_build release bin/waypost bin/train_digits waypost_graph | indent

heading 3 "training straight through, $last_step steps"
rm -rf "$demo"
mkdir -p "$demo"
begin_ms=$(now_ms)
"$bin/train_digits" --dir "$demo/straight" "${device[@]}" | indent
elapsed_ms=$(($(now_ms) - begin_ms))

heading 4 "training again elsewhere, and killing it after the third save"
for attempt in 1 2 3 4 5; do
  # Seven of ten parts of the run come after the third save.
  if train_and_kill "$demo/killed" $((elapsed_ms / 2 + 1)); then break; fi
  ((attempt < 5)) || die "the job was always done before it could be killed"
  say "    it was done before it was killed; once more"
  rm -rf "$demo/killed"
done

heading 5 "starting it again"
"$bin/train_digits" --dir "$demo/killed" "${device[@]}" | indent

heading 6 "comparing the two ends"
straight=$demo/straight/checkpoints/model.ckpt-$last_step
killed=$demo/killed/checkpoints/model.ckpt-$last_step
say "    $bin/waypost verify $killed"
"$bin/waypost" verify "$killed" | indent
say "    $bin/waypost ls $killed"
"$bin/waypost" ls "$killed" | indent
say "    $bin/waypost diff $straight $killed"
"$bin/waypost" diff "$straight" "$killed" | indent || die "the killed run ended otherwise than the straight one"

tensorboard=tensorboard
[[ -x build/venv-tf/bin/tensorboard ]] && tensorboard=build/venv-tf/bin/tensorboard
say "
Both runs ended with the same weights, bit by bit.  Their curves, histograms and graph:
    $tensorboard --logdir $demo"
[[ $tensorboard == tensorboard ]] && say "(tensorboard is a Python package: pip install tensorboard)"
exit 0
