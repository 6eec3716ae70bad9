"""TensorFlow opens what a power cut has left behind: whole checkpoints, the latest as late as was promised.

The directory given has one for each seed, and that one for each disk after a power cut, as tests/crash/ writes them
with WAYPOST_EXPORT_DISKS: of single saves, sharded and over several drives, and of a Saver's loop.  A checkpoint's
tensor "note" says of which step it is; all that say the same step must hold the same bytes, since a mixture would be a
state of its own, and those of different steps differ in every tensor.

promise.json beside each disk has what the job knew when the power went: the state file's latest checkpoint is of step
"promised" (0: there may be none) or a later one up to "started"; a checkpoint of one of the steps "cancelled" is
nowhere.  A Saver's checkpoints carry their step in their names, and a meta graph; the event that was added before each
is in the event files.
"""
import json
import os
import pathlib
import unittest

from tf_values import from_numpy, tf


def state_of(prefix):
    reader = tf.train.load_checkpoint(str(prefix))
    dtypes = reader.get_variable_to_dtype_map()
    return {name: from_numpy(dtype.name, reader.get_tensor(name)) for name, dtype in dtypes.items()}


def steps_of_events(directory):
    steps = set()
    for path in directory.glob("*tfevents*"):
        try:
            for record in tf.data.TFRecordDataset(str(path)):
                steps.add(tf.compat.v1.Event.FromString(record.numpy()).step)
        except tf.errors.DataLossError:  # the end is torn
            pass
    return steps


class PowerCutDisks(unittest.TestCase):
    def setUp(self):
        self.seen = {}  # of each step, and kind of state, the digests of its tensors

    def judge_checkpoint(self, prefix):
        """The step that it is of."""
        state = state_of(prefix)
        step = int(state["note"].content[0].removeprefix(b"step "))
        digests = {name: tensor.sha256 for name, tensor in state.items()}
        self.assertEqual(self.seen.setdefault((len(digests), step), digests), digests, prefix)
        return step

    def judge_of_saver(self, disk, prefix, step):
        name, _, number = prefix.name.partition("-")
        self.assertEqual((name, number or str(step)), ("m", str(step)), prefix)
        meta = prefix.with_name(prefix.name + ".meta")
        if meta.exists():  # it may still have its temporary name, which only Waypost knows
            graph = tf.compat.v1.MetaGraphDef.FromString(meta.read_bytes())
            self.assertTrue(graph.graph_def.node, meta)
        self.assertIn(step, steps_of_events(disk / "logs"), f"{prefix}: the event before it is gone")

    def judge(self, disk):
        directory = disk / "ckpt"
        promise = json.loads((disk / "promise.json").read_text())
        told = tf.train.get_checkpoint_state(str(directory))
        if told is None:
            self.assertEqual(promise["promised"], 0, f"{disk}: the state file is gone")
        else:
            self.assertIn(told.model_checkpoint_path, told.all_model_checkpoint_paths)
            # The paths are the simulated disk's own, absolute.
            steps = {path: self.judge_checkpoint(disk / path.lstrip("/")) for path in told.all_model_checkpoint_paths}
            self.assertGreaterEqual(steps[told.model_checkpoint_path], promise["promised"], disk)
        for index in directory.glob("*.index"):  # listed or not: what is visible is whole
            step = self.judge_checkpoint(index.with_suffix(""))
            self.assertLessEqual(step, promise["started"], index)
            self.assertNotIn(step, promise["cancelled"], index)
            if disk.name.startswith("saver"):
                self.judge_of_saver(disk, index.with_suffix(""), step)

    def test_each_holds_what_was_promised_whole(self):
        given = os.environ.get("WAYPOST_DISKS", "")
        if not given:
            self.skipTest("no directory of disks was given")
        disks = sorted(path.parent for path in pathlib.Path(given).glob("*/*/ckpt"))
        self.assertGreaterEqual(len(disks), 50, f"there are too few disks in {given}")
        kinds = {disk.name.rpartition("-")[0] for disk in disks}
        self.assertTrue(any("striped" in kind for kind in kinds) and any(kind.startswith("saver") for kind in kinds))
        for disk in disks:
            with self.subTest(disk=str(disk)):
                self.judge(disk)
        print(f"{len(disks)} disks of {len(kinds)} kinds, {len(self.seen)} states", end=" ", flush=True)
        for count in {count for count, _ in self.seen}:
            states = [state for (tensors, _), state in self.seen.items() if tensors == count]
            for name in states[0]:
                self.assertEqual(len({state[name] for state in states}), len(states), f"{name}: alike in two steps")


if __name__ == "__main__":
    unittest.main()
