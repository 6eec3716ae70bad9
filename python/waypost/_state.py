"""The state file of a directory of checkpoints, and functions about checkpoints, by TensorFlow 1's names."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from . import _log, _native
from .checkpoint import load, strings_of
from .errors import InvalidArgumentError, NotFoundError
from .opened import OpenCheckpoint, PathLike

__all__ = [
    "CheckpointReader",
    "CheckpointState",
    "checkpoint_exists",
    "generate_checkpoint_state_proto",
    "get_checkpoint_mtimes",
    "get_checkpoint_state",
    "latest_checkpoint",
    "list_variables",
    "load_checkpoint",
    "load_variable",
    "remove_checkpoint",
    "update_checkpoint_state",
]


@dataclass
class CheckpointState:
    """What the state file ``checkpoint`` says.

    Attributes:
        model_checkpoint_path: the latest.
        all_model_checkpoint_paths: all that are kept, oldest first.
        all_model_checkpoint_timestamps: when they were saved, seconds since 1970; or none.
        last_preserved_timestamp: of the last one that is kept for ever; 0 where the file does not say.
    """

    model_checkpoint_path: str = ""
    all_model_checkpoint_paths: list[str] = field(default_factory=list)
    all_model_checkpoint_timestamps: list[float] = field(default_factory=list)
    last_preserved_timestamp: float = 0.0


def _state(native: tuple[str, list[str], list[float], float | None]) -> CheckpointState:
    return CheckpointState(native[0], native[1], native[2], native[3] or 0.0)


def get_checkpoint_state(checkpoint_dir: PathLike, latest_filename: str | None = None) -> CheckpointState | None:
    """The state of a directory; relative paths are joined to it.  None where there is no such file, or
    (logged) none that can be read.

    Raises:
        InvalidArgumentError: when it names no latest checkpoint.
    """
    found = _native.checkpoint_state(os.fspath(checkpoint_dir), latest_filename or "")
    _log.hand_on()
    return None if found is None else _state(found)


def latest_checkpoint(checkpoint_dir: PathLike, latest_filename: str | None = None) -> str | None:
    """The prefix of the latest checkpoint, if the state file names one and its files are there."""
    found = _native.latest_checkpoint(os.fspath(checkpoint_dir), latest_filename or "", False)
    _log.hand_on()
    return found


def update_checkpoint_state(
    save_dir: PathLike,
    model_checkpoint_path: str,
    all_model_checkpoint_paths: Sequence[str] | None = None,
    latest_filename: str | None = None,
    all_model_checkpoint_timestamps: Sequence[float] | None = None,
    last_preserved_timestamp: float | None = None,
) -> None:
    """Writes the state file of a directory, durably.  Relative paths are stored relative to ``save_dir``.

    Raises:
        InvalidArgumentError: when there are not as many times as paths.
        FailedPreconditionError: when the file would overwrite the checkpoint itself.
    """
    _native.update_checkpoint_state(
        os.fspath(save_dir),
        model_checkpoint_path,
        list(all_model_checkpoint_paths or ()),
        latest_filename or "",
        list(all_model_checkpoint_timestamps or ()),
        last_preserved_timestamp,
    )


def generate_checkpoint_state_proto(
    save_dir: PathLike,
    model_checkpoint_path: str,
    all_model_checkpoint_paths: Sequence[str] | None = None,
    all_model_checkpoint_timestamps: Sequence[float] | None = None,
    last_preserved_timestamp: float | None = None,
) -> CheckpointState:
    """What :func:`update_checkpoint_state` would write."""
    return _state(
        _native.generate_checkpoint_state(
            os.fspath(save_dir),
            model_checkpoint_path,
            list(all_model_checkpoint_paths or ()),
            list(all_model_checkpoint_timestamps or ()),
            last_preserved_timestamp,
        )
    )


def checkpoint_exists(checkpoint_prefix: PathLike) -> bool:
    """Whether there is a checkpoint of this prefix, of either format.  Prefixes are names, and no
    patterns.
    """
    return _native.checkpoint_exists(os.fspath(checkpoint_prefix))


def get_checkpoint_mtimes(checkpoint_prefixes: Sequence[PathLike]) -> list[float]:
    """When checkpoints were written, whole seconds since 1970; those that are not there are left out."""
    return _native.checkpoint_mtimes([os.fspath(prefix) for prefix in checkpoint_prefixes])


def remove_checkpoint(
    checkpoint_prefix: PathLike, checkpoint_format_version: int = 2, meta_graph_suffix: str = "meta"
) -> None:
    """Deletes the files of a checkpoint; those that are not there are no error.

    Args:
        checkpoint_prefix: of it.
        checkpoint_format_version: 2, or 1 for TensorFlow's old format.
        meta_graph_suffix: of ``PREFIX.meta``.

    Raises:
        AbortedError: when it is being saved.
    """
    _native.remove_checkpoint_files(os.fspath(checkpoint_prefix), int(checkpoint_format_version), meta_graph_suffix)


# ---- What is in a checkpoint ----


class CheckpointReader:
    """What ``load_checkpoint`` gives; it keeps the checkpoint's files open as long as it is used.

    Args:
        prefix: of a checkpoint of either format.

    Raises:
        NotFoundError: when there is none.
    """

    def __init__(self, prefix: str) -> None:
        self._checkpoint = OpenCheckpoint(prefix)
        self._infos = self._checkpoint.infos

    def has_tensor(self, tensor_str: str) -> bool:
        """Whether it has a tensor of this name."""
        return tensor_str in self._infos

    def get_tensor(self, tensor_str: str) -> np.ndarray[Any, Any]:
        """A tensor as a new array, checked; strings as an array of ``bytes`` objects.

        Raises:
            NotFoundError: when it is not there.
        """
        if tensor_str not in self._infos:
            raise NotFoundError(f"{self._checkpoint.prefix}: no tensor {tensor_str}")
        # A str or bytes of a tree, too: NumPy's own strings would lose NUL bytes at their end.
        if self._infos[tensor_str].dtype == "string":
            return strings_of(self._checkpoint, self._infos[tensor_str])
        return np.asarray(load(self._checkpoint, [tensor_str], framework="numpy")[tensor_str])

    def get_variable_to_shape_map(self) -> dict[str, list[int]]:
        """Of each tensor its shape."""
        return {name: list(info.shape) for name, info in self._infos.items()}

    def get_variable_to_dtype_map(self) -> dict[str, str]:
        """Of each tensor TensorFlow's name of its dtype."""
        return {name: info.dtype for name, info in self._infos.items()}


def _prefix_of(ckpt_dir_or_file: PathLike) -> str:
    path = os.fspath(ckpt_dir_or_file)
    if not os.path.isdir(path):
        return path
    found = latest_checkpoint(path)
    if found is None:
        raise InvalidArgumentError(f"{path}: no checkpoint in this directory")
    return found


def load_checkpoint(ckpt_dir_or_file: PathLike) -> CheckpointReader:
    """A reader of a checkpoint, or of the latest one of a directory.

    Raises:
        InvalidArgumentError: for a directory whose state file names none.
    """
    return CheckpointReader(_prefix_of(ckpt_dir_or_file))


def list_variables(ckpt_dir_or_file: PathLike) -> list[tuple[str, list[int]]]:
    """Name and shape of each tensor, in the order of the names."""
    return sorted(load_checkpoint(ckpt_dir_or_file).get_variable_to_shape_map().items())


def load_variable(ckpt_dir_or_file: PathLike, name: str) -> np.ndarray[Any, Any]:
    """A tensor as a new array; the name may end in ":0"."""
    return load_checkpoint(ckpt_dir_or_file).get_tensor(name.removesuffix(":0"))
