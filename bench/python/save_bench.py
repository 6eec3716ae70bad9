"""How long a training job is held up by a save of a state of host memory, and how long the save takes, beside other
savers.

    build/venv-python/bin/python bench/python/save_bench.py --tensorflow build/venv-tf/bin/python --dir DIRECTORY

Writes a table (Markdown) to standard output.  Every contender has a process of its own with its state in memory; they
take turns, round by round, each with fresh files and a synced file system; a first round warms up and is not counted.
 Figures are medians, with the quartiles in brackets.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from contenders import CONTENDERS

COLUMNS = ("call returns", "tensors may change", "on the drive")


class Contender:
    """A process of contenders.py."""

    def __init__(self, name: str, python: str, directory: Path, size_bytes: int) -> None:
        self.name = name
        self.rounds: list[list[float]] = []
        program = Path(__file__).with_name("contenders.py")
        self._process = subprocess.Popen(
            [python, str(program), name, str(directory / name.replace(" ", "-")), str(size_bytes)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            cwd=directory,
        )
        self._answer("ready")

    def save(self, is_counted: bool) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write("save\n")
        self._process.stdin.flush()
        times = json.loads(self._answer("times"))
        if is_counted:
            self.rounds.append(times)

    def end(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()

    def _answer(self, what: str) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            sys.exit(f"{self.name}: ended with status {self._process.wait()} before it gave its {what}")
        return line

    def row(self) -> str:
        cells = []
        for column in zip(*self.rounds, strict=True):
            low, middle, high = statistics.quantiles(column, n=4)
            cells.append(f"{seconds(middle)} [{seconds(low)}, {seconds(high)}]")
        return f"| {self.name} | {' | '.join(cells)} |"


def seconds(value: float) -> str:
    return f"{value * 1000:.1f} ms" if value < 0.1 else f"{value:.2f} s"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tensorflow", help="the Python that has TensorFlow; without it, it is left out")
    parser.add_argument("--dir", type=Path, default=None, help="on the drive to be measured; default: a temporary one")
    parser.add_argument("--mib", type=int, default=1024, help="size of the state (1024)")
    parser.add_argument("--rounds", type=int, default=9)
    options = parser.parse_args()
    if options.tensorflow:
        options.tensorflow = str(Path(options.tensorflow).absolute())  # its own, not what the link leads to

    with tempfile.TemporaryDirectory(dir=options.dir) as directory:
        contenders = []
        for name in CONTENDERS:
            python = options.tensorflow if name.startswith("tensorflow") else sys.executable
            if python:
                contenders.append(Contender(name, python, Path(directory), options.mib << 20))
        for round_number in range(options.rounds + 1):
            for contender in contenders:
                contender.save(is_counted=round_number > 0)
        for contender in contenders:
            contender.end()

    print(f"State: {options.mib} MiB of host memory in equal float32 tensors; {options.rounds} rounds.\n")
    print(f"| | {' | '.join(COLUMNS)} |\n| --- |{' --- |' * len(COLUMNS)}")
    for contender in contenders:
        print(contender.row())


if __name__ == "__main__":
    main()
