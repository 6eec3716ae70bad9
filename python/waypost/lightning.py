"""Lightning: checkpoints of a Trainer through Waypost, without pickle.

    from waypost.lightning import WaypostCallback, WaypostCheckpointIO

    trainer = Trainer(plugins=[WaypostCheckpointIO()], callbacks=[WaypostCallback(),
    ModelCheckpoint(save_top_k=2)]) trainer.fit(model, ckpt_path="last")

A checkpoint's path, such as ``epoch=1-step=10.ckpt``, is a directory with the checkpoint ``state`` in it; it
appears when that is committed.  So what ``ckpt_path``, ``save_top_k`` and ``save_last`` find is whole.

Without the callback a save returns when it is committed.  With it, those of a ModelCheckpoint during ``fit`` go on
beside the training: the weights and the optimizer's state are borrowed until the next optimizer step, all else is
copied; a save is committed by the next one or by the end of ``fit``, and its error is raised there.  Whoever else
saves, ``trainer.save_checkpoint`` or the requeueing of SLURM, finds the checkpoint there when the call returns.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.fabric.plugins import CheckpointIO
from lightning.pytorch.callbacks import Callback, ModelCheckpoint

from . import _publisher, checkpoint
from ._publisher import Publisher, optimizer_memory, prefix_of
from ._steps import wait_before_steps
from .engine import Engine
from .errors import InvalidArgumentError, NotFoundError, UnimplementedError
from .opened import PathLike

__all__ = ["WaypostCallback", "WaypostCheckpointIO"]


class WaypostCheckpointIO(CheckpointIO):
    """Saves and loads Lightning's checkpoints with Waypost.

    What is in the checkpoint must be tensors, numbers, strings, bytes, bools, None and dicts, lists and
    tuples of these; Lightning's own entries are.  Anything else (an enumeration in the hyperparameters, say)
    is refused by its name.  Dicts and tuples of other classes come back as plain ones.

    For strategies that save on rank 0: one device, DDP.  For FSDP and tensor parallelism see
    ``waypost.torch``.

    Args:
        engine: that saves and loads; None: one of its own, which notices also a host tensor that changes too
            early.
    """

    def __init__(self, engine: Engine | None = None) -> None:
        self._publisher = Publisher(engine)
        self._trainer: pl.Trainer | None = None  # that of the callback, while it fits
        self._checkpoints: list[ModelCheckpoint] = []  # its
        self._undo = ExitStack()

    def save_checkpoint(self, checkpoint: dict[str, Any], path: PathLike, storage_options: Any | None = None) -> None:
        """Saves; see the module for when it returns.

        Raises:
            InvalidArgumentError: for what cannot be saved (the place in the checkpoint is named), a path that
                is a URL, ``storage_options``.
            AlreadyExistsError: for a path that is a file.
            Error: of this save, or of an earlier one.
        """
        if storage_options is not None:
            raise InvalidArgumentError(f"save {path}: Waypost takes no storage_options")
        local = _local(path)
        if self._trainer is None or not self._is_of_model_checkpoint(local):
            self._publisher.save(local, checkpoint)
        else:
            self._publisher.save(local, checkpoint, borrowed=optimizer_memory(self._trainer.optimizers), wait=False)

    def _is_of_model_checkpoint(self, path: str) -> bool:
        # It notes the path ahead of the save, whose part it is.  All others expect a checkpoint there afterwards.
        return any(
            path in (each.best_model_path, each.last_model_path) or path in each.best_k_models
            for each in self._checkpoints
        )

    def load_checkpoint(
        self, path: PathLike, map_location: Any | None = None, weights_only: bool | None = None
    ) -> dict[str, Any]:
        """The checkpoint's dict, every byte checked; tensors in memory of the host.

        Args:
            map_location: a device, or its name, that they go to instead.
            weights_only: no matter: there are no objects in a checkpoint.

        Raises:
            NotFoundError: when there is no checkpoint.
            InvalidArgumentError: for a file that another plugin has saved.
            DataLossError: for damage.

        The error of an earlier save is logged: it must not keep an older checkpoint from being loaded.
        """
        self._publisher.settle_logged()
        local = _local(path)
        if os.path.isfile(local):
            raise InvalidArgumentError(f"load {local}: a file, and no directory that WaypostCheckpointIO has saved")
        if not checkpoint.exists(prefix_of(local)):
            raise NotFoundError(f"load {local}: no checkpoint")
        loaded: dict[str, Any] = checkpoint.load(prefix_of(local), framework=None)
        return loaded if map_location is None else _moved(loaded, _device(map_location))

    def remove_checkpoint(self, path: PathLike) -> None:
        """Removes a checkpoint, once the last save is committed; if that fails, it stays."""
        local = _local(path)
        self._publisher.then(lambda: _publisher.remove(local))

    def teardown(self) -> None:
        """Waits until all saves are committed; raises the error of one that failed."""
        self._end()
        self._publisher.settle()

    # ---- For the callback ----

    def begin(self, trainer: pl.Trainer) -> None:
        """From here on saves of a ModelCheckpoint of `trainer` go on beside the training, until :meth:`teardown`."""
        self._end()
        self._trainer = trainer
        self._checkpoints = [each for each in trainer.checkpoint_callbacks if isinstance(each, ModelCheckpoint)]
        for each in self._checkpoints:
            vars(each)["file_exists"] = functools.partial(_exists_when_settled, self._publisher, each.file_exists)
            self._undo.callback(vars(each).pop, "file_exists", None)
        # Callbacks alone do not do: a later one, or the module, may begin a save, and a module that steps its
        # optimizers itself calls none.
        self._undo.callback(wait_before_steps(self.wait_staged).remove)

    def wait_staged(self) -> None:
        """Waits until no save reads a tensor any more."""
        self._publisher.wait_staged()

    def _end(self) -> None:
        self._trainer, self._checkpoints = None, []
        self._undo.close()

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_trainer": None, "_checkpoints": [], "_undo": ExitStack()}


class WaypostCallback(Callback):
    """Lets saves of :class:`WaypostCheckpointIO` go on beside the training; waits for their staging before
    weights change.

    When a fit starts it moves to the front of the Trainer's callbacks, so that no other changes weights before it has
    waited.  A module must not change weights itself other than in an optimizer's step; if it does, the save fails
    with AbortedError.

    Raises:
        InvalidArgumentError: when a fit starts and WaypostCheckpointIO is not among the plugins, or a ModelCheckpoint
            has ``save_last="link"``: its link would lead nowhere until the save is committed.
    """

    def __init__(self) -> None:
        self._io: WaypostCheckpointIO | None = None

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        if stage != "fit":
            return
        plugin: Any = trainer.strategy.checkpoint_io
        if not isinstance(plugin, WaypostCheckpointIO):
            raise InvalidArgumentError(
                f"WaypostCallback: the Trainer saves with {type(plugin).__name__}, not with WaypostCheckpointIO"
            )
        if any(getattr(callback, "save_last", None) == "link" for callback in trainer.checkpoint_callbacks):
            raise InvalidArgumentError(
                "WaypostCallback: save_last='link' would link to a checkpoint that is not committed yet; use "
                "save_last=True, or leave WaypostCallback out"
            )
        # Another list: Lightning is walking this one.
        hooked: Any = trainer
        hooked.callbacks = [self, *(callback for callback in hooked.callbacks if callback is not self)]
        self._io = plugin
        plugin.begin(trainer)

    def _wait_staged(self) -> None:
        if self._io is not None:
            self._io.wait_staged()

    def on_before_optimizer_step(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, optimizer: torch.optim.Optimizer
    ) -> None:
        self._wait_staged()

    # Others of Lightning's callbacks swap weights or put averages in their place here.

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._wait_staged()

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._wait_staged()

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._wait_staged()


def _exists_when_settled(
    publisher: Publisher, exists: Callable[[str, pl.Trainer], bool], filepath: str, trainer: pl.Trainer
) -> bool:
    # ModelCheckpoint takes a name that is free, then saves.  One that is still on its way must be there for it, or two
    # would share a path, and one remove the other's best.  The save would wait for it anyway.
    publisher.settle()
    return exists(filepath, trainer)


def _local(path: PathLike) -> str:
    local = os.fspath(path)
    if "://" in local:
        raise InvalidArgumentError(f"checkpoint {local}: no path of a file system that is mounted")
    return local


def _device(map_location: Any) -> torch.device:
    if isinstance(map_location, str | torch.device):
        return torch.device(map_location)
    raise UnimplementedError(f"load_checkpoint: map_location is a {type(map_location).__name__}; give a device")


def _moved(node: Any, device: torch.device) -> Any:
    if isinstance(node, torch.Tensor):
        return node.to(device)
    if isinstance(node, dict):
        return {key: _moved(value, device) for key, value in node.items()}
    if isinstance(node, list | tuple):
        return type(node)(_moved(value, device) for value in node)
    return node
