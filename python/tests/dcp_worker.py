"""What each rank of test_dcp.py does; its processes are forked from one that has imported this module."""

from __future__ import annotations

import os
import signal
import sys
import traceback
import warnings
from collections.abc import Callable
from datetime import timedelta
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch._dynamo  # fully_shard imports it with its first forward pass: once here, not on each rank
import torch.distributed as dist
import torch.distributed.checkpoint as dcp
import waypost
import waypost.torch
from bits import bits
from torch.distributed.checkpoint import CheckpointException
from torch.distributed.checkpoint.default_planner import DefaultLoadPlanner, DefaultSavePlanner
from torch.distributed.checkpoint.state_dict import get_state_dict, set_state_dict
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor
from torch.distributed.tensor.parallel import ColwiseParallel, RowwiseParallel, parallelize_module
from waypost.torch import DcpReader, DcpWriter

# Peers of a killed process are told by their connection; this is for a defect.
TIMEOUT = timedelta(minutes=5)


class Scale(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.randn(3, dtype=torch.bfloat16))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * self.weight.sum().float()


class Net(torch.nn.Module):
    """Sizes that no number of ranks divides: uneven and empty shards; a scalar, and a type of 8 bits."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.up = torch.nn.Linear(6, 10)
        self.down = torch.nn.Linear(10, 5)
        self.scale = Scale()
        self.register_buffer("count", torch.tensor(seed))
        self.register_buffer("table", torch.randn(4, 3).to(torch.float8_e4m3fn))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.scale(self.down(torch.relu(self.up(x))))


def make(kind: str, seed: int) -> tuple[Net, torch.optim.Optimizer]:
    """A net of this seed, sharded: "plain", "fsdp", "hsdp" (2 replicas), "tp", "fsdp_tp" (2 rows)."""
    net = Net(seed)
    plan = {"up": ColwiseParallel(), "down": RowwiseParallel()}
    if kind == "tp":
        parallelize_module(net, init_device_mesh("cpu", (dist.get_world_size(),)), plan)
    elif kind == "fsdp_tp":
        mesh = init_device_mesh("cpu", (2, dist.get_world_size() // 2), mesh_dim_names=("dp", "tp"))
        parallelize_module(net, mesh["tp"], plan)
        shard(net, mesh["dp"])
    elif kind == "hsdp":
        names = ("replica", "shard")
        shard(net, init_device_mesh("cpu", (2, dist.get_world_size() // 2), mesh_dim_names=names))
    elif kind == "fsdp":
        shard(net, init_device_mesh("cpu", (dist.get_world_size(),)))
    return net, torch.optim.Adam(net.parameters(), lr=0.01, betas=(0.8, 0.9))


def shard(net: Net, mesh: DeviceMesh) -> None:
    # One module's parameters are of one dtype.
    fully_shard(net.scale, mesh=mesh)
    fully_shard(net, mesh=mesh)


def train(net: Net, optimizer: torch.optim.Optimizer, steps: int) -> None:
    for step in range(steps):
        generator = torch.Generator().manual_seed(step)
        net(torch.randn(4, 6, generator=generator)).square().sum().backward()
        optimizer.step()
        optimizer.zero_grad()


def state_of(net: Net, optimizer: torch.optim.Optimizer, **values: Any) -> dict[str, Any]:
    model, optim = get_state_dict(net, optimizer)
    return {"model": model, "optim": optim, **values}


def tensors_of(node: Any, path: str = "") -> dict[str, np.ndarray[Any, Any]]:
    """The whole tensors of a state, as bytes, by their stored names."""
    if isinstance(node, torch.Tensor):
        whole = node.full_tensor() if isinstance(node, DTensor) else node
        return {path: np.frombuffer(bits(whole), np.uint8)}
    found = {}
    if isinstance(node, dict | list):
        for key, value in node.items() if isinstance(node, dict) else enumerate(node):
            found |= tensors_of(value, f"{path}/{key}" if path else str(key))
    return found


def write_expected(directory: str, name: str, state: dict[str, Any]) -> None:
    tensors = tensors_of(state)
    if dist.get_rank() == 0:
        np.savez(Path(directory, f"{name}.npz"), **tensors)


def check_expected(directory: str, name: str, state: dict[str, Any]) -> int:
    expected = np.load(Path(directory, f"{name}.npz"))
    found = tensors_of(state)
    assert sorted(found) == sorted(expected.files), (sorted(found), sorted(expected.files))
    for key, value in found.items():
        assert np.array_equal(value, expected[key]), key
    return len(found)


# ---- Scenarios: what a test runs on every rank; what they return goes back to it ----

VALUES = {"step": 7, "note": "höre", "rate": 0.5, "big": 2**80, "flags": [True, None, (1, b"\x00x")], "none": None}


def save(directory: str, kind: str, name: str = "m-7", seed: int = 1) -> None:
    net, optimizer = make(kind, seed)
    train(net, optimizer, 2)
    state = state_of(net, optimizer, **VALUES)
    write_expected(directory, name, state)
    dcp.save(state, checkpoint_id=f"{directory}/{name}", storage_writer=DcpWriter())


def load(directory: str, kind: str, name: str = "m-7", steps: int = 1) -> int:
    net, optimizer = make(kind, 2)
    state = state_of(net, optimizer, **dict.fromkeys(VALUES))
    dcp.load(state, storage_reader=DcpReader(f"{directory}/{name}"))
    assert {key: state[key] for key in VALUES} == VALUES
    count = check_expected(directory, name, state)
    set_state_dict(net, optimizer, model_state_dict=state["model"], optim_state_dict=state["optim"])
    assert optimizer.param_groups[0]["betas"] == (0.8, 0.9)
    train(net, optimizer, steps)
    return count


def save_async(directory: str, lazy: bool) -> None:
    """Three saves while the job goes on, one writer for all."""
    net, optimizer = make("fsdp", 3)
    train(net, optimizer, 1)
    writer = DcpWriter(lazy=lazy, max_to_keep=2)
    # The thread that saves must not mix its messages with those of the job.
    group = dist.new_group(timeout=TIMEOUT)
    if lazy:
        waypost.torch.guard(optimizer, writer)
    for step in range(3):
        state = state_of(net, optimizer, step=step)
        write_expected(directory, f"a-{step}", state)
        response = dcp.async_save(
            state, checkpoint_id=f"{directory}/a-{step}", storage_writer=writer, process_group=group
        )
        if not lazy:
            upload = response
            with torch.no_grad():
                for tensor in tensors_in(state):
                    tensor.zero_()
        else:
            upload = response.upload_completion
            # The guard waits.
            train(net, optimizer, 1)
            response.staging_completion.result(300)
        upload.result(300)
        if not lazy:
            dcp.load(state, storage_reader=DcpReader(f"{directory}/a-{step}"))
            train(net, optimizer, 1)


def tensors_in(node: Any) -> list[torch.Tensor]:
    if isinstance(node, torch.Tensor):
        return [node._local_tensor if isinstance(node, DTensor) else node]
    members = node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
    return [tensor for member in members for tensor in tensors_in(member)]


class FailingPlanner(DefaultSavePlanner):
    """Cannot resolve a tensor on rank 1, after its first."""

    def __init__(self, action: Callable[[], None]) -> None:
        super().__init__()
        self.action = action
        self.count = 0

    def resolve_data(self, write_item: Any) -> Any:
        self.count += 1
        if dist.get_rank() == 1 and self.count == 2:
            self.action()
        return super().resolve_data(write_item)


def _fail() -> None:
    raise OSError("planted")


def failure_of(action: Callable[[], Any]) -> str:
    """What every rank is told."""
    try:
        action()
    except CheckpointException as error:
        return "; ".join(f"{rank}: {type(cause).__name__}: {cause}" for rank, (cause, _) in error.failures.items())
    return ""


def fail_to_save(directory: str, how: str) -> str:
    """A save that fails on one rank or all of them; returns what this rank is told."""
    net, optimizer = make("fsdp", 4)
    state = state_of(net, optimizer, **VALUES)
    planner = None
    writer = DcpWriter(f"{directory}/m-7")
    if how == "object":
        state["thing"] = {"inner": {1, 2}}
        state["thing"]["inner"] = object()
    elif how == "planner":
        planner = FailingPlanner(_fail)
    elif how == "name":
        state["model/count"] = torch.tensor(1)
    elif how == "path" and dist.get_rank() == 1:
        writer = DcpWriter()
    elif how == "staging" and dist.get_rank() == 1:
        state["thing"] = sys.stderr
    with writer:
        if how == "staging":
            return failure_of(lambda: dcp.async_save(state, storage_writer=writer).result(300))
        return failure_of(lambda: dcp.save(state, storage_writer=writer, planner=planner))


def fail_and_go_on(directory: str) -> tuple[list[str], list[str]]:
    """What is left of a failed save whose writer nobody closed: after it, and after the next save."""
    state = {"w": torch.ones(5), "thing": object()}
    failure_of(lambda: dcp.save(state, storage_writer=DcpWriter(f"{directory}/f-1")))
    before = sorted(os.listdir(directory))
    state["thing"] = 1
    dcp.save(state, storage_writer=DcpWriter(f"{directory}/f-2"))
    dist.barrier()
    return before, sorted(os.listdir(directory))


def fail_lazily(directory: str) -> list[str]:
    """A lazy asynchronous save that ends before it has read the tensors of rank 0."""
    state = {"thing": object(), "w": torch.ones(3)}
    writer = DcpWriter(f"{directory}/l-1", lazy=True)
    response = dcp.async_save(state, storage_writer=writer)
    told = [failure_of(lambda: response.upload_completion.result(300))]
    for wait in (writer.wait_staged, lambda: response.staging_completion.result(300)):
        try:
            wait()
        except waypost.Error as error:
            told.append(str(error))
    writer.close()
    return told


def fail_to_load(directory: str, how: str) -> str:
    net, optimizer = make("fsdp", 4)
    state = state_of(net, optimizer, **dict.fromkeys(VALUES))
    path = f"{directory}/m-7"
    planner = None
    if how == "missing":
        path = f"{directory}/m-8"
    elif how == "key":
        state["more"] = torch.zeros(2)
    elif how == "planner":
        planner = type("Loading", (DefaultLoadPlanner,), {"load_bytes": lambda self, item, value: None})()
    return failure_of(lambda: dcp.load(state, storage_reader=DcpReader(path), planner=planner))


def die_in_save(directory: str) -> str:
    """Rank 1 is killed in its write_data; what the others see is the process group's error."""
    net, optimizer = make("fsdp", 5)
    planner = FailingPlanner(lambda: os.kill(os.getpid(), signal.SIGKILL))
    try:
        dcp.save(state_of(net, optimizer), storage_writer=DcpWriter(f"{directory}/m-7"), planner=planner)
    except Exception as error:
        # Killed with it, so that what it has written stays.
        Path(directory, f"seen-{dist.get_rank()}").write_text(str(error))
        os.kill(os.getpid(), signal.SIGKILL)
    return "nothing"


def save_cached(directory: str) -> None:
    """Plans that DCP caches go to another path with the next save."""
    net, optimizer = make("fsdp", 6)
    writer = DcpWriter()
    for step in range(3):
        train(net, optimizer, 1)
        state = state_of(net, optimizer, step=step)
        write_expected(directory, f"c-{step}", state)
        dcp.save(
            state,
            checkpoint_id=f"{directory}/c-{step}",
            storage_writer=writer,
            planner=DefaultSavePlanner(enable_plan_caching=True),
        )
        dcp.load(state, storage_reader=DcpReader(f"{directory}/c-{step}"))
        check_expected(directory, f"c-{step}", state)


def run(rank: int, world: int, directory: str, scenario: str, arguments: dict[str, Any], store: str) -> dict[str, Any]:
    """One rank's part in a scenario: what it returned, or its error."""
    try:
        if world > 1:
            dist.init_process_group(
                "gloo", store=dist.FileStore(store, world), rank=rank, world_size=world, timeout=TIMEOUT
            )
        value = globals()[scenario](directory, **arguments)
        if world > 1:
            dist.barrier()
        return {"value": value}
    except BaseException:
        return {"error": traceback.format_exc()}
    finally:
        if dist.is_initialized():
            dist.destroy_process_group()


def serve(connection: Connection) -> None:
    """A process's life: runs what it is asked for, until the connection ends."""
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    try:
        while True:
            connection.send(run(**connection.recv()))
    except EOFError:
        return
