"""Waypost's Saver does what TensorFlow's does, over random sequences: files, state, results, values, errors.

WAYPOST_SAVER_SEQUENCES=n runs as many (300), WAYPOST_SAVER_SEQUENCE=n the n-th alone.  The sequences are the same in
every run, so that one that fails is there again; WAYPOST_SAVER_SEED=n makes others, and whoever changes the Saver
tries some.  What differs on purpose stands in differ/differences.py.
"""
import json
import os
import pathlib
import tempfile
import unittest

from differ.run import Run
from differ.scenarios import SCENARIOS
from differ.sequence import random_sequence
from differ.shrink import shrink
from differ.tensorflow_side import TensorFlowSide
from differ.waypost_side import WaypostSide
from judge_common import WORK

SEED = os.environ.get("WAYPOST_SAVER_SEED", "1")
MEMORY = "/dev/shm"  # where there is one: a save waits for the drive many times


def numbers():
    if "WAYPOST_SAVER_SEQUENCE" in os.environ:
        return [int(os.environ["WAYPOST_SAVER_SEQUENCE"])]
    return range(int(os.environ.get("WAYPOST_SAVER_SEQUENCES", "300")))


class SaverJudge(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        WORK.mkdir(parents=True, exist_ok=True)
        where = MEMORY if os.path.isdir(MEMORY) else WORK
        cls.directory = tempfile.TemporaryDirectory(prefix="waypost-saver-", dir=where)
        cls.log = open(WORK / "saver_driver.log", "wb")  # pylint: disable=consider-using-with
        cls.waypost = WaypostSide(cls.log)
        cls.both = Run(TensorFlowSide(), cls.waypost, pathlib.Path(cls.directory.name))
        cls.before = os.getcwd()

    @classmethod
    def tearDownClass(cls):
        cls.waypost.stop()
        cls.log.close()
        os.chdir(cls.before)
        cls.directory.cleanup()

    def test_random_sequences_do_the_same(self):
        for number in numbers():
            commands = random_sequence(f"{SEED} {number}")
            if self.both.play(commands):
                self.fail(f"sequence {number} of WAYPOST_SAVER_SEED={SEED}:\n{self.shortest(commands)}")

    def test_listed_differences_show(self):
        for name, commands in SCENARIOS.items():
            with self.subTest(name):
                before = self.both.shown[name]
                failure = self.both.play(commands)
                self.assertIsNone(failure)
                self.assertGreater(self.both.shown[name], before, "it does not show any more")
        self.assertEqual(SCENARIOS.keys(), self.both.shown.keys())

    def shortest(self, commands):
        last = None

        def position(commands):
            nonlocal last
            failure = self.both.play(commands)
            last = failure or last
            return failure and failure[0]

        commands = shrink(commands, position)
        return "\n".join(map(json.dumps, commands)) + f"\n{last and last[1]}"


if __name__ == "__main__":
    unittest.main()
