"""CheckpointPath: which checkpoint a DcpWriter or DcpReader is of, by its path or by DCP's ``checkpoint_id``."""

from __future__ import annotations

import os

from ..errors import FailedPreconditionError
from ..opened import PathLike
from ._dcp_names import prefix_of


class CheckpointPath:
    """What DCP asks writers and readers alike."""

    def __init__(self, path: PathLike | None) -> None:
        self._path = path

    @property
    def prefix(self) -> str:
        """Of the checkpoint.

        Raises:
            FailedPreconditionError: where no path was given.
        """
        if self._path is None:
            raise FailedPreconditionError(f"{type(self).__name__}: no path and no checkpoint_id was given")
        return prefix_of(self._path)

    @property
    def checkpoint_id(self) -> str | None:
        """The path as it was given."""
        return None if self._path is None else os.fspath(self._path)

    @classmethod
    def validate_checkpoint_id(cls, checkpoint_id: PathLike) -> bool:
        """Whether it can be a path."""
        return isinstance(checkpoint_id, str | os.PathLike) and "://" not in os.fspath(checkpoint_id)
