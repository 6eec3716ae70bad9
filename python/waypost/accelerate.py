"""Accelerate: the state of an Accelerator, saved and loaded by Waypost.

    from waypost.accelerate import load_state, save_state

    save_state(accelerator, "out/step-100")  # or asynchronous=True
    load_state(accelerator, "out/step-100")

``save_state`` and ``load_state`` take what Accelerate's own methods take, and nothing goes through pickle: models,
optimizers, schedulers, the scaler, registered objects, stateful data loaders, the random number generators of all
processes and the step are one checkpoint, ``state`` in the directory.

With :func:`register`, ``accelerator.save_state`` and ``accelerator.load_state`` leave the models to Waypost.  Their
hooks offer no more: Accelerate itself writes the rest with ``torch.save``, which is pickle.
"""

from __future__ import annotations

import logging
import os
from typing import Any

from accelerate import Accelerator  # type: ignore[import-untyped]
from accelerate.utils import DistributedType  # type: ignore[import-untyped]

from . import _modules, _rng, checkpoint
from ._publisher import flattened, optimizer_memory, prefix_of
from .engine import Engine, default_engine
from .errors import InvalidArgumentError, NotFoundError, UnimplementedError
from .handle import SaveHandle
from .opened import OpenCheckpoint, PathLike

__all__ = ["load_state", "register", "save_state"]

_log = logging.getLogger("waypost")

_WHOLE_MODELS = (DistributedType.NO, DistributedType.MULTI_CPU, DistributedType.MULTI_GPU)


def save_state(
    accelerator: Accelerator, output_dir: PathLike, *, asynchronous: bool = False, engine: Engine | None = None
) -> SaveHandle | None:
    """Saves the state of `accelerator` into `output_dir`.  Every process must call it; the main one writes.

    Args:
        asynchronous: returns at once.  Weights and the optimizers' states are borrowed: call the handle's
            ``wait_staged`` before the next optimizer step.  All else is copied.
        engine: that saves; None: the process's own.

    Returns:
        The save, in the process that writes with ``asynchronous``; else None, and it is committed.

    Raises:
        InvalidArgumentError: for a state that cannot be saved; the place in it is named.
        UnimplementedError: for models of which a process has a part only (FSDP, DeepSpeed, Megatron).
        Error: of the save.
    """
    _require_whole_models(accelerator)
    random = _rng.gathered(accelerator)
    handle = None
    if _writes(accelerator):
        tree = {
            "models": [model.state_dict() for model in _models(accelerator)],
            **{name: [each.state_dict() for each in objects] for name, objects in _stateful(accelerator).items()},
            "scaler": None if accelerator.scaler is None else accelerator.scaler.state_dict(),
            "random": random,
            "step": accelerator.step,
        }
        borrowed = optimizer_memory(accelerator._optimizers) if asynchronous else None
        save = (engine or default_engine()).save_async if asynchronous else (engine or default_engine()).save
        handle = save(prefix_of(output_dir), flattened(tree, borrowed), update_state=False)
    if asynchronous:
        return handle
    accelerator.wait_for_everyone()
    return None


def load_state(accelerator: Accelerator, input_dir: PathLike, *, engine: Engine | None = None) -> None:
    """Loads into `accelerator` what :func:`save_state` has saved, every byte checked.  Every process must call it.

    Raises:
        NotFoundError: when there is no checkpoint, or for what the models have and it has not.
        InvalidArgumentError: when it is of other models, or of another number of models, optimizers, schedulers,
            objects or loaders.  Nothing is changed then, unless a later model is the one that does not fit.
        DataLossError: for damage.
    """
    _require_whole_models(accelerator)
    prefix = prefix_of(input_dir)
    if not checkpoint.exists(prefix):
        raise NotFoundError(f"load_state {os.fspath(input_dir)}: no checkpoint of Waypost")
    source = OpenCheckpoint(prefix)
    targets = _stateful(accelerator)
    saved = {name: checkpoint.load_member(source, name) for name in [*targets, "scaler", "random", "step"]}
    for name, objects in targets.items():
        _require_as_many(prefix, name, len(saved[name] or []), len(objects))
    _load_models(accelerator, source, engine)
    for name, objects in targets.items():
        for each, state in zip(objects, saved[name] or [], strict=True):
            each.load_state_dict(state)
    if accelerator.scaler is not None and saved["scaler"] is not None:
        accelerator.scaler.load_state_dict(saved["scaler"])
    if not _rng.restore(saved["random"], accelerator.process_index):
        _log.warning("%s was saved by fewer processes than there are: this one has other random numbers", prefix)
    accelerator.step = saved["step"]


def register(accelerator: Accelerator, engine: Engine | None = None) -> None:
    """From here on ``accelerator.save_state`` and ``load_state`` leave the models to Waypost; see the module.

    Directories that were saved without it are loaded as ever.

    Args:
        engine: that saves and loads; None: the process's own.
    """

    def save(models: list[Any], weights: list[Any], output_dir: str) -> None:
        _require_whole_models(accelerator)
        # What is left in the list Accelerate writes itself.
        weights.clear()
        if _writes(accelerator):
            tree = {"models": [model.state_dict() for model in _models(accelerator)]}
            (engine or default_engine()).save(prefix_of(output_dir), tree, update_state=False, progress=False)

    def load(models: list[Any], input_dir: str) -> None:
        if checkpoint.exists(prefix_of(input_dir)):
            _load_models(accelerator, OpenCheckpoint(prefix_of(input_dir)), engine)
            models.clear()

    accelerator.register_save_state_pre_hook(save)
    accelerator.register_load_state_pre_hook(load)


def _models(accelerator: Accelerator) -> list[Any]:
    return [accelerator.unwrap_model(model, keep_torch_compile=False) for model in accelerator._models]


def _stateful(accelerator: Accelerator) -> dict[str, list[Any]]:
    """What has a state besides the models and the scaler, by what the checkpoint calls it."""
    return {
        "optimizers": accelerator._optimizers,
        "schedulers": accelerator._schedulers,
        "objects": accelerator._custom_objects,
        "loaders": [loader for loader in accelerator._dataloaders if getattr(loader, "use_stateful_dataloader", False)],
    }


def _writes(accelerator: Accelerator) -> bool:
    on_each_node = accelerator.project_configuration.save_on_each_node
    return bool(accelerator.is_local_main_process if on_each_node else accelerator.is_main_process)


def _load_models(accelerator: Accelerator, source: OpenCheckpoint, engine: Engine | None) -> None:
    models = _models(accelerator)
    # Not by the names of tensors: a model may have none.
    node = source.members.get("models") or {}
    _require_as_many(source.prefix, "models", len(node.get("list", [])), len(models))
    for i, model in enumerate(models):
        _modules.restore(engine or default_engine(), source, f"models/{i}", model)


def _require_as_many(prefix: str, what: str, saved: int, present: int) -> None:
    if saved != present:
        raise InvalidArgumentError(f"load_state {prefix}: it has {saved} {what}, and there are {present}")


def _require_whole_models(accelerator: Accelerator) -> None:
    if accelerator.distributed_type not in _WHOLE_MODELS:
        raise UnimplementedError(f"waypost.accelerate: {accelerator.distributed_type.value} is not supported")
