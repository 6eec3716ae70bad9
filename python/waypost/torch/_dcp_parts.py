"""The parts of a save, PREFIX.rank-00003-1f2e3d4c: checkpoints of their own, until they are merged or removed."""

from __future__ import annotations

import gc
import os
import re
import secrets
import threading
import weakref
from pathlib import Path

from .. import _log
from ..checkpoint import exists, remove
from ..errors import Error

# Those of all writers of this process that were not yet seen to be gone.
_written: set[str] = set()
_written_lock = threading.Lock()


class Parts:
    """The parts that one writer has written and that may not be merged; removed when ``owner`` is let go of.

    A merge removes them, too: the names are unique, so that this never removes a part of another save.  A process that
    was forked meanwhile has the list, too, and removes nothing: they are its parent's.
    """

    def __init__(self, owner: object) -> None:
        self._parts: list[tuple[int, str]] = []  # the process that has added it, and its prefix
        weakref.finalize(owner, _remove, self._parts)

    def new(self, prefix: str, what: str) -> str:
        """The name of one that is about to be written."""
        part = f"{prefix}.rank-{what}-{secrets.token_hex(4)}"
        self.add(part)
        return part

    def add(self, part: str) -> None:
        """One of another rank."""
        self._parts.append((os.getpid(), part))
        with _written_lock:
            _written.add(part)

    def remove(self) -> None:
        """Removes those that are still there."""
        _remove(self._parts)


def remove_of_failed_saves() -> None:
    """Removes the parts of writers of this process that are no longer used, and whose save failed on another rank.

    DCP tells a writer of no failure elsewhere, and the exception that it raises then holds the writer in a cycle.
    """
    with _written_lock:
        written = list(_written)
    gone = [part for part in written if not exists(part)]
    with _written_lock:
        _written.difference_update(gone)
    if len(gone) < len(written):
        gc.collect()


def remove_left(prefix: str) -> None:
    """Removes the parts of saves to this prefix that were killed.

    Raises:
        AbortedError: when one is being written.
    """
    directory, name = os.path.split(prefix)
    left = re.compile(re.escape(name) + r"\.rank-(\d{5,}|tree)-[0-9a-f]{8}\.index")
    parent = Path(directory or ".")
    if parent.is_dir():
        for file in parent.iterdir():
            if left.fullmatch(file.name):
                remove(os.path.join(directory, file.name.removesuffix(".index")))


def _remove(parts: list[tuple[int, str]]) -> None:
    while parts:
        process, part = parts.pop()
        try:
            if process == os.getpid() and exists(part):
                remove(part)
        except Error as error:
            _log.LOGGER.warning("a part of a save stays: %s", error)
