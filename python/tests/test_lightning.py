"""Lightning's Trainer with Waypost: resuming equals not stopping, retention, paths, refusals, and kills."""

from __future__ import annotations

import enum
import os
import pickle
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import waypost
from waypost import Engine, _publisher
from waypost._publisher import prefix_of

torch = pytest.importorskip("torch", reason="needs PyTorch")
pl = pytest.importorskip("lightning.pytorch", reason="needs Lightning")

from lightning.pytorch.callbacks import (  # noqa: E402
    BatchSizeFinder,
    EarlyStopping,
    LearningRateFinder,
    ModelCheckpoint,
    StochasticWeightAveraging,
)
from torch.optim import optimizer as optimizers  # noqa: E402
from waypost.lightning import WaypostCallback, WaypostCheckpointIO  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning")


class Mode(enum.Enum):
    FAST = 1


class Model(pl.LightningModule):
    """Dropout-free, so that its course depends on the weights, the buffers and the optimizer's state alone."""

    def __init__(self, rate: float = 0.05, width: int = 8, mode: Any = None, steps: int = 50) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.net = torch.nn.Sequential(
            torch.nn.Linear(4, width), torch.nn.BatchNorm1d(width), torch.nn.Linear(width, 1)
        )
        self.seen: dict[int, dict[str, Any]] = {}

    def training_step(self, batch: Any, index: int) -> Any:
        loss = self.net(batch[0]).pow(2).mean()
        self.log("loss", loss)
        return loss

    def validation_step(self, batch: Any, index: int) -> None:
        # A score that gets worse, then better.
        self.log("score", abs(float(self.global_step) - 8))

    def on_train_batch_end(self, *args: Any) -> None:
        self.seen[self.global_step] = {name: value.clone() for name, value in self.state_dict().items()}

    def configure_optimizers(self) -> Any:
        optimizer = torch.optim.AdamW(self.parameters(), lr=self.hparams["rate"])
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.1, total_steps=self.hparams["steps"])
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


def batches() -> Any:
    # All alike: which batch comes first after a resume is Lightning's matter.
    data = torch.arange(16, dtype=torch.float32).reshape(4, 4).sin().repeat(4, 1)
    return torch.utils.data.DataLoader(torch.utils.data.TensorDataset(data), batch_size=4)


def model(**options: Any) -> Model:
    torch.manual_seed(1)
    return Model(**options)


def trainer(root: Path, io: WaypostCheckpointIO, callbacks: list[Any], **options: Any) -> Any:
    return pl.Trainer(
        default_root_dir=root,
        accelerator="cpu",
        devices=1,
        plugins=[io],
        callbacks=callbacks,
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        **({"max_steps": 12, "log_every_n_steps": 1} | options),
    )


@pytest.fixture(params=["waits", "beside"])
def beside(request: pytest.FixtureRequest) -> list[Any]:
    """The callbacks: without Waypost's, a save is waited for; with it, it goes on beside the training."""
    return [] if request.param == "waits" else [WaypostCallback()]


def slow_engine() -> Engine:
    """One that still reads tensors of a :func:`large` model when a save has returned, and notices when they change."""
    return Engine(staging_bytes=16 << 20, write_bytes_per_second_max=64 << 20, check_stable="all")


def large(kind: type[Model] = Model, width: int = 400_000) -> Model:
    """With the moments it has 38 MB, twice the slow engine's ring."""
    torch.manual_seed(1)
    return kind(width=width)


def assert_equal(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert one.keys() == other.keys()
    for name, value in one.items():
        assert torch.equal(value, other[name]), name


def test_resuming_equals_not_stopping(tmp_path: Path, beside: list[Any]) -> None:
    whole = model()
    trainer(tmp_path, WaypostCheckpointIO(), [EarlyStopping("loss", patience=99)]).fit(whole, batches())

    first = model()
    every = ModelCheckpoint(dirpath=tmp_path / "ckpt", every_n_train_steps=5, save_top_k=-1)
    callbacks = [*beside, EarlyStopping("loss", patience=99), every]
    trainer(tmp_path, WaypostCheckpointIO(), callbacks, max_steps=7).fit(first, batches())
    path = tmp_path / "ckpt" / "epoch=1-step=5.ckpt"
    assert sorted(os.listdir(tmp_path / "ckpt")) == [path.name]
    assert_equal(WaypostCheckpointIO().load_checkpoint(path)["state_dict"], first.seen[5])

    resumed = Model(rate=0.5)  # other weights: all of it comes from the checkpoint
    callbacks = [EarlyStopping("loss", patience=99)]
    again = trainer(tmp_path, WaypostCheckpointIO(), callbacks)
    again.fit(resumed, batches(), ckpt_path=path)
    assert again.global_step == 12
    assert_equal(resumed.state_dict(), whole.state_dict())


def test_the_top_k_stay_and_no_other(tmp_path: Path, beside: list[Any]) -> None:
    best = ModelCheckpoint(dirpath=tmp_path, filename="{step}", monitor="score", save_top_k=2, save_last=True)
    fit = trainer(tmp_path, WaypostCheckpointIO(), [*beside, best], max_steps=20, val_check_interval=2)
    fit.fit(model(), batches(), batches())
    kept = {Path(path).name for path in best.best_k_models}
    assert len(kept) == 2
    assert "step=8.ckpt" in kept
    assert set(os.listdir(tmp_path)) == kept | {"last.ckpt"}
    for name in os.listdir(tmp_path):
        assert not any(findings.damage for findings in waypost.verify(prefix_of(tmp_path / name)))
    assert WaypostCheckpointIO().load_checkpoint(best.best_model_path)["global_step"] == 8


@pytest.mark.parametrize("save_last", [True, "link"])
def test_last_is_found(tmp_path: Path, beside: list[Any], save_last: Any) -> None:
    if beside and save_last == "link":
        linking = trainer(tmp_path, WaypostCheckpointIO(), [*beside, ModelCheckpoint(tmp_path, save_last="link")])
        with pytest.raises(waypost.InvalidArgumentError, match="save_last='link' would link to"):
            linking.fit(model(), batches())
        return

    def checkpoints() -> ModelCheckpoint:
        return ModelCheckpoint(
            dirpath=tmp_path, every_n_train_steps=2, save_top_k=2, monitor="step", save_last=save_last
        )

    fit = trainer(tmp_path, WaypostCheckpointIO(), [*beside, checkpoints()], max_steps=6)
    fit.fit(model(), batches(), ckpt_path="last")  # none yet: a warning
    assert (tmp_path / "last.ckpt").is_symlink() == (save_last == "link")
    again = trainer(tmp_path, WaypostCheckpointIO(), [checkpoints()], max_steps=6)
    resumed = Model()
    again.fit(resumed, batches(), ckpt_path="last")
    assert again.ckpt_path == str(tmp_path / "last.ckpt")
    assert_equal(resumed.state_dict(), fit.model.state_dict())


def test_saves_go_on_beside_the_training_and_keep_their_step(tmp_path: Path) -> None:
    with Engine(staging_bytes=16 << 20, write_bytes_per_second_max=16 << 20, check_stable="all") as engine:
        io = WaypostCheckpointIO(engine)
        pending: list[bool] = []

        class Watch(pl.Callback):
            def on_train_batch_start(self, *args: Any) -> None:
                pending.append(any(not handle.done for handle in engine._handles))

        every = ModelCheckpoint(dirpath=tmp_path, every_n_train_steps=2, save_top_k=-1)
        large = model(width=200_000)  # the weights and moments, 13 MB, and the rest take longer to write than a step
        trainer(tmp_path, io, [WaypostCallback(), Watch(), every], max_steps=5).fit(large, batches())
        assert any(pending)
        for step in (2, 4):
            path = next(tmp_path.glob(f"*step={step}.ckpt"))
            assert_equal(io.load_checkpoint(path)["state_dict"], large.seen[step])


def test_weight_averages_do_not_reach_a_save_under_way(tmp_path: Path) -> None:
    every = ModelCheckpoint(dirpath=tmp_path, save_top_k=-1)
    trained = model()
    averaging = StochasticWeightAveraging(swa_lrs=0.01, swa_epoch_start=1)
    fit = trainer(tmp_path, WaypostCheckpointIO(), [WaypostCallback(), averaging, every], max_steps=-1, max_epochs=3)
    fit.fit(trained, batches())
    for step in (4, 8):
        path = next(tmp_path.glob(f"*step={step}.ckpt"))
        assert_equal(WaypostCheckpointIO().load_checkpoint(path)["state_dict"], trained.seen[step])


def test_two_model_checkpoints_keep_a_best_each(tmp_path: Path) -> None:
    # Proves that a name is taken once its save begins: a path that both had taken would be removed by one.
    lowest, highest = (
        ModelCheckpoint(dirpath=tmp_path, monitor="score", mode=mode, every_n_train_steps=2) for mode in ("min", "max")
    )
    callbacks = [WaypostCallback(), lowest, highest]
    with slow_engine() as engine:
        fit = trainer(tmp_path, WaypostCheckpointIO(engine), callbacks, max_steps=8, val_check_interval=2)
        fit.fit(large(), batches(), batches())
    assert lowest.best_model_path != highest.best_model_path
    steps = [WaypostCheckpointIO().load_checkpoint(best.best_model_path)["global_step"] for best in (lowest, highest)]
    assert steps == [8, 2]
    assert {str(path) for path in tmp_path.iterdir()} == {lowest.best_model_path, highest.best_model_path}


def test_one_name_for_all_is_numbered(tmp_path: Path) -> None:
    # Proves that a save that outlasts a validation interval keeps its name from the next one.
    best = ModelCheckpoint(dirpath=tmp_path, filename="best", monitor="score", save_top_k=2, every_n_train_steps=1)
    # Smaller than the ring, so that no step waits, and seconds until it is committed.
    with Engine(staging_bytes=16 << 20, write_bytes_per_second_max=8 << 20) as engine:
        io = WaypostCheckpointIO(engine)
        fit = trainer(tmp_path, io, [WaypostCallback(), best], max_steps=3, val_check_interval=1, limit_val_batches=1)
        fit.fit(model(width=100_000), batches(), batches())
    assert len(best.best_k_models) == 2
    assert {str(path) for path in tmp_path.glob("best*")} == set(best.best_k_models)
    assert {io.load_checkpoint(path)["global_step"] for path in best.best_k_models} == {2, 3}


class Saves(pl.Callback):
    """Saves by hand during the fit, and looks at once whether the checkpoint is there."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.found: list[bool] = []

    def on_train_batch_end(self, trainer: Any, *args: Any) -> None:
        trainer.save_checkpoint(self.path)
        self.found.append(waypost.checkpoint.exists(prefix_of(self.path)))


def test_a_save_by_hand_is_waited_for(tmp_path: Path) -> None:
    # Proves that only a ModelCheckpoint's saves go on beside the training.
    saves = Saves(tmp_path / "mine.ckpt")
    with slow_engine() as engine:
        io = WaypostCheckpointIO(engine)
        fit = trainer(tmp_path, io, [WaypostCallback(), saves], max_steps=2, enable_checkpointing=False)
        fit.fit(large(), batches())
    assert saves.found == [True, True]


def test_slurm_requeues_a_job_whose_checkpoint_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Proves that the checkpoint is committed when the job is requeued, and that left-overs are not resumed from.
    root = tmp_path / "root"
    (tmp_path / "bin").mkdir()
    scontrol = tmp_path / "bin" / "scontrol"
    scontrol.write_text(f'#!/bin/sh\nls -A "{root}" >"{tmp_path}/there"\n')
    scontrol.chmod(0o755)
    monkeypatch.setenv("PATH", f"{scontrol.parent}:{os.environ['PATH']}")
    for name, value in (("NTASKS", "1"), ("JOB_ID", "1"), ("PROCID", "0"), ("LOCALID", "0"), ("NODEID", "0")):
        monkeypatch.setenv(f"SLURM_{name}", value)
    monkeypatch.setenv("SLURM_JOB_NAME", "job")

    class Requeues(pl.Callback):
        def on_train_batch_end(self, trainer: Any, *args: Any) -> None:
            if trainer.global_step == 2:
                signal.raise_signal(signal.SIGUSR1)

    trained = large()
    with slow_engine() as engine:
        io = WaypostCheckpointIO(engine)
        callbacks = [WaypostCallback(), Requeues()]
        trainer(root, io, callbacks, max_steps=3, enable_checkpointing=False).fit(trained, batches())
    assert (tmp_path / "there").read_text().split() == ["hpc_ckpt_1.ckpt"]
    for what in ("part", "lock", "removed"):
        Path(_publisher._hidden(str(root / "hpc_ckpt_7.ckpt"), what)).mkdir()
    again = trainer(root, WaypostCheckpointIO(), [], max_steps=2, enable_checkpointing=False)
    resumed = large()
    again.fit(resumed, batches())
    assert again.ckpt_path == str(root / "hpc_ckpt_1.ckpt")
    assert_equal(resumed.state_dict(), trained.seen[2])


class Early(ModelCheckpoint):
    """Saves in the hook in which WaypostCallback waits, after it, and keeps what it saved."""

    seen: dict[str, dict[str, Any]]

    def on_before_optimizer_step(self, trainer: Any, pl_module: Any, optimizer: Any) -> None:
        self.last_model_path = os.path.join(self.dirpath, f"early-{len(self.seen)}.ckpt")
        self.seen[self.last_model_path] = {name: value.clone() for name, value in pl_module.state_dict().items()}
        trainer.save_checkpoint(self.last_model_path)


def test_a_save_in_the_closure_of_the_step_is_whole(tmp_path: Path) -> None:
    # Proves that a save is waited for that begins after WaypostCallback's hook, within the optimizer's step.
    early = Early(dirpath=tmp_path, save_top_k=0)
    early.seen = {}
    with slow_engine() as engine:
        io = WaypostCheckpointIO(engine)
        trainer(tmp_path, io, [WaypostCallback(), early], max_steps=3).fit(large(), batches())
    assert len(early.seen) == 3
    for path, weights in early.seen.items():
        assert_equal(io.load_checkpoint(path)["state_dict"], weights)


class Manual(Model):
    """Steps an optimizer of PyTorch itself, so that Lightning calls no hook before."""

    automatic_optimization = False

    def training_step(self, batch: Any, index: int) -> Any:
        optimizer = self.optimizers(use_pl_optimizer=False)
        optimizer.zero_grad()
        self.manual_backward(self.net(batch[0]).pow(2).mean())
        optimizer.step()
        self.count = getattr(self, "count", 0) + 1
        if self.count % 2 == 0:
            checkpoint = self.trainer.checkpoint_callback
            checkpoint.last_model_path = os.path.join(checkpoint.dirpath, f"{self.count}.ckpt")
            self.trainer.save_checkpoint(checkpoint.last_model_path)
            self.seen[self.count] = {name: value.clone() for name, value in self.state_dict().items()}

    def on_train_batch_end(self, *args: Any) -> None:
        pass


def test_saves_are_whole_where_a_module_steps_by_itself(tmp_path: Path) -> None:
    # Proves that the wait is in the step, not in a hook that manual optimization may pass by.
    trained = large(Manual)
    with slow_engine() as engine:
        io = WaypostCheckpointIO(engine)
        callbacks = [WaypostCallback(), ModelCheckpoint(dirpath=tmp_path, save_top_k=0)]
        trainer(tmp_path, io, callbacks, max_steps=-1, max_epochs=2).fit(trained, batches())
    assert sorted(trained.seen) == [2, 4, 6, 8]
    for count, weights in trained.seen.items():
        assert_equal(io.load_checkpoint(tmp_path / f"{count}.ckpt")["state_dict"], weights)


class Plain(Model):
    """Without moments: its weights alone are more than the slow engine's ring."""

    def configure_optimizers(self) -> Any:
        return torch.optim.SGD(self.parameters(), lr=0.05)


class Doubles(pl.Callback):
    """Changes the weights where callbacks that average them do."""

    def on_train_epoch_start(self, trainer: Any, pl_module: Any) -> None:
        for parameter in pl_module.parameters():
            parameter.data.mul_(2)

    def on_train_end(self, trainer: Any, pl_module: Any) -> None:
        self.on_train_epoch_start(trainer, pl_module)


def test_the_callback_stands_anywhere(tmp_path: Path) -> None:
    # Proves that a callback that changes weights, written before WaypostCallback, comes after its wait all the same.
    every = ModelCheckpoint(dirpath=tmp_path, save_top_k=-1)
    trained = large(Plain, width=800_000)
    with slow_engine() as engine:
        io = WaypostCheckpointIO(engine)
        callbacks = [EarlyStopping("loss", patience=99), Doubles(), WaypostCallback(), every]
        trainer(tmp_path, io, callbacks, max_steps=3, limit_train_batches=1).fit(trained, batches())
    for step in (1, 2, 3):
        path = next(tmp_path.glob(f"*step={step}.ckpt"))
        assert_equal(io.load_checkpoint(path)["state_dict"], trained.seen[step])


class Sized(Model):
    """Makes its batches itself, as BatchSizeFinder wants it."""

    batch_size = 4

    def train_dataloader(self) -> Any:
        return torch.utils.data.DataLoader(batches().dataset, batch_size=self.batch_size)

    val_dataloader = train_dataloader


@pytest.mark.parametrize("what", ["rate", "batch size"])
def test_what_lightning_tunes_with_works(tmp_path: Path, what: str) -> None:
    # Proves that the finders, which stand first and replace all callbacks, find the same and spoil no save.
    def run(callbacks: list[Any], engine: Engine | None) -> tuple[Any, Sized]:
        finder = (
            LearningRateFinder(num_training_steps=20, early_stop_threshold=None, attr_name="rate")
            if what == "rate"
            else BatchSizeFinder(steps_per_trial=2, init_val=4, max_trials=2)
        )
        trained = large(Sized)
        fit = trainer(tmp_path, WaypostCheckpointIO(engine), [*callbacks, finder], max_steps=3)
        fit.fit(trained)
        found = finder.optimal_lr.suggestion() if what == "rate" else finder.optimal_batch_size
        return found, trained

    with slow_engine() as engine:
        every = ModelCheckpoint(dirpath=tmp_path / "ckpt", every_n_train_steps=1, save_top_k=-1)
        found, trained = run([WaypostCallback(), every], engine)
    assert found is not None
    assert len(os.listdir(tmp_path / "ckpt")) == 3
    for path in (tmp_path / "ckpt").iterdir():
        loaded = WaypostCheckpointIO().load_checkpoint(path)
        assert_equal(loaded["state_dict"], trained.seen[loaded["global_step"]])
    assert os.listdir(tmp_path) == ["ckpt"]
    without, alone = run([ModelCheckpoint(dirpath=tmp_path / "other", save_top_k=0)], None)
    assert found == without
    assert_equal(trained.state_dict(), alone.state_dict())


def test_nothing_is_left_of_a_fit(tmp_path: Path) -> None:
    # Proves that what waits is gone after a fit, however that ended, and is in no pickle and no optimizer meanwhile.
    class Pickles(pl.Callback):
        def on_train_batch_end(self, trainer: Any, *args: Any) -> None:
            checkpoint = trainer.checkpoint_callback
            copied = pickle.loads(pickle.dumps(checkpoint))
            assert copied.best_model_path == checkpoint.best_model_path
            pickle.loads(pickle.dumps(trainer.strategy.checkpoint_io))
            assert not trainer.optimizers[0]._optimizer_step_pre_hooks
            assert set(vars(trainer.optimizers[0])) >= set(vars(pickle.loads(pickle.dumps(trainer.optimizers[0]))))
            if trainer.global_step == 2:
                raise RuntimeError("the end")

    hooks = dict(optimizers._global_optimizer_pre_hooks)
    every = ModelCheckpoint(dirpath=tmp_path, every_n_train_steps=1, save_top_k=-1)
    fit = trainer(tmp_path, WaypostCheckpointIO(), [WaypostCallback(), Pickles(), every], max_steps=3)
    with pytest.raises(RuntimeError, match="the end"):
        fit.fit(model(), batches())
    assert hooks == dict(optimizers._global_optimizer_pre_hooks)
    assert "file_exists" not in vars(every)


def test_a_save_after_the_fit_is_waited_for(tmp_path: Path) -> None:
    fit = trainer(tmp_path, WaypostCheckpointIO(), [WaypostCallback()], max_steps=2, enable_checkpointing=False)
    fit.fit(model(), batches())
    fit.save_checkpoint(tmp_path / "end.ckpt")
    assert os.listdir(tmp_path) == ["end.ckpt"]


def test_what_cannot_be_saved_is_named(tmp_path: Path, beside: list[Any]) -> None:
    every = ModelCheckpoint(dirpath=tmp_path, every_n_train_steps=1)
    fit = trainer(tmp_path, WaypostCheckpointIO(), [*beside, every], max_steps=2)
    with pytest.raises(waypost.InvalidArgumentError, match=r"\['hyper_parameters'\]\['mode'\]: a .*Mode is no part"):
        fit.fit(model(mode=Mode.FAST), batches())
    assert os.listdir(tmp_path) == []


def test_wrong_use_is_refused(tmp_path: Path) -> None:
    io = WaypostCheckpointIO()
    with pytest.raises(waypost.NotFoundError, match=r"none\.ckpt: no checkpoint"):
        io.load_checkpoint(tmp_path / "none.ckpt")
    (tmp_path / "file.ckpt").write_bytes(b"PK")
    with pytest.raises(waypost.InvalidArgumentError, match=r"file\.ckpt: a file"):
        io.load_checkpoint(tmp_path / "file.ckpt")
    with pytest.raises(waypost.InvalidArgumentError, match="s3://"):
        io.save_checkpoint({}, "s3://bucket/a.ckpt")
    with pytest.raises(waypost.InvalidArgumentError, match="storage_options"):
        io.save_checkpoint({}, tmp_path / "a.ckpt", storage_options={})
    other = pl.Trainer(accelerator="cpu", callbacks=[WaypostCallback()], logger=False, default_root_dir=tmp_path)
    with pytest.raises(waypost.InvalidArgumentError, match="TorchCheckpointIO, not with WaypostCheckpointIO"):
        other.fit(model(), batches())


def test_a_failed_save_does_not_keep_an_older_one_from_being_loaded(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    io = WaypostCheckpointIO()
    io.save_checkpoint({"step": 1}, tmp_path / "old.ckpt")
    io.begin(trainer(tmp_path, io, []))
    io._publisher.save(tmp_path / "new.ckpt", {"w": torch.zeros(1 << 22)}, borrowed=(), wait=False)
    (tmp_path / "new.ckpt").write_text("in the way")
    assert io.load_checkpoint(tmp_path / "old.ckpt") == {"step": 1}
    assert "new.ckpt" in caplog.text
    io.teardown()


def test_tensors_go_to_the_device_asked_for(tmp_path: Path) -> None:
    io = WaypostCheckpointIO()
    io.save_checkpoint({"w": torch.ones(2), "nested": [(torch.ones(1), 3)]}, tmp_path / "a.ckpt")
    loaded = io.load_checkpoint(tmp_path / "a.ckpt", map_location="meta")
    assert loaded["w"].is_meta
    assert loaded["nested"][0][0].is_meta
    with pytest.raises(waypost.UnimplementedError, match="map_location is a function"):
        io.load_checkpoint(tmp_path / "a.ckpt", map_location=lambda storage, where: storage)


def test_a_kill_leaves_whole_checkpoints_only(tmp_path: Path) -> None:
    job = subprocess.Popen([sys.executable, __file__, str(tmp_path)])
    try:
        end = time.monotonic() + 300
        while len(list(tmp_path.glob("*.ckpt"))) < 3 and job.poll() is None and time.monotonic() < end:
            time.sleep(0.001)
    finally:
        job.send_signal(signal.SIGKILL)
        job.wait()
    found = list(tmp_path.glob("*.ckpt"))
    assert len(found) >= 3
    steps = {str(path): WaypostCheckpointIO().load_checkpoint(path)["global_step"] for path in found}
    assert min(steps.values()) >= 1
    last = max(steps.values())
    again = trainer(tmp_path, WaypostCheckpointIO(), [endless(tmp_path)], max_steps=last + 3)
    again.fit(Model(), batches(), ckpt_path="last")
    assert again.ckpt_path in steps
    assert again.global_step == last + 3


def endless(root: Path) -> ModelCheckpoint:
    return ModelCheckpoint(
        dirpath=root, every_n_train_steps=1, save_top_k=2, monitor="step", mode="max", save_last=True
    )


if __name__ == "__main__":
    where = Path(sys.argv[1])
    # The schedule refuses a step beyond its last, and how many steps come before the kill is chance.
    endless_model = model(steps=100_000)
    trainer(where, WaypostCheckpointIO(), [WaypostCallback(), endless(where)], max_steps=100_000).fit(
        endless_model, batches()
    )
