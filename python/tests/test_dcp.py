"""torch.distributed.checkpoint through Waypost, on several processes with gloo.

Proved: what FSDP2, HSDP, tensor-parallel and mixed jobs save is one checkpoint, equal bit by bit when it is loaded on
another number of ranks, sharded in another way, or in one process by Waypost alone; asynchronous saves hold the state
of the moment they were started; a failure on one rank is raised on all of them, and leaves the old checkpoint and
nothing else; a rank that is killed does so too.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")

import waypost  # noqa: E402
import waypost.torch  # noqa: E402

TIMEOUT_SECONDS = 600.0


class Worker:
    """A process that runs scenarios of dcp_worker.py."""

    def __init__(self, context: Any) -> None:
        import dcp_worker

        self._connection, other = context.Pipe()
        self.process = context.Process(target=dcp_worker.serve, args=(other,), daemon=True)
        self.process.start()
        other.close()

    def start(self, **what: Any) -> None:
        self._connection.send(what)

    def outcome(self, seconds: float) -> dict[str, Any]:
        try:
            if self._connection.poll(seconds):
                found: dict[str, Any] = self._connection.recv()
                return found
            return {"error": "hung"}
        except EOFError:
            return {"error": "died"}

    def end(self) -> None:
        self._connection.close()
        self.process.kill()
        self.process.join()


class Workers:
    """As many as are needed, forked from a process that has imported the module and used none of it."""

    def __init__(self) -> None:
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(["dcp_worker"])
        self._idle: list[Worker] = []

    def run(self, world: int, **what: Any) -> list[dict[str, Any]]:
        while len(self._idle) < world:
            self._idle.append(Worker(self._context))
        workers = self._idle[:world]
        for rank, worker in enumerate(workers):
            worker.start(rank=rank, world=world, **what)
        end = time.monotonic() + TIMEOUT_SECONDS
        outcomes = [worker.outcome(max(0.0, end - time.monotonic())) for worker in workers]
        if any("error" in outcome for outcome in outcomes):
            self.end()
        return outcomes

    def end(self) -> None:
        for worker in self._idle:
            worker.end()
        self._idle = []


@pytest.fixture(scope="module")
def workers() -> Iterator[Workers]:
    sys.path.insert(0, str(Path(__file__).parent))
    made = Workers()
    yield made
    made.end()
    sys.path.remove(str(Path(__file__).parent))


class Ranks:
    """Runs scenarios on several ranks, in one directory."""

    def __init__(self, workers: Workers, path: Path) -> None:
        self._workers = workers
        self._stores = path
        self._count = 0
        self.directory = path / "ckpt"
        self.directory.mkdir()

    def run(self, world: int, scenario: str, **arguments: Any) -> list[Any]:
        """What each rank returns."""
        outcomes = self.run_to_death(world, scenario, **arguments)
        errors = [f"rank {rank}: {outcome['error']}" for rank, outcome in enumerate(outcomes) if "error" in outcome]
        assert not errors, "\n".join(errors)
        return [outcome["value"] for outcome in outcomes]

    def run_to_death(self, world: int, scenario: str, **arguments: Any) -> list[dict[str, Any]]:
        self._count += 1
        return self._workers.run(
            world,
            directory=str(self.directory),
            scenario=scenario,
            arguments=arguments,
            store=str(self._stores / f"store-{self._count}"),
        )

    def files(self) -> list[str]:
        """Of checkpoints, without those of the expected values."""
        return sorted(name for name in os.listdir(self.directory) if not name.endswith(".npz"))


@pytest.fixture
def ranks(workers: Workers, tmp_path: Path) -> Ranks:
    return Ranks(workers, tmp_path)


def assert_whole(ranks: Ranks, name: str = "m-7") -> None:
    """The checkpoint is there, and no part or other leftover."""
    prefix = str(ranks.directory / name)
    assert [finding.damage for finding in waypost.verify(prefix, progress=False)] == [[]]
    assert {file for file in ranks.files() if file.startswith(name)} == {
        file for file in ranks.files() if file == f"{name}.index" or file.startswith(f"{name}.data-")
    }
    ranks.run(1, "load", kind="plain", name=name)


# ---- Resharding ----


def test_fsdp_of_four_ranks_is_loaded_on_two_and_one(ranks: Ranks) -> None:
    ranks.run(4, "save", kind="fsdp")
    assert waypost.latest(ranks.directory) == str(ranks.directory / "m-7")
    assert len(set(ranks.run(2, "load", kind="fsdp"))) == 1
    assert_whole(ranks)


def test_tensor_parallel_of_two_by_two_is_loaded_on_one_and_elsewhere(ranks: Ranks) -> None:
    ranks.run(4, "save", kind="fsdp_tp")
    # PyTorch does not compute with shards of several sizes there, but has them.
    ranks.run(3, "load", kind="tp", steps=0)
    assert_whole(ranks)


def test_replicas_are_written_once(ranks: Ranks) -> None:
    ranks.run(4, "save", kind="hsdp")
    infos = {info.name: info for info in waypost.list(ranks.directory / "m-7")}
    # Two shards, each in one of the two replicas.
    assert len(infos["model/up.weight"].extents) == 2
    assert infos["model/up.weight"].size_bytes == 10 * 6 * 4
    ranks.run(2, "load", kind="fsdp")
    assert_whole(ranks)


def test_one_process_saves_for_many(ranks: Ranks) -> None:
    """And the other way round: Waypost alone reads what they save."""
    import dcp_worker

    net, optimizer = dcp_worker.make("plain", 1)
    dcp_worker.train(net, optimizer, 2)
    state = dcp_worker.state_of(net, optimizer, **dcp_worker.VALUES)
    waypost.save(ranks.directory / "m-7", state)
    import numpy as np

    np.savez(ranks.directory / "m-7.npz", **dcp_worker.tensors_of(state))
    ranks.run(2, "load", kind="tp")

    ranks.run(2, "save", kind="tp", name="m-8")
    loaded = waypost.load(ranks.directory / "m-8", progress=False)
    assert {key: loaded[key] for key in dcp_worker.VALUES} == dcp_worker.VALUES
    dcp_worker.check_expected(str(ranks.directory), "m-8", loaded)
    waypost.restore(ranks.directory / "m-8", into=state, progress=False)
    dcp_worker.check_expected(str(ranks.directory), "m-8", state)


# ---- While the job goes on ----


@pytest.mark.parametrize("lazy", [False, True])
def test_async_save_holds_the_state_of_its_moment(ranks: Ranks, lazy: bool) -> None:
    ranks.run(2, "save_async", lazy=lazy)
    import dcp_worker
    import numpy as np

    # max_to_keep is 2.
    assert not waypost.exists(ranks.directory / "a-0")
    for step in (1, 2):
        loaded = waypost.load(ranks.directory / f"a-{step}", progress=False)
        assert loaded["step"] == step
        assert dcp_worker.check_expected(str(ranks.directory), f"a-{step}", loaded) > 10
    first, second = (np.load(ranks.directory / f"a-{step}.npz") for step in (1, 2))
    assert not np.array_equal(first["model/up.weight"], second["model/up.weight"])


def test_cached_plans_go_where_the_save_goes(ranks: Ranks) -> None:
    ranks.run(2, "save_cached")


# ---- Failures ----


def test_a_failing_rank_fails_all_and_leaves_the_old_checkpoint(ranks: Ranks) -> None:
    ranks.run(2, "save", kind="fsdp")
    files = ranks.files()
    for how, what in {
        "object": "InvalidArgumentError: tree['thing/inner']: a builtins.object is no part of a tree",
        "planner": "1: OSError: planted",
        "name": "model/count",
        "path": "1: FailedPreconditionError: DcpWriter: no path",
        "staging": "1: TypeError",
    }.items():
        told = ranks.run(2, "fail_to_save", how=how)
        assert told[0] == told[1], how
        assert what in told[0], how
        assert ranks.files() == files, how
    assert_whole(ranks)


def test_parts_of_a_failed_save_go_with_the_next(ranks: Ranks) -> None:
    before, after = ranks.run(2, "fail_and_go_on")[0]
    assert not [name for name in before if name in ("f-1.index", "checkpoint")]
    assert [name for name in after if ".rank-" in name or name.startswith("f-1")] == []
    assert waypost.load(ranks.directory / "f-2", progress=False)["thing"] == 1


def test_a_lazy_save_that_fails_lets_go_of_who_waits(ranks: Ranks) -> None:
    for told in ranks.run(2, "fail_lazily"):
        assert "thing: a builtins.object is no part of a tree" in told[0].replace("tree['thing']", "thing")
        assert told[1:] in ([], [told[-1]] * 2)
    assert ranks.files() == []


def test_a_load_that_fails_on_one_rank_fails_on_all(ranks: Ranks) -> None:
    ranks.run(2, "save", kind="fsdp")
    for how, what in {"missing": "m-8", "key": "more", "planner": "load_object(read_item, value)"}.items():
        told = ranks.run(2, "fail_to_load", how=how)
        assert told[0] == told[1], how
        assert what in told[0], how
    # One byte of a shard that rank 1 alone reads.
    info = next(info for info in waypost.list(ranks.directory / "m-7") if info.name == "model/up.weight")
    extent = next(extent for extent in info.extents if extent.slice[0][0] > 0)
    path = next(ranks.directory.glob(f"m-7.data-{extent.shard:05d}-of-*"))
    content = bytearray(path.read_bytes())
    content[extent.offset] ^= 1
    path.write_bytes(content)
    told = ranks.run(2, "fail_to_load", how="damage")
    assert told[0] == told[1]
    assert told[0].startswith("1: DataLossError")
    assert "model/up.weight" in told[0]


def test_a_killed_rank_leaves_the_old_checkpoint(ranks: Ranks) -> None:
    ranks.run(4, "save", kind="fsdp")
    files = ranks.files()
    assert ranks.run_to_death(4, "die_in_save") == [{"error": "died"}] * 4
    assert sorted(path.name for path in ranks.directory.glob("seen-*")) == ["seen-0", "seen-2", "seen-3"]
    for path in ranks.directory.glob("seen-*"):
        path.unlink()
    assert set(ranks.files()) > set(files), "what the others have written was to stay for the next save to remove"
    ranks.run(1, "load", kind="plain")
    ranks.run(2, "save", kind="fsdp", seed=8)
    assert_whole(ranks)
