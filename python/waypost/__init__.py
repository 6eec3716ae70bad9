"""Waypost: checkpoints of training jobs, asynchronous, verified, crash-safe, in TensorFlow's format.

    import waypost

    save = waypost.save_async("ckpt/step-100", {"model": model.state_dict(), "step": 100})
    ...                                       # forward and backward; the tensors must not change yet
    save.wait_staged()                        # now they may
    save.wait_committed()                     # a power cut cannot lose it any more
    waypost.restore(waypost.latest("ckpt"), into={"model": model.state_dict(), "step": 0})

A tree is nested dicts, lists and tuples of tensors (PyTorch, NumPy, JAX, any DLPack array, on the host or a GPU),
numbers, strings, bytes, bools and None.  A checkpoint is one whole or not there: it is committed by one rename, and
every byte is checked when it is read.

``waypost.torch`` has what PyTorch jobs need besides, ``waypost.train`` and ``waypost.summary`` the names of
TensorFlow 1; ``waypost.lightning``, ``waypost.transformers``, ``waypost.accelerate`` and ``waypost.orbax`` plug into
these libraries.
"""

from __future__ import annotations

from .checkpoint import Conversion, Findings, convert, exists, latest, load, remove, verify
from .checkpoint import list_tensors as list
from .engine import Engine, default_engine, restore, save, save_async, settle, updating
from .errors import (
    AbortedError,
    AlreadyExistsError,
    CancelledError,
    DataLossError,
    Error,
    FailedPreconditionError,
    InternalError,
    InvalidArgumentError,
    NotFoundError,
    OutOfRangeError,
    PermissionDeniedError,
    ResourceExhaustedError,
    UnavailableError,
    UnimplementedError,
    UnknownError,
)
from .handle import SaveHandle, SaveProgress, SaveStats
from .opened import Extent, OpenCheckpoint, TensorInfo

__version__ = "0.1.0"

__all__ = [
    "AbortedError",
    "AlreadyExistsError",
    "CancelledError",
    "Conversion",
    "DataLossError",
    "Engine",
    "Error",
    "Extent",
    "FailedPreconditionError",
    "Findings",
    "InternalError",
    "InvalidArgumentError",
    "NotFoundError",
    "OpenCheckpoint",
    "OutOfRangeError",
    "PermissionDeniedError",
    "ResourceExhaustedError",
    "SaveHandle",
    "SaveProgress",
    "SaveStats",
    "TensorInfo",
    "UnavailableError",
    "UnimplementedError",
    "UnknownError",
    "convert",
    "default_engine",
    "exists",
    "latest",
    "list",
    "load",
    "remove",
    "restore",
    "save",
    "save_async",
    "settle",
    "updating",
    "verify",
]
