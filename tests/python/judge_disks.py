"""TensorFlow opens what a power cut has left behind: the old or the new state, whole.

The directory given has one for each seed, and that one for each disk after a power cut, as
tests/crash/power_cut_test.cc writes them with WAYPOST_EXPORT_DISKS.  The state that was saved is that of step 1, or of step 2 if the save
during which the power went was committed; its tensor "note" says which.  All disks that say the same step
must hold the same bytes: a mixture of both would be a third state.
"""
import os
import pathlib
import unittest

from tf_values import from_numpy, tf

STEPS = {b"step 1", b"step 2"}


def state_of(prefix):
    reader = tf.train.load_checkpoint(str(prefix))
    dtypes = reader.get_variable_to_dtype_map()
    return {name: from_numpy(dtype.name, reader.get_tensor(name)) for name, dtype in dtypes.items()}


class PowerCutDisks(unittest.TestCase):
    def setUp(self):
        self.seen = {}  # of each step the digests of its tensors

    def judge_checkpoint(self, prefix):
        state = state_of(prefix)
        step = state["note"].content[0]
        digests = {name: tensor.sha256 for name, tensor in state.items()}
        self.assertEqual(self.seen.setdefault(step, digests), digests, prefix)

    def judge(self, disk):
        directory = disk / "ckpt"
        told = tf.train.get_checkpoint_state(str(directory))
        if told is None:
            # Nothing had been saved before.
            self.assertTrue(disk.name.startswith("first"), f"{disk}: the state file is gone")
        else:
            self.assertIn(told.model_checkpoint_path, told.all_model_checkpoint_paths)
            for path in told.all_model_checkpoint_paths:  # the simulated disk's own, absolute
                self.judge_checkpoint(disk / path.lstrip("/"))
        for index in directory.glob("*.index"):  # listed or not: what is visible is whole
            self.judge_checkpoint(index.with_suffix(""))

    def test_each_holds_the_old_or_the_new_state(self):
        given = os.environ.get("WAYPOST_DISKS", "")
        if not given:
            self.skipTest("no directory of disks was given")
        disks = sorted(path.parent for path in pathlib.Path(given).glob("*/*/ckpt"))
        self.assertGreaterEqual(len(disks), 50, f"there are too few disks in {given}")
        for disk in disks:
            with self.subTest(disk=str(disk)):
                self.judge(disk)
        self.assertEqual(set(self.seen), STEPS)
        old, new = self.seen.values()
        self.assertEqual(set(old), set(new))
        self.assertFalse(set(old.values()) & set(new.values()), "the two states must differ in every tensor")


if __name__ == "__main__":
    unittest.main()
