"""Transformers' Trainer with Waypost: resuming equals not stopping, retention, what is passed over, and errors."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import waypost
from waypost import Engine
from waypost._publisher import prefix_of

torch = pytest.importorskip("torch", reason="needs PyTorch")
transformers = pytest.importorskip("transformers", reason="needs Transformers")
pytest.importorskip("accelerate", reason="Transformers' Trainer needs Accelerate")

from torch.optim import optimizer as optimizers  # noqa: E402
from waypost import _rng  # noqa: E402
from waypost.transformers import (  # noqa: E402
    WaypostCallback,
    WaypostTrainer,
    WaypostTrainerMixin,
    latest_checkpoint,
)

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning")


def model(seed: int = 1, words: int = 32) -> Any:
    """Tiny, with dropout, so that the random numbers count, and tied embeddings."""
    torch.manual_seed(seed)
    config = transformers.GPT2Config(vocab_size=words, n_positions=8, n_embd=16, n_layer=2, n_head=2)
    return transformers.GPT2LMHeadModel(config)


def data(count: int = 32, stride: int = 8) -> list[dict[str, Any]]:
    rows = (stride * torch.arange(count).reshape(count, 1) + torch.arange(8)) % 29
    return [{"input_ids": row, "labels": row} for row in rows]


class Stop(transformers.TrainerCallback):
    """Ends the training as a crash would: with an exception."""

    def __init__(self, step: int) -> None:
        self.step = step

    def on_step_end(self, args: Any, state: Any, control: Any, **others: Any) -> None:
        if state.global_step == self.step:
            raise KeyboardInterrupt


class Weights(transformers.TrainerCallback):
    """The weights after each step."""

    def __init__(self) -> None:
        self.seen: dict[int, dict[str, Any]] = {}

    def on_step_end(self, args: Any, state: Any, control: Any, *, model: Any, **others: Any) -> None:
        self.seen[state.global_step] = {name: value.clone() for name, value in model.state_dict().items()}


def trainer(
    root: Path, callbacks: tuple[Any, ...] = (), seed: int = 1, kind: Any = WaypostTrainer, **options: Any
) -> Any:
    given = {
        "max_steps": 10,
        "per_device_train_batch_size": 4,
        "save_steps": 3,
        "logging_steps": 1,
        "learning_rate": 0.01,
        "warmup_steps": 3,
        "report_to": [],
        "use_cpu": True,
        "disable_tqdm": True,
    }
    engine = options.pop("waypost_engine", None)
    words = options.pop("words", 32)
    evaluated = options.pop("eval_dataset", None)
    trained = options.pop("train_dataset", data())
    args = transformers.TrainingArguments(str(root), **(given | options))
    return kind(
        model(seed, words),
        args,
        train_dataset=trained,
        eval_dataset=evaluated,
        callbacks=list(callbacks),
        waypost_engine=engine,
    )


def assert_equal(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert one.keys() == other.keys()
    for name, value in one.items():
        assert torch.equal(value, other[name]), name


def checkpoints(root: Path) -> list[str]:
    return sorted(name for name in os.listdir(root) if name.startswith((".", "checkpoint")))


def scramble() -> None:
    random.seed(99)
    np.random.seed(99)
    torch.manual_seed(99)


def test_resuming_equals_not_stopping(tmp_path: Path) -> None:
    whole = trainer(tmp_path / "whole")
    whole.train()

    with pytest.raises(KeyboardInterrupt):
        trainer(tmp_path / "cut", (Stop(8),)).train()
    assert checkpoints(tmp_path / "cut") == ["checkpoint-3", "checkpoint-6"]

    scramble()
    resumed = trainer(tmp_path / "cut", seed=2)
    resumed.train(resume_from_checkpoint=True)
    assert_equal(resumed.model.state_dict(), whole.model.state_dict())
    assert resumed.state.global_step == 10
    assert [entry.get("loss") for entry in resumed.state.log_history] == [
        entry.get("loss") for entry in whole.state.log_history
    ]
    assert resumed.model.lm_head.weight is resumed.model.transformer.wte.weight


def test_a_checkpoint_holds_its_step_and_no_pickle(tmp_path: Path) -> None:
    # So slow that the next step would come too early: without the wait before it, saves fail.
    with Engine(staging_bytes=16 << 20, write_bytes_per_second_max=96 << 20, check_stable="all") as engine:
        weights = Weights()
        trainer(tmp_path, (weights,), waypost_engine=engine, words=300_000).train()
    assert checkpoints(tmp_path) == ["checkpoint-10", "checkpoint-3", "checkpoint-6", "checkpoint-9"]
    for step in (3, 6, 9, 10):
        loaded = waypost.load(prefix_of(tmp_path / f"checkpoint-{step}"))
        assert_equal(loaded["model"], weights.seen[step])
        assert json.loads(loaded["trainer_state"])["global_step"] == step
        assert loaded["scheduler"]["last_epoch"] == step
    beside = set(os.listdir(tmp_path / "checkpoint-3"))
    assert {"state.index", "config.json", "trainer_state.json", "training_args.json"} <= beside
    assert not [name for name in beside if name.endswith((".bin", ".pt", ".pth", ".pkl", ".safetensors"))]


def slow_engine() -> Engine:
    """One that still reads weights of 300,000 words when a save has returned, and notices when they change."""
    return Engine(staging_bytes=16 << 20, write_bytes_per_second_max=96 << 20, check_stable="all")


class Terminated(WaypostTrainer):
    """Asks for the JIT checkpoint where SIGTERM does, between the backward pass and the step."""

    found: bool | None = None

    def training_step(self, *args: Any, **options: Any) -> Any:
        loss = super().training_step(*args, **options)
        if self.state.global_step == 2:
            callback = next(each for each in self.callback_handler.callbacks if hasattr(each, "jit_manager"))
            callback.jit_manager.is_checkpoint_requested = True
        return loss

    def _save_checkpoint(self, *args: Any, **options: Any) -> None:
        super()._save_checkpoint(*args, **options)
        self.found = waypost.checkpoint.exists(prefix_of(Path(self.args.output_dir) / "checkpoint-2"))


def test_the_checkpoint_of_a_sigterm_is_there_and_whole(tmp_path: Path) -> None:
    # Proves that it is committed before Transformers goes on to end the process, and holds one step only.
    weights = Weights()
    with slow_engine() as engine:
        fit = trainer(
            tmp_path,
            (weights,),
            kind=Terminated,
            enable_jit_checkpoint=True,
            save_steps=100,
            waypost_engine=engine,
            words=300_000,
        )
        fit.train()
    assert fit.found
    assert checkpoints(tmp_path) == ["checkpoint-2"]
    loaded = waypost.load(prefix_of(tmp_path / "checkpoint-2"))
    assert_equal(loaded["model"], weights.seen[2])
    assert loaded["scheduler"]["last_epoch"] == 2


def test_the_wait_is_in_the_step_itself(tmp_path: Path) -> None:
    # Proves that no callback can pass it by, that it ends with the training, and is in no optimizer.
    class Looks(Weights):
        def on_step_end(self, args: Any, state: Any, control: Any, *, optimizer: Any, **others: Any) -> None:
            super().on_step_end(args, state, control, **others)
            assert not optimizer.optimizer._optimizer_step_pre_hooks

    hooks = dict(optimizers._global_optimizer_pre_hooks)
    weights = Looks()
    with slow_engine() as engine:
        fit = trainer(tmp_path, (weights, Stop(5)), save_steps=1, waypost_engine=engine, words=300_000)
        fit.remove_callback(WaypostCallback)
        with pytest.raises(KeyboardInterrupt):
            fit.train()
    assert checkpoints(tmp_path) == [f"checkpoint-{step}" for step in (1, 2, 3, 4)]
    for step in (1, 2, 3, 4):
        assert_equal(waypost.load(prefix_of(tmp_path / f"checkpoint-{step}"))["model"], weights.seen[step])
    assert hooks == dict(optimizers._global_optimizer_pre_hooks)


def test_retention_keeps_the_newest_and_the_best(tmp_path: Path) -> None:
    fit = trainer(
        tmp_path,
        max_steps=15,
        save_total_limit=2,
        eval_strategy="steps",
        eval_steps=3,
        eval_dataset=data(8),
        load_best_model_at_end=True,
        metric_for_best_model="loss",
        greater_is_better=True,  # the first is the best: the newest and it stay
    )
    fit.train()
    assert checkpoints(tmp_path) == ["checkpoint-15", "checkpoint-3"]
    assert fit.state.best_model_checkpoint == str(tmp_path / "checkpoint-3")
    assert_equal(fit.model.state_dict(), waypost.load(prefix_of(tmp_path / "checkpoint-3"))["model"])


def test_retention_counts_committed_checkpoints_only(tmp_path: Path) -> None:
    (tmp_path / "checkpoint-1").mkdir()  # a directory of that name, and no checkpoint
    trainer(tmp_path, save_total_limit=2).train()
    assert checkpoints(tmp_path) == ["checkpoint-1", "checkpoint-10", "checkpoint-9"]


def test_what_is_cut_off_or_damaged_is_passed_over(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert latest_checkpoint(tmp_path / "none") is None
    trainer(tmp_path, max_steps=9).train()
    (tmp_path / "checkpoint-12").mkdir()
    assert latest_checkpoint(tmp_path) == str(tmp_path / "checkpoint-9")
    file = next((tmp_path / "checkpoint-9").glob("state.data-*"))
    damaged = bytearray(file.read_bytes())
    damaged[100] ^= 1
    file.write_bytes(damaged)
    assert latest_checkpoint(tmp_path) == str(tmp_path / "checkpoint-6")
    assert "checkpoint-9 is damaged and passed over" in caplog.text


def test_the_trainer_s_state_is_that_of_the_checkpoint(tmp_path: Path) -> None:
    trainer(tmp_path, max_steps=3).train()
    file = tmp_path / "checkpoint-3" / "trainer_state.json"
    text = file.read_text()
    file.write_text(text.replace('"global_step": 3', '"global_step": 2'))
    resumed = trainer(tmp_path, max_steps=4)
    resumed.train(resume_from_checkpoint=str(tmp_path / "checkpoint-3"))
    assert resumed.state.global_step == 4
    assert file.read_text() == text


def test_a_failed_save_ends_the_training(tmp_path: Path) -> None:
    class InTheWay(transformers.TrainerCallback):
        def on_step_end(self, args: Any, state: Any, control: Any, **others: Any) -> None:
            if state.global_step == 5:
                (tmp_path / "checkpoint-6").write_text("a file")

    with pytest.raises(waypost.AlreadyExistsError, match="checkpoint-6"):
        trainer(tmp_path, (InTheWay(),)).train()
    assert latest_checkpoint(tmp_path) == str(tmp_path / "checkpoint-3")


def test_a_callback_may_write_into_the_checkpoint(tmp_path: Path) -> None:
    class Writes(transformers.TrainerCallback):
        def on_save(self, args: Any, state: Any, control: Any, **others: Any) -> None:
            directory = tmp_path / f"checkpoint-{state.global_step}"
            directory.mkdir(exist_ok=True)
            (directory / "metrics.json").write_text("{}")

    trainer(tmp_path, (Writes(),)).train()
    assert latest_checkpoint(tmp_path) == str(tmp_path / "checkpoint-10")
    for path in tmp_path.glob("checkpoint-*"):
        assert {"metrics.json", "config.json", "state.index"} <= set(os.listdir(path))
    assert not list(tmp_path.glob(".*"))


def test_wrong_use_is_refused(tmp_path: Path) -> None:
    with pytest.raises(waypost.NotFoundError, match="no whole checkpoint"):
        trainer(tmp_path).train(resume_from_checkpoint=True)
    with pytest.raises(waypost.NotFoundError, match="no checkpoint of Waypost"):
        trainer(tmp_path).train(resume_from_checkpoint=str(tmp_path))
    trainer(tmp_path, max_steps=3, save_only_model=True).train()
    with pytest.raises(waypost.NotFoundError, match="it has no optimizer"):
        trainer(tmp_path).train(resume_from_checkpoint=True)
    with pytest.raises(waypost.UnimplementedError, match="push_to_hub"):
        trainer(tmp_path, push_to_hub=True, hub_token="none")


def test_another_model_is_refused(tmp_path: Path) -> None:
    trainer(tmp_path, max_steps=3).train()
    other = trainer(tmp_path)
    other.model.lm_head = torch.nn.Linear(16, 32, bias=True)
    with pytest.raises(waypost.NotFoundError, match=r"lm_head\.bias"):
        other.train(resume_from_checkpoint=True)
    del other.model.transformer.h[1]
    other.model.lm_head = torch.nn.Linear(16, 32, bias=False)
    with pytest.raises(waypost.InvalidArgumentError, match=r"the module has no model/transformer\.h\.1\."):
        other.train(resume_from_checkpoint=True)


def test_the_mixin_goes_before_other_trainers(tmp_path: Path) -> None:
    class Seq2Seq(WaypostTrainerMixin, transformers.Seq2SeqTrainer):  # type: ignore[misc, name-defined]
        pass

    args = transformers.Seq2SeqTrainingArguments(str(tmp_path), max_steps=2, report_to=[], use_cpu=True)
    Seq2Seq(model(), args, train_dataset=data()).train()
    assert latest_checkpoint(tmp_path) == str(tmp_path / "checkpoint-2")


def test_two_processes_resume_as_one_job(tmp_path: Path) -> None:
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    job = subprocess.run([*launch, __file__, str(tmp_path)], capture_output=True, text=True, timeout=600)
    assert job.returncode == 0, job.stderr[-3000:]
    for rank in (0, 1):
        whole = waypost.load(str(tmp_path / f"whole-{rank}"))
        resumed = waypost.load(str(tmp_path / f"resumed-{rank}"))
        assert_equal(whole["model"], resumed["model"])
        assert_equal(whole["random"], resumed["random"])


def one_of_two(root: Path) -> None:
    """What each of the two processes does."""
    for mode in ("whole", "cut", "resumed"):
        where = root / ("whole" if mode == "whole" else "cut")
        fit = trainer(
            where,
            # Rows alike: in what order several processes see them after a resume is Transformers' matter.
            train_dataset=data(stride=0),
            max_steps=4 if mode == "cut" else 6,
            save_steps=4,
            per_device_train_batch_size=2,
            lr_scheduler_type="constant",
        )
        if mode == "resumed":
            scramble()
        fit.train(resume_from_checkpoint=mode == "resumed")
        tree = {"model": fit.model.state_dict(), "random": _rng._state()}
        waypost.save(root / f"{mode}-{fit.args.process_index}", tree, update_state=False)


if __name__ == "__main__":
    one_of_two(Path(sys.argv[1]))
