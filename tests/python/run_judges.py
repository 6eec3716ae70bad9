"""Runs every judge of this folder; each says in its first line what it proves.

    run_judges.py --bin build/release/bin [--work DIRECTORY] [--disks DIRECTORY] [--counts FILE]

`--counts` gets one line, "passed failed skipped".  WAYPOST_TEST_SEED=n repeats a run.
"""
import argparse
import os
import pathlib
import random
import sys
import time
import unittest

JUDGES = [
    "judge_golden",
    "judge_write",
    "judge_read",
    "judge_random",
    "judge_saver",
    "judge_differ",
    "judge_v1",
    "judge_convert",
    "judge_train",
    "judge_tensorboard",
    "judge_events",
    "judge_graph",
    "judge_disks",
]


class Result(unittest.TextTestResult):
    """One line a test: its sentence and the seconds it took."""

    def startTest(self, test):
        self.begin = time.monotonic()
        super().startTest(test)

    def addSuccess(self, test):
        unittest.TestResult.addSuccess(self, test)
        self.stream.writeln(f"ok {time.monotonic() - self.begin:.1f} s")


def main():
    parser = argparse.ArgumentParser(description="Lets Python, TensorFlow and TensorBoard judge Waypost's files.")
    parser.add_argument("--bin", required=True, help="where waypost, train_digits and the judge_* programs are")
    parser.add_argument("--work", default="build/judges", help="for the files that are made")
    parser.add_argument("--disks", default="", help="what judge_disks.py judges; without it that is skipped")
    parser.add_argument("--counts", help="file for the numbers")
    arguments = parser.parse_args()
    os.environ["WAYPOST_BIN"] = str(pathlib.Path(arguments.bin).resolve())
    os.environ["WAYPOST_JUDGE_WORK"] = str(pathlib.Path(arguments.work).resolve())
    os.environ["WAYPOST_DISKS"] = arguments.disks and str(pathlib.Path(arguments.disks).resolve())
    os.environ.setdefault("WAYPOST_TEST_SEED", str(random.SystemRandom().getrandbits(32)))
    print("WAYPOST_TEST_SEED=" + os.environ["WAYPOST_TEST_SEED"], flush=True)

    sys.path.insert(0, str(pathlib.Path(__file__).parent))
    suite = unittest.defaultTestLoader.loadTestsFromNames(JUDGES)
    result = unittest.TextTestRunner(stream=sys.stdout, verbosity=2, resultclass=Result).run(suite)
    failed = len(result.failures) + len(result.errors)
    skipped = len(result.skipped)
    if arguments.counts:
        # A test with several failed subtests has run once.
        passed = max(0, result.testsRun - skipped - len({str(test).split(" (")[0] for test, _ in
                                                         result.failures + result.errors}))
        pathlib.Path(arguments.counts).write_text(f"{passed} {failed} {skipped}\n")
    return 0 if failed == 0 and result.testsRun > 0 else 1


if __name__ == "__main__":
    sys.exit(main())
