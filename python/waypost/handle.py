"""SaveHandle: one save under way."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass
from types import TracebackType
from typing import Any

from . import _log, _native
from .errors import Error
from .progress import bar

__all__ = ["SaveHandle", "SaveProgress", "SaveStats"]

# How long a wait goes on before it looks whether a signal came (Ctrl-C).
LOOK_SECONDS = 0.05


@dataclass(frozen=True)
class SaveProgress:
    """How far a save is.

    Attributes:
        state: "planned", "staging", "draining", "committing", "committed", "finished", "failed" or "cancelled".
        bytes_total: of all data files, padding included.
        bytes_staged: copied from the tensors so far.
        bytes_written: on their way to the drive so far.
    """

    state: str
    bytes_total: int
    bytes_staged: int
    bytes_written: int


@dataclass(frozen=True)
class SaveStats:
    """Where a save's bytes and time went; seconds of wall time, those of I/O threads added up over the threads.

    Attributes:
        bytes_total, bytes_written: bytes of the data files, padding included.
        wait_seconds: in ``save_async``, waiting for an earlier save.
        plan_seconds: in ``save_async``, for all else.
        stage_seconds: from then until the last tensor was copied.
        drain_seconds: until the data was synced, and read back where that is asked for.
        commit_seconds: until the checkpoint was durable and named.
        finish_seconds: until old files were gone.
        read_back_seconds: of these, for ``verify_before_delete``.
        stall_seconds: what the caller has lost: ``save_async`` and the waits for staging.
        fill_seconds, drive_seconds, throttle_seconds: of the I/O threads: copying and summing, waiting for the drive,
            kept back by the rate cap.
        stage_rate, write_rate: bytes a second, 0 where unknown.
        limit: what the save waited for most: "source", "drive", "rate cap" or "none".
        warnings: what went wrong and did not fail the save, a line each.
    """

    bytes_total: int
    bytes_written: int
    wait_seconds: float
    plan_seconds: float
    stage_seconds: float
    drive_seconds: float
    drain_seconds: float
    commit_seconds: float
    finish_seconds: float
    read_back_seconds: float
    stall_seconds: float
    fill_seconds: float
    throttle_seconds: float
    stage_rate: float
    write_rate: float
    limit: str
    warnings: list[str]


class SaveHandle:
    """One save under way; ``save_async`` gives it.

    The tensors must not change before :meth:`wait_staged` has returned.  The save goes on whether or not the handle is
    kept; the error of one that nobody waited for is raised by the next save of its engine.

    Used with ``with``, the block's end waits for :meth:`wait_committed`; where the block raises, the save is
    cancelled if that is still possible.  ``await handle`` waits for the commit without blocking the event loop.

    Any thread may call any method.
    """

    def __init__(self, native: _native.SaveHandle, owners: list[Any]) -> None:
        self._native = native
        # The memory that the engine reads until the save is staged.
        self._owners = owners
        self._error_seen = False

    @property
    def prefix(self) -> str:
        """The prefix that the checkpoint has, or will have."""
        return self._native.prefix

    def wait_staged(self, timeout: float | None = None) -> None:
        """Returns when no tensor of this save will be read again, helping meanwhile.

        Args:
            timeout: seconds; None: as long as it takes.

        Raises:
            TimeoutError: when it is over; the save goes on.
            Error: the save's own, if it failed or was cancelled.
        """
        self._wait(self._native.wait_staged, "staged", timeout)

    def wait_committed(self, timeout: float | None = None, progress: bool | None = False) -> None:
        """Returns when a power cut cannot lose the checkpoint.

        Args:
            timeout: seconds; None: as long as it takes.
            progress: a bar meanwhile: None where standard error is a terminal, True always, False never.

        Raises:
            TimeoutError: when it is over; the save goes on.
            Error: the save's own.  One after the commit point says that the checkpoint exists, and what was not
                updated.
        """
        self._wait(self._native.wait_committed, "committed", timeout, progress)

    def wait_finished(self, timeout: float | None = None) -> None:
        """Returns when replaced and retired files are gone as well; raises as :meth:`wait_committed`."""
        self._wait(self._native.wait_finished, "finished", timeout)

    def cancel(self) -> bool:
        """Gives the save up as long as its data is not on the drive: True, and the prefix keeps what it held.

        Later, or when it has ended, False, and nothing changes.  Does not wait: the waits raise CancelledError.
        """
        return self._native.cancel()

    @property
    def state(self) -> str:
        """See :class:`SaveProgress`."""
        return self._native.state()

    @property
    def done(self) -> bool:
        """Whether it is committed, or has failed or was cancelled."""
        return self.state in ("committed", "finished", "failed", "cancelled")

    @property
    def progress(self) -> SaveProgress:
        """How far it is."""
        self._let_go()
        return SaveProgress(*self._native.progress())

    @property
    def stats(self) -> SaveStats:
        """Where its bytes and time went, so far."""
        self._let_go()
        return SaveStats(**self._native.stats())

    def __enter__(self) -> SaveHandle:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self.wait_committed()
            return
        self.cancel()
        # The block's error is the one to be raised; this one was seen if anybody cared to look.
        try:
            self.wait_staged()
        except Error:
            _log.hand_on()

    def __await__(self) -> Generator[Any, None, SaveHandle]:
        return self._committed().__await__()

    async def _committed(self) -> SaveHandle:
        seconds = 0.001
        while not self._step(self._native.wait_committed, 0.0):
            await asyncio.sleep(seconds)
            seconds = min(2 * seconds, LOOK_SECONDS)
        return self

    def __repr__(self) -> str:
        return f"<waypost.SaveHandle of {self.prefix}: {self.state}>"

    # ---- For the engine ----

    def raise_unseen_error(self) -> None:
        """Raises the error of a save that failed and that no wait has raised yet."""
        if not self._error_seen and self._native.state() == "failed":
            self._step(self._native.wait_finished, 0.0)

    def poll_committed(self, seconds: float) -> bool:
        """Whether it is committed, after at most that time; a failure is told by :meth:`raise_unseen_error`."""
        try:
            return self._native.wait_committed(seconds)
        except Error:
            return True
        finally:
            self._let_go()

    def is_settled(self) -> bool:
        """Whether it has ended and nothing is left to be told of it; lets its memory go where nobody reads it."""
        self._let_go()
        state = self._native.state()
        # One that is committed can still fail to remove old files.
        return state in ("finished", "cancelled") or (state == "failed" and self._error_seen)

    def poll_staged(self, seconds: float) -> bool:
        """Whether its tensors may change, after at most that time; a failure is told by :meth:`raise_unseen_error`."""
        try:
            return self._native.wait_staged(seconds)
        except Error:
            return True
        finally:
            self._let_go()

    def _let_go(self) -> None:
        if self._owners and self._native.state() not in ("planned", "staging"):
            self._owners = []

    def _step(self, wait: Callable[[float], bool], seconds: float) -> bool:
        try:
            reached = wait(seconds)
        except Error:
            self._error_seen = True
            raise
        finally:
            self._let_go()
            _log.hand_on()
        return reached

    def _wait(
        self, wait: Callable[[float], bool], what: str, timeout: float | None, progress: bool | None = False
    ) -> None:
        end = None if timeout is None else time.monotonic() + timeout
        shown = bar(f"save {self.prefix}", progress)
        try:
            while True:
                seconds = LOOK_SECONDS if end is None else max(0.0, min(LOOK_SECONDS, end - time.monotonic()))
                if self._step(wait, seconds):
                    return
                if end is not None and time.monotonic() >= end:
                    raise TimeoutError(f"save {self.prefix}: not {what} within {timeout:g} s")
                _, total, _, written = self._native.progress()
                shown.update(written, total)
        finally:
            shown.close()
