"""The ways to save a state of host memory that save_bench.py compares, each in a process of its own.

    python contenders.py NAME DIRECTORY BYTES

A line on standard input starts a save; a line of JSON on standard output says how long it took, in seconds: until the
call returned, until the tensors may change, and until the files are on the drive (where the saver itself does not see
to that: with an fsync of every file afterwards).
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

TENSORS = 64

Times = tuple[float, float, float]
Save = Callable[[Path], Times]


def arrays(size_bytes: int) -> dict[str, np.ndarray[Any, Any]]:
    """A state of equal tensors of float32."""
    count = size_bytes // TENSORS // 4
    return {f"layer.{i}.weight": np.random.default_rng(i).standard_normal(count, np.float32) for i in range(TENSORS)}


def sync_files(directory: Path) -> None:
    """What a saver that does not sync leaves to others: every file, and the directory."""
    for path in [*directory.rglob("*"), directory]:
        handle = os.open(path, os.O_RDONLY)
        os.fsync(handle)
        os.close(handle)


def timed_and_synced(save: Callable[[Path], object]) -> Save:
    """For savers that return when all is written but not on the drive."""

    def run(directory: Path) -> Times:
        begin = time.perf_counter()
        save(directory)
        returned = time.perf_counter() - begin
        sync_files(directory)
        return returned, returned, time.perf_counter() - begin

    return run


def waypost_saver(size_bytes: int, staging: str) -> Save:
    import torch
    import waypost

    state = {name: torch.from_numpy(array) for name, array in arrays(size_bytes).items()}
    engine = waypost.default_engine()

    def run(directory: Path) -> Times:
        begin = time.perf_counter()
        save = engine.save_async(directory / "model", state, staging=staging)
        returned = time.perf_counter() - begin
        save.wait_staged()
        staged = time.perf_counter() - begin
        save.wait_committed()
        committed = time.perf_counter() - begin
        save.wait_finished()
        return returned, staged, committed

    return run


def torch_saver(size_bytes: int) -> Save:
    import torch

    state = {name: torch.from_numpy(array) for name, array in arrays(size_bytes).items()}
    return timed_and_synced(lambda directory: torch.save(state, directory / "model.pt"))


def safetensors_saver(size_bytes: int) -> Save:
    import torch
    from safetensors.torch import save_file

    state = {name: torch.from_numpy(array) for name, array in arrays(size_bytes).items()}
    return timed_and_synced(lambda directory: save_file(state, directory / "model.safetensors"))


def dcp_saver(size_bytes: int) -> Save:
    import torch
    import torch.distributed as dist
    import torch.distributed.checkpoint as dcp

    dist.init_process_group("gloo", init_method=f"file://{os.getcwd()}/store-{os.getpid()}", rank=0, world_size=1)
    state = {name: torch.from_numpy(array) for name, array in arrays(size_bytes).items()}

    def run(directory: Path) -> Times:
        begin = time.perf_counter()
        # Its writer syncs its files; the state is copied before it returns.
        future: Any = dcp.async_save(state, checkpoint_id=directory / "model")
        returned = time.perf_counter() - begin
        future.result()
        return returned, returned, time.perf_counter() - begin

    return run


def tensorflow_saver(size_bytes: int) -> Save:
    import tensorflow as tf

    tf1 = tf.compat.v1
    tf1.disable_eager_execution()
    state = arrays(size_bytes)
    variables = [tf1.get_variable(name, array.shape, tf.float32) for name, array in state.items()]
    session = tf1.Session()
    for variable in variables:
        variable.load(state[variable.op.name], session)
    saver = tf1.train.Saver(max_to_keep=0)
    return timed_and_synced(lambda directory: saver.save(session, str(directory / "model")))


CONTENDERS: dict[str, Callable[[int], Save]] = {
    "waypost": lambda size_bytes: waypost_saver(size_bytes, "lazy"),
    "waypost full_copy": lambda size_bytes: waypost_saver(size_bytes, "full_copy"),
    "torch.save": torch_saver,
    "safetensors": safetensors_saver,
    "dcp.async_save": dcp_saver,
    "tensorflow Saver": tensorflow_saver,
}


def main() -> None:
    name, directory, size_bytes = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    save = CONTENDERS[name](size_bytes)
    print("ready", flush=True)
    for _ in sys.stdin:
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir(parents=True)
        os.sync()
        print(json.dumps(save(directory)), flush=True)


if __name__ == "__main__":
    main()
