"""Accelerate with Waypost: all of an Accelerator's state comes back, without pickle; with the hooks, its models do."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import waypost
from waypost import Engine
from waypost._publisher import prefix_of

torch = pytest.importorskip("torch", reason="needs PyTorch")
accelerate = pytest.importorskip("accelerate", reason="needs Accelerate")

from waypost import _rng  # noqa: E402
from waypost.accelerate import load_state, register, save_state  # noqa: E402


@pytest.fixture(autouse=True)
def _own_state() -> Iterator[None]:
    """Accelerate keeps one state for the process."""
    yield
    accelerate.state.AcceleratorState._reset_state(reset_partial_state=True)


class Counter:
    """An object with a state, for register_for_checkpointing."""

    def __init__(self) -> None:
        self.count = 0

    def state_dict(self) -> dict[str, Any]:
        return {"count": self.count, "history": [0.5, "text"]}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.count = state["count"]


class Job:
    """A model with dropout and batch norm, trained for a while."""

    def __init__(self, seed: int = 1, width: int = 8, models: int = 1) -> None:
        torch.manual_seed(seed)
        self.accelerator = accelerate.Accelerator(cpu=True)
        net = torch.nn.Sequential(
            torch.nn.Linear(4, width), torch.nn.BatchNorm1d(width), torch.nn.Dropout(0.5), torch.nn.Linear(width, 1)
        )
        optimizer = torch.optim.AdamW(net.parameters(), lr=0.1)
        schedule = torch.optim.lr_scheduler.StepLR(optimizer, 2)
        self.net, self.optimizer, self.schedule = self.accelerator.prepare(net, optimizer, schedule)
        for _ in range(models - 1):
            self.accelerator.prepare(torch.nn.Linear(2, 2))
        self.counter = Counter()
        self.accelerator.register_for_checkpointing(self.counter)

    def step(self) -> None:
        with self.accelerator.accumulate(self.net):
            loss = self.net(torch.randn(4, 4) + random.random() + float(np.random.rand())).pow(2).mean()
            self.accelerator.backward(loss)
            self.optimizer.step()
            self.schedule.step()
            self.optimizer.zero_grad()
        self.counter.count += 1

    def weights(self) -> dict[str, Any]:
        model = self.accelerator.unwrap_model(self.net)
        return {name: value.clone() for name, value in model.state_dict().items()}


def scramble() -> None:
    random.seed(99)
    np.random.seed(99)
    torch.manual_seed(99)


def assert_equal(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert one.keys() == other.keys()
    for name, value in one.items():
        assert torch.equal(value, other[name]), name


def steps(job: Job, count: int) -> None:
    for _ in range(count):
        job.step()


def test_resuming_equals_not_stopping(tmp_path: Path) -> None:
    whole = Job()
    steps(whole, 3)
    assert save_state(whole.accelerator, tmp_path) is None
    assert sorted(os.listdir(tmp_path)) == ["state.data-00000-of-00001", "state.index"]
    steps(whole, 3)

    scramble()
    resumed = Job(seed=2)
    load_state(resumed.accelerator, tmp_path)
    assert resumed.counter.count == 3
    steps(resumed, 3)
    assert_equal(resumed.weights(), whole.weights())
    assert resumed.schedule.get_last_lr() == whole.schedule.get_last_lr()
    assert resumed.accelerator.step == whole.accelerator.step


def test_an_asynchronous_save_keeps_its_step(tmp_path: Path) -> None:
    job = Job(width=100_000)
    job.step()
    with Engine(staging_bytes=16 << 20, write_bytes_per_second_max=16 << 20, check_stable="all") as engine:
        handle = save_state(job.accelerator, tmp_path, asynchronous=True, engine=engine)
        weights = job.weights()
        assert handle is not None
        # A forward pass changes the statistics of the batch norm.
        loss = job.net(torch.randn(4, 4)).sum()
        job.accelerator.backward(loss)
        handle.wait_staged()
        job.optimizer.step()
        handle.wait_committed()
    assert_equal(waypost.load(prefix_of(tmp_path))["models"][0], weights)


def test_the_hooks_take_the_models_over(tmp_path: Path) -> None:
    job = Job(models=2)
    register(job.accelerator)
    steps(job, 2)
    weights = job.weights()
    job.accelerator.save_state(str(tmp_path))
    assert not list(tmp_path.glob("*.safetensors"))
    assert not list(tmp_path.glob("pytorch_model*"))
    assert_equal(waypost.load(prefix_of(tmp_path))["models"][0], weights)
    steps(job, 2)
    job.accelerator.load_state(str(tmp_path))
    assert_equal(job.weights(), weights)
    assert job.counter.count == 2


@pytest.mark.parametrize("with_hooks", [False, True])
def test_a_model_without_tensors_is_one_of_them(tmp_path: Path, with_hooks: bool) -> None:
    # Proved: a loss function that was given to prepare() counts as a model in what is saved and loaded.
    job = Job()
    job.accelerator.prepare(torch.nn.CrossEntropyLoss())
    job.accelerator.prepare(torch.nn.Linear(2, 2))
    save, load = save_state, load_state
    if with_hooks:
        register(job.accelerator)
        save, load = accelerate.Accelerator.save_state, accelerate.Accelerator.load_state
    weights = job.weights()
    save(job.accelerator, str(tmp_path))
    job.step()
    load(job.accelerator, str(tmp_path))
    assert_equal(job.weights(), weights)
    job.accelerator._models.pop()
    with pytest.raises(waypost.InvalidArgumentError, match="it has 3 models, and there are 2"):
        load(job.accelerator, str(tmp_path))


def test_with_the_hooks_older_directories_are_loaded(tmp_path: Path) -> None:
    job = Job()
    job.step()
    weights = job.weights()
    job.accelerator.save_state(str(tmp_path))
    job.step()
    register(job.accelerator)
    job.accelerator.load_state(str(tmp_path))
    assert_equal(job.weights(), weights)


def test_what_cannot_be_saved_is_named(tmp_path: Path) -> None:
    job = Job()
    job.counter.state_dict = lambda: {"odd": object()}  # type: ignore[method-assign]
    with pytest.raises(waypost.InvalidArgumentError, match=r"tree\['objects'\]\[0\]\['odd'\]"):
        save_state(job.accelerator, tmp_path)
    assert os.listdir(tmp_path) == []


def test_another_job_s_state_is_refused(tmp_path: Path) -> None:
    job = Job(models=2)
    save_state(job.accelerator, tmp_path)
    with pytest.raises(waypost.NotFoundError, match="no checkpoint of Waypost"):
        load_state(job.accelerator, tmp_path / "none")
    weights = job.weights()
    job.accelerator._custom_objects.append(Counter())
    with pytest.raises(waypost.InvalidArgumentError, match="it has 1 objects, and there are 2"):
        load_state(job.accelerator, tmp_path)
    assert_equal(job.weights(), weights)
    del job.accelerator._custom_objects[1], job.accelerator._models[1]
    with pytest.raises(waypost.InvalidArgumentError, match="it has 2 models, and there are 1"):
        load_state(job.accelerator, tmp_path)
    wider = Job(width=9, models=2)
    with pytest.raises(waypost.InvalidArgumentError, match=r"models/0/0\.weight"):
        load_state(wider.accelerator, tmp_path)


def test_a_state_of_random_numbers_that_is_none_is_refused() -> None:
    state = {name: value.unsqueeze(0) for name, value in _rng._state().items()}
    assert _rng.restore(state, 0)
    assert not _rng.restore(state, 1)
    with pytest.raises(waypost.DataLossError, match="random number generators"):
        _rng.restore(state | {"python": torch.zeros(1, 3)}, 0)


def test_random_numbers_go_on(seed: int) -> None:
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)
    random.gauss(0, 1)  # leaves a spare one
    np.random.randn()
    state = {name: value.unsqueeze(0) for name, value in _rng._state().items()}

    def drawn() -> list[float]:
        return [random.gauss(0, 1), random.random(), np.random.randn(), np.random.rand(), torch.rand(()).item()]

    first = drawn()
    drawn()
    assert _rng.restore(state, 0)
    assert drawn() == first


def test_two_processes_resume_as_one_job(tmp_path: Path) -> None:
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    job = subprocess.run([*launch, __file__, str(tmp_path)], capture_output=True, text=True, timeout=600)
    assert job.returncode == 0, job.stderr[-3000:]


def one_of_two(root: Path) -> None:
    """What each of the two processes does."""
    whole = Job()
    torch.manual_seed(whole.accelerator.process_index)
    steps(whole, 2)
    save_state(whole.accelerator, root)
    steps(whole, 2)
    scramble()
    resumed = Job(seed=2)
    load_state(resumed.accelerator, root)
    steps(resumed, 2)
    assert_equal(resumed.weights(), whole.weights())


if __name__ == "__main__":
    one_of_two(Path(sys.argv[1]))
