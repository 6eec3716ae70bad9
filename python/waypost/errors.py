"""The exceptions of Waypost: one class for each canonical code, all below :class:`Error`.

A class is also the built-in exception that a Python program would expect to catch, where there is one: a checkpoint
that is not there is a ``FileNotFoundError``, a wrong argument a ``ValueError``, a damaged file an ``OSError``.  The
codes are those of gRPC and Abseil.
"""

from __future__ import annotations

from typing import ClassVar

__all__ = [
    "AbortedError",
    "AlreadyExistsError",
    "CancelledError",
    "DataLossError",
    "Error",
    "FailedPreconditionError",
    "InternalError",
    "InvalidArgumentError",
    "NotFoundError",
    "OutOfRangeError",
    "PermissionDeniedError",
    "ResourceExhaustedError",
    "UnavailableError",
    "UnimplementedError",
    "UnknownError",
]


class Error(Exception):
    """Whatever Waypost fails with; the message is one line: operation, path or tensor, reason.

    Attributes:
        code: the canonical code's name, such as ``"DataLoss"``; of the class.
        assigned: after a restore that failed midway, names of the tensors that hold the checkpoint's values.
        undefined: after such a restore, names of the tensors whose content must not be used.  Tensors in neither tuple
            were not touched; both are empty where nothing was changed.
    """

    code: ClassVar[str] = ""
    assigned: tuple[str, ...] = ()
    undefined: tuple[str, ...] = ()


class CancelledError(Error):
    """The caller cancelled the operation."""

    code = "Cancelled"


class UnknownError(Error):
    """An error of a library that has no code of its own."""

    code = "Unknown"


class InvalidArgumentError(Error, ValueError):
    """The call was wrong whatever the state of the system."""

    code = "InvalidArgument"


class NotFoundError(Error, FileNotFoundError):
    """A file, a checkpoint or a tensor does not exist."""

    code = "NotFound"


class AlreadyExistsError(Error, FileExistsError):
    """Something to be created is there already."""

    code = "AlreadyExists"


class PermissionDeniedError(Error, PermissionError):
    """The operating system refuses."""

    code = "PermissionDenied"


class ResourceExhaustedError(Error, OSError):
    """A full disk, a quota, no memory, too many files."""

    code = "ResourceExhausted"


class FailedPreconditionError(Error, RuntimeError):
    """The call is wrong in this state: a variable is not bound, a process was forked."""

    code = "FailedPrecondition"


class AbortedError(Error):
    """Another writer, or a tensor that changed while it was saved; may be tried again."""

    code = "Aborted"


class OutOfRangeError(Error, IndexError):
    """A position beyond the end."""

    code = "OutOfRange"


class UnimplementedError(Error, NotImplementedError):
    """Not supported here."""

    code = "Unimplemented"


class InternalError(Error, RuntimeError):
    """A library or driver broke its contract."""

    code = "Internal"


class UnavailableError(Error, OSError):
    """Writing failed for a reason outside: an I/O error, a lost device."""

    code = "Unavailable"


class DataLossError(Error, OSError):
    """A file is damaged: a bad checksum, a bad structure, an unreadable block."""

    code = "DataLoss"


BY_CODE: dict[str, type[Error]] = {
    error.code: error for error in globals().values() if isinstance(error, type) and issubclass(error, Error)
}
