"""Transformers: checkpoints of a Trainer through Waypost, asynchronous, verified, without pickle.

    from waypost.transformers import WaypostTrainer, latest_checkpoint

    trainer = WaypostTrainer(model, TrainingArguments("out", save_steps=500, save_total_limit=3), train_dataset=data)
    trainer.train(resume_from_checkpoint=latest_checkpoint("out"))  # None, from the start, where there is none

``out/checkpoint-500`` appears when it is committed.  In it the checkpoint ``state`` has the model, optimizer,
scheduler, scaler, random number generators of all processes and the Trainer's state; the configuration, the tokenizer,
``trainer_state.json`` and ``training_args.json`` are beside it.  For another Trainer (``Seq2SeqTrainer``, say) put the
mixin before it: ``class MyTrainer(WaypostTrainerMixin, Seq2SeqTrainer)``.

The weights alone, for use elsewhere: ``trainer.save_model()``, as ever, or of a checkpoint
``waypost.restore("out/checkpoint-500/state", into={"model": model.state_dict()})``.
"""

from __future__ import annotations

import dataclasses
import json
import logging
import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from transformers import Trainer, TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from transformers.trainer import TRAINER_STATE_NAME
from transformers.trainer_callback import ExportableState
from transformers.trainer_utils import PREFIX_CHECKPOINT_DIR, sort_checkpoints

from . import _modules, _publisher, _rng, checkpoint
from ._publisher import Publisher, optimizer_memory, prefix_of
from ._steps import wait_before_steps
from .engine import Engine
from .errors import NotFoundError, UnimplementedError
from .opened import OpenCheckpoint, PathLike

__all__ = ["WaypostCallback", "WaypostTrainer", "WaypostTrainerMixin", "latest_checkpoint"]

_log = logging.getLogger("waypost")

# The mixin is used with a Trainer only; type checkers are to know its methods.
_Base: Any = object
if TYPE_CHECKING:
    _Base = Trainer


def latest_checkpoint(output_dir: PathLike) -> str | None:
    """The directory of the checkpoint with the highest step in `output_dir` that is committed and whole; None if none
    is.

    Reads and checks all of it; what is damaged is passed over and logged.
    """
    for path in reversed(_committed(os.fspath(output_dir), use_mtime=False)):
        damage = [line for findings in checkpoint.verify(prefix_of(path), progress=False) for line in findings.damage]
        if not damage:
            return path
        _log.warning("%s is damaged and passed over: %s", path, damage[0])
    return None


class WaypostCallback(TrainerCallback):
    """Waits until a save under way has read the weights before the optimizer changes them.

    :class:`WaypostTrainerMixin` puts it before the other callbacks.
    """

    def __init__(self, publisher: Publisher) -> None:
        self._publisher = publisher

    def on_pre_optimizer_step(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **others: Any
    ) -> None:
        self._publisher.wait_staged()

    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **others: Any
    ) -> None:
        self._publisher.settle()


class WaypostTrainerMixin(_Base):  # type: ignore[misc]
    """Makes a Trainer save and resume with Waypost.  Put it before the Trainer's class.

    A save goes on beside the training: weights and the optimizer's state are borrowed until the next optimizer step,
    all else is copied.  It is committed by the next save or the end of ``train``, and its error is raised there.  The
    last one, and that of ``enable_jit_checkpoint`` at SIGTERM, are waited for.
    ``save_total_limit`` counts committed checkpoints, and what a save replaces is removed after its commit.

    ``train(resume_from_checkpoint=True)`` takes :func:`latest_checkpoint`.

    For one process or DDP, on the host or CUDA.  Checkpoints of Trainers without it cannot be resumed.

    Args:
        waypost_engine: that saves and restores; None: one of its own, which notices also a host tensor that changes too
            early.

    Raises:
        UnimplementedError: for DeepSpeed, FSDP and ``push_to_hub``.
    """

    def __init__(self, *args: Any, waypost_engine: Engine | None = None, **options: Any) -> None:
        super().__init__(*args, **options)
        if self.is_deepspeed_enabled or self.is_fsdp_enabled:
            raise UnimplementedError("WaypostTrainer: DeepSpeed and FSDP are not supported; see waypost.torch")
        self._publisher = Publisher(waypost_engine)
        self.callback_handler.callbacks.insert(0, WaypostCallback(self._publisher))

    def init_hf_repo(self, token: str | None = None, private: bool | None = None) -> None:
        """Refuses: what ``push_to_hub`` uploads are files of other formats."""
        raise UnimplementedError("WaypostTrainer: push_to_hub is not supported")

    def train(self, resume_from_checkpoint: str | bool | None = None, *args: Any, **options: Any) -> Any:
        """Trains; see ``Trainer.train``.

        Raises:
            NotFoundError: when there is no checkpoint to resume from.
            Error: of a save that failed.
        """
        path: str | bool | None = resume_from_checkpoint
        if path is True:
            path = latest_checkpoint(self.args.output_dir)
            if path is None:
                raise NotFoundError(f"train: no whole checkpoint in {self.args.output_dir}")
        if path:
            self._put_trainer_state(str(path))
        # The callback alone does not do: a later one may begin a save before the step.
        waiting = wait_before_steps(self._publisher.wait_staged)
        try:
            return super().train(path or None, *args, **options)
        except BaseException:
            # Its error is the one to be raised; the save under way is let end.
            self._publisher.settle_logged()
            raise
        finally:
            waiting.remove()

    # ---- Saving ----

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        if self.hp_search_backend is None and trial is None:
            self.store_flos()
        run_dir = self._get_output_dir(trial=trial)
        path = os.path.join(run_dir, f"{PREFIX_CHECKPOINT_DIR}-{self.state.global_step}")
        self._note_best(run_dir)
        tree: dict[str, Any] = {} if self.args.save_only_model else {"rng": _rng.gathered(self.accelerator)}
        if not self.args.should_save:
            return
        self._note_callbacks()
        tree |= self._state_tree()
        self._publisher.save(
            path,
            tree,
            borrowed=optimizer_memory([self.optimizer]),
            fill=self._filler(tree["trainer_state"]),
            wait=False,
        )
        limit, best = self.args.save_total_limit, self.state.best_model_checkpoint
        if limit is not None and limit > 0:
            self._publisher.then(lambda: _rotate(run_dir, limit, best))
        # Whoever else asks, at SIGTERM above all, expects the checkpoint there afterwards: the process may end.
        if not self.control.should_save or self.control.should_training_stop:
            self._publisher.settle()

    def _state_tree(self) -> dict[str, Any]:
        tree = {
            "model": self.accelerator.unwrap_model(self.model, keep_torch_compile=False).state_dict(),
            "trainer_state": json.dumps(dataclasses.asdict(self.state), indent=2, sort_keys=True) + "\n",
        }
        if self.args.save_only_model:
            return tree
        tree |= {"optimizer": self.optimizer.state_dict(), "scheduler": self.lr_scheduler.state_dict()}
        scaler = getattr(self.accelerator, "scaler", None)
        return tree if scaler is None else tree | {"scaler": scaler.state_dict()}

    def _note_best(self, run_dir: str) -> None:
        step = self.state.best_global_step
        if step:
            path = os.path.join(run_dir, f"{PREFIX_CHECKPOINT_DIR}-{step}")
            # That of this step is still to come.
            if step == self.state.global_step or os.path.isdir(path):
                self.state.best_model_checkpoint = path

    def _note_callbacks(self) -> None:
        # As Trainer does: the states of callbacks are a part of its own.
        for callback in [*self.callback_handler.callbacks, self.control]:
            if isinstance(callback, ExportableState):
                name = type(callback).__name__
                states = self.state.stateful_callbacks[name]
                if isinstance(states, list):
                    states.append(callback.state())
                else:
                    self.state.stateful_callbacks[name] = callback.state()

    def _filler(self, trainer_state: str) -> Callable[[str], None]:
        tokenizer = self.processing_class or getattr(self.data_collator, "tokenizer", None)
        model = self.accelerator.unwrap_model(self.model, keep_torch_compile=False)
        savers: list[Any] = [getattr(model, "config", None), getattr(model, "generation_config", None), tokenizer]

        def fill(directory: str) -> None:
            for saver in savers:
                if hasattr(saver, "save_pretrained"):
                    saver.save_pretrained(directory)
            _write(os.path.join(directory, TRAINER_STATE_NAME), trainer_state)
            _write(os.path.join(directory, "training_args.json"), self.args.to_json_string() + "\n")

        return fill

    def _finalize_training(self, *args: Any, **options: Any) -> Any:
        # The best checkpoint is loaded and others are removed here.
        self._publisher.settle()
        self.accelerator.wait_for_everyone()
        return super()._finalize_training(*args, **options)

    # ---- Resuming ----

    def _put_trainer_state(self, path: str) -> None:
        """Trainer reads the file; the checkpoint is what was committed."""
        text = _member(path, "trainer_state")
        file = os.path.join(path, TRAINER_STATE_NAME)
        if self.args.should_save and (not os.path.isfile(file) or _read(file) != text):
            _write(file + ".part", text)
            os.replace(file + ".part", file)
        self.accelerator.wait_for_everyone()

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        model = self.accelerator.unwrap_model(model or self.model, keep_torch_compile=False)
        _modules.restore(self._publisher.engine, OpenCheckpoint(prefix_of(resume_from_checkpoint)), "model", model)

    def _load_best_model(self) -> None:
        self._load_from_checkpoint(self.state.best_model_checkpoint)

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        if checkpoint is not None:
            self.optimizer.load_state_dict(_member(checkpoint, "optimizer"))
            self.lr_scheduler.load_state_dict(_member(checkpoint, "scheduler"))

    def _load_scaler(self, checkpoint: str | None) -> None:
        scaler = getattr(self.accelerator, "scaler", None)
        if checkpoint is not None and scaler is not None:
            scaler.load_state_dict(_member(checkpoint, "scaler"))

    def _load_rng_state(self, checkpoint: str | None) -> None:
        if checkpoint is not None and not _rng.restore(_member(checkpoint, "rng"), self.args.process_index):
            _log.warning(
                "%s was saved by fewer processes: process %d starts with other random numbers",
                checkpoint,
                self.args.process_index,
            )


class WaypostTrainer(WaypostTrainerMixin, Trainer):
    """``transformers.Trainer`` that saves and resumes with Waypost; see :class:`WaypostTrainerMixin`."""


def _member(path: str, key: str) -> Any:
    if not checkpoint.exists(prefix_of(path)):
        raise NotFoundError(f"resume from {path}: no checkpoint of Waypost")
    member = checkpoint.load_member(prefix_of(path), key)
    if member is None:
        raise NotFoundError(f"resume from {path}: it has no {key}; it may have been saved with save_only_model")
    return member


def _committed(directory: str, use_mtime: bool) -> list[str]:
    """Oldest first, by step or by when they were committed."""
    if not os.path.isdir(directory):
        return []
    paths = [path for path in sort_checkpoints(directory) if checkpoint.exists(prefix_of(path))]
    return sorted(paths, key=lambda path: os.path.getmtime(prefix_of(path) + ".index")) if use_mtime else paths


def _rotate(directory: str, limit: int, best: str | None) -> None:
    """Removes the oldest beyond `limit`, except the newest, for resuming, and the best."""
    paths = _committed(directory, use_mtime=True)
    kept = {os.path.abspath(path) for path in (paths[-1:] + ([best] if best is not None else []))}
    surplus = len(paths) - max(limit, len(kept))
    removable = [path for path in paths if os.path.abspath(path) not in kept]
    for path in removable[: max(surplus, 0)]:
        _publisher.remove(path)


def _read(path: str) -> str:
    with open(path, encoding="utf-8") as file:
        return file.read()


def _write(path: str, text: str) -> None:
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
