"""Many threads on few engines and few prefixes: saves, cancels, dropped handles, restores, maps, closed engines.

Whatever happens, a checkpoint that is read is one that was saved, whole, and all errors are those that such use may
have.  Two seconds; WAYPOST_TEST_FULL=1: a minute.  It says most under a sanitizer: tools/sanitize_python.sh runs it.
"""

from __future__ import annotations

import contextlib
import gc
import os
import random
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import waypost

SECONDS = 60 if os.environ.get("WAYPOST_TEST_FULL") else 2
THREADS = 6

# Another save has the prefix, or cancel() or close() came first, or there is none yet.
EXPECTED = (
    waypost.AbortedError,
    waypost.CancelledError,
    waypost.FailedPreconditionError,
    waypost.NotFoundError,
)


def tree_of(number: int) -> dict[str, Any]:
    """A state that tells by every element which one it is; large enough for several windows at times."""
    size = (1 << 20) + 3 if number % 8 == 0 else 1000 + number % 100
    return {
        "number": number,
        "large": np.full(size, number, np.int64),
        "parts": [np.full((3, 5), number, np.float32), np.full((), number, np.int16), f"text {number}"],
    }


def assert_whole(tree: dict[str, Any]) -> None:
    number = tree["number"]
    expected = tree_of(number)
    assert np.array_equal(tree["large"], expected["large"]), number
    for found, wanted in zip(tree["parts"], expected["parts"], strict=True):
        assert np.array_equal(found, wanted), number


class Job:
    """What the threads share."""

    def __init__(self, directory: Path, seed: int) -> None:
        self.end = time.monotonic() + SECONDS
        self.prefixes = [str(directory / name) for name in ("m-1", "m-2", "n-1")]
        self.seed = seed
        self.lock = threading.Lock()
        self.engines = [self.new_engine() for _ in range(2)]
        self.counts: dict[str, int] = {}
        self.failures: list[BaseException] = []

    @staticmethod
    def new_engine() -> waypost.Engine:
        return waypost.Engine(staging_bytes=16 << 20, write_bytes_per_second_max=256 << 20)

    def run(self, index: int) -> None:
        rng = random.Random(f"{self.seed} {index}")
        try:
            while time.monotonic() < self.end and not self.failures:
                action = rng.choice([self.save, self.save, self.save, self.load, self.restore, self.look, self.close])
                try:
                    action(rng)
                except EXPECTED:
                    continue
                with self.lock:
                    self.counts[action.__name__] = self.counts.get(action.__name__, 0) + 1
        except BaseException as error:
            self.failures.append(error)

    def engine(self, rng: random.Random) -> waypost.Engine:
        with self.lock:
            return rng.choice(self.engines)

    def save(self, rng: random.Random) -> None:
        save = self.engine(rng).save_async(
            rng.choice(self.prefixes),
            tree_of(rng.randrange(30_000)),
            staging=rng.choice(["lazy", "full_copy"]),
            update_state=rng.random() < 0.3,
            max_to_keep=rng.choice([0, 2]),
            shard_bytes=rng.choice([0, 4 << 20]),
        )
        end = rng.randrange(6)
        if end == 0:
            save.cancel()
        elif end == 1:
            save.wait_committed()
        elif end == 2:
            save.wait_staged()
            assert save.progress.bytes_written <= save.progress.bytes_total
        elif end == 3:
            with save:
                assert save.stats.bytes_total > 0
        elif end == 4:
            save.wait_finished()
        # Otherwise nobody keeps it, nor its tensors.

    def load(self, rng: random.Random) -> None:
        mmap = rng.random() < 0.5
        assert_whole(waypost.load(rng.choice(self.prefixes), mmap=mmap))

    def restore(self, rng: random.Random) -> None:
        prefix = rng.choice(self.prefixes)
        into = waypost.load(prefix)
        engine = self.engine(rng)
        try:
            assert_whole(engine.restore(prefix, into, verify_first=rng.random() < 0.3, threads_max=rng.choice([0, 1])))
        except waypost.InvalidArgumentError as error:
            # Replaced meanwhile by one of another size.
            assert "large" in str(error)  # noqa: PT017

    def look(self, rng: random.Random) -> None:
        prefix = rng.choice(self.prefixes)
        assert {info.name for info in waypost.list(prefix)} >= {"number", "large"}
        waypost.latest(os.path.dirname(prefix))
        gc.collect()

    def close(self, rng: random.Random) -> None:
        if rng.random() < 0.8:
            return
        with self.lock:
            index = rng.randrange(len(self.engines))
            old, self.engines[index] = self.engines[index], self.new_engine()
        old.close()


def test_threads_share_engines_and_prefixes(tmp_path: Path, seed: int) -> None:
    job = Job(tmp_path, seed)
    threads = [threading.Thread(target=job.run, args=(index,)) for index in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for failure in job.failures:
        raise failure
    for engine in job.engines:
        with contextlib.suppress(*EXPECTED):
            engine.close()
    assert job.counts["save"] > 0
    whole = [prefix for prefix in job.prefixes if waypost.exists(prefix)]
    assert whole
    for prefix in whole:
        assert_whole(waypost.load(prefix))
        assert not any(found.damage for found in waypost.verify(prefix))


@pytest.mark.parametrize("staging", ["lazy", "full_copy"])
def test_a_handle_is_used_by_many_threads(tmp_path: Path, staging: Any) -> None:
    with waypost.Engine(staging_bytes=16 << 20, write_bytes_per_second_max=64 << 20) as engine:
        save = engine.save_async(tmp_path / "m-1", tree_of(8), staging=staging)
        failures: list[BaseException] = []

        def use() -> None:
            try:
                while not save.done:
                    assert save.progress.bytes_staged <= save.progress.bytes_total
                    assert save.stats.bytes_written <= save.stats.bytes_total
                    engine.wait_staged()
                save.wait_finished()
            except BaseException as error:
                failures.append(error)

        threads = [threading.Thread(target=use) for _ in range(THREADS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert failures == []
    assert_whole(waypost.load(tmp_path / "m-1"))
