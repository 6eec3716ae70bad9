"""What is read of an open checkpoint is of one save, whatever becomes of its prefix; so is what one call reads."""

from __future__ import annotations

import copy
import gc
import os
import pickle
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import waypost
from waypost.checkpoint import CopyLoader

torch = pytest.importorskip("torch")

import waypost.torch  # noqa: E402
import waypost.train  # noqa: E402


def tree(number: int) -> dict[str, Any]:
    """All kinds of leaves, of another size for each number."""
    return {
        "array": np.full(number, number, np.int32),
        "tensor": torch.full((number, 2), float(number)),
        "text": f"number {number}",
        "number": number,
        "many": [str(i) for i in range(number)],
    }


def assert_is(found: dict[str, Any], number: int) -> None:
    wanted = tree(number)
    assert found.keys() == wanted.keys()
    assert np.array_equal(found.pop("array"), wanted.pop("array"))
    assert torch.equal(found.pop("tensor"), wanted.pop("tensor"))
    assert found == wanted


@pytest.fixture
def checkpoint(prefix: str) -> waypost.OpenCheckpoint:
    """Of tree 3, which tree 5 has replaced since."""
    waypost.save(prefix, tree(3))
    opened = waypost.OpenCheckpoint(prefix)
    waypost.save(prefix, tree(5))
    return opened


@pytest.mark.parametrize("mmap", [False, True])
def test_it_is_loaded(checkpoint: waypost.OpenCheckpoint, prefix: str, mmap: bool) -> None:
    assert_is(waypost.load(checkpoint, mmap=mmap), 3)
    assert waypost.load(checkpoint, ["text"]) == {"text": "number 3"}
    assert_is(waypost.load(prefix, mmap=mmap), 5)


def test_it_is_restored(checkpoint: waypost.OpenCheckpoint, prefix: str) -> None:
    assert_is(waypost.restore(checkpoint, into=tree(3) | {"number": 0, "text": ""}), 3)
    module = torch.nn.Linear(2, 3)
    waypost.save(prefix, waypost.torch.state_of(module=module, step=7))
    opened = waypost.OpenCheckpoint(prefix)
    waypost.save(prefix, {"step": 8})
    into = torch.nn.Linear(2, 3)
    assert waypost.torch.restore(opened, module=into, step=0)["step"] == 7
    assert torch.equal(into.weight, module.weight)
    with pytest.raises(waypost.NotFoundError):
        waypost.torch.restore(prefix, module=into)


def test_it_is_listed(checkpoint: waypost.OpenCheckpoint, prefix: str) -> None:
    assert {info.name: info.shape for info in waypost.list(checkpoint)}["array"] == (3,)
    assert {info.name: info.shape for info in waypost.list(prefix)}["array"] == (5,)
    assert (checkpoint.prefix, repr(checkpoint)) == (prefix, f"<waypost.OpenCheckpoint of {prefix}>")


def removed_but_open(directory: Path) -> list[str]:
    links = [link_of(fd) for fd in os.listdir("/proc/self/fd")]
    return [link for link in links if link.startswith(str(directory)) and link.endswith(" (deleted)")]


def link_of(fd: str) -> str:
    try:
        return os.readlink(f"/proc/self/fd/{fd}")
    except FileNotFoundError:
        return ""  # of listdir itself


def test_it_outlives_its_files(prefix: str, tmp_path: Path) -> None:
    waypost.save(prefix, tree(3))
    checkpoint = waypost.OpenCheckpoint(prefix)
    waypost.remove(prefix)
    assert os.listdir(tmp_path) == ["checkpoint"]
    assert_is(waypost.load(checkpoint), 3)
    assert removed_but_open(tmp_path)
    del checkpoint
    gc.collect()
    assert not removed_but_open(tmp_path)


def test_a_reader_of_tensorflows_name_stays_as_well(prefix: str) -> None:
    waypost.save(prefix, tree(3))
    reader = waypost.train.load_checkpoint(prefix)
    waypost.save(prefix, tree(5))
    assert reader.get_variable_to_shape_map()["array"] == [3]
    assert reader.get_tensor("array").tolist() == [3, 3, 3]


def test_one_call_reads_one_save(prefix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The checkpoint is replaced when a load has seen what is in it, and is about to read the tensors."""
    run = CopyLoader.run

    def replace_first(loader: CopyLoader, *arguments: Any) -> None:
        waypost.save(prefix, tree(5))
        run(loader, *arguments)

    waypost.save(prefix, tree(3))
    monkeypatch.setattr(CopyLoader, "run", replace_first)
    assert_is(waypost.load(prefix), 3)


@pytest.mark.parametrize("what", ["index", "directory", "none"])
def test_what_is_no_checkpoint_is_refused(prefix: str, tmp_path: Path, what: str) -> None:
    waypost.save(prefix, {"a": 1})
    path = {"index": f"{prefix}.index", "directory": str(tmp_path), "none": f"{prefix}-none"}[what]
    with pytest.raises(waypost.NotFoundError if what == "none" else waypost.InvalidArgumentError, match=path):
        waypost.OpenCheckpoint(path)


def test_maps_of_several_loads_do_not_see_each_other(prefix: str) -> None:
    waypost.save(prefix, {"w": torch.arange(1000.0)})
    checkpoint = waypost.OpenCheckpoint(prefix)
    first = waypost.load(checkpoint, mmap=True)["w"]
    first.add_(1)
    second = waypost.load(checkpoint, mmap=True)["w"]
    array = waypost.load(checkpoint, mmap=True, framework="numpy")["w"]
    assert torch.equal(second, torch.arange(1000.0))
    assert np.array_equal(array, np.arange(1000.0))
    second.add_(2)
    assert np.array_equal(array, np.arange(1000.0))
    assert torch.equal(first, torch.arange(1000.0) + 1)


def test_it_is_closed(prefix: str, tmp_path: Path) -> None:
    waypost.save(prefix, tree(3))
    with waypost.OpenCheckpoint(prefix) as checkpoint:
        array = waypost.load(checkpoint, ["array"], mmap=True)["array"]
    waypost.remove(prefix)
    with pytest.raises(waypost.FailedPreconditionError, match="was closed"):
        waypost.load(checkpoint)
    assert array.tolist() == [3, 3, 3]
    checkpoint.close()


def in_child(work: Callable[[], object]) -> int:
    child = os.fork()
    if child == 0:
        status = 1
        try:
            work()
            status = 0
        finally:
            os._exit(status)
    end = time.monotonic() + 120
    while (done := os.waitpid(child, os.WNOHANG)) == (0, 0):
        if time.monotonic() > end:
            os.kill(child, signal.SIGKILL)
        time.sleep(0.01)
    return os.waitstatus_to_exitcode(done[1])


# tools/sanitize_python.sh preloads it.
forks = pytest.mark.skipif(
    "libtsan" in os.environ.get("LD_PRELOAD", ""), reason="the thread sanitizer lets no forked child start threads"
)


@forks
def test_a_forked_child_reads_it(prefix: str) -> None:
    waypost.save(prefix, tree(3))
    checkpoint = waypost.OpenCheckpoint(prefix)
    reader = waypost.train.load_checkpoint(prefix)
    assert reader.get_tensor("text").item() == b"number 3"
    for _ in range(2):
        assert_is(waypost.load(checkpoint), 3)
        assert in_child(lambda: assert_is(waypost.load(checkpoint), 3)) == 0
        assert in_child(lambda: reader.get_tensor("text")) == 0


@forks
def test_a_fork_while_another_thread_reads_another_checkpoint_does_no_harm(prefix: str) -> None:
    waypost.save(prefix, tree(3))
    waypost.save(prefix + "-large", [np.zeros(1)] * 3000)
    end = threading.Event()

    def read() -> None:
        while not end.is_set():
            waypost.list(prefix + "-large")

    thread = threading.Thread(target=read)
    thread.start()
    try:
        for _ in range(5):
            assert in_child(lambda: waypost.list(prefix)) == 0
    finally:
        end.set()
        thread.join()


def test_a_name_that_no_tensor_can_have_is_not_found(prefix: str) -> None:
    waypost.save(prefix, {"a": 1})
    with pytest.raises(waypost.NotFoundError, match="no tensor"):
        waypost.load(prefix, ["\ud800"])


def test_the_entry_of_the_tree_is_loaded_by_its_name(prefix: str) -> None:
    waypost.save(prefix, {"a": 1})
    assert b'"a"' in waypost.load(prefix, ["_WAYPOST_TREE"])["_WAYPOST_TREE"][()]


def test_a_metadata_of_dcp_can_be_copied(prefix: str) -> None:
    waypost.save(prefix, tree(3))
    metadata = waypost.torch.DcpReader(prefix).read_metadata()
    assert copy.deepcopy(metadata).state_dict_metadata == metadata.state_dict_metadata
    pickled = pickle.dumps(metadata)
    waypost.save(prefix, tree(5))
    with pytest.raises(waypost.AbortedError, match="replaced meanwhile"):
        pickle.loads(pickled)
