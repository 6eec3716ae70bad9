"""Progress bars: one line on a terminal, by ``rich`` or else ``tqdm``, where either is installed.

Nothing is shown where standard error is no terminal, and nothing within the first second.
"""

from __future__ import annotations

import sys
import time
from typing import Protocol

__all__ = ["Bar", "bar"]

FIRST_SECONDS = 1.0


class Bar(Protocol):
    """What is told how far it is."""

    def update(self, bytes_done: int, bytes_total: int) -> None:
        """So many bytes of so many are done."""

    def close(self) -> None:
        """It is over; the line may stay."""


class _NoBar:
    def update(self, bytes_done: int, bytes_total: int) -> None:
        pass

    def close(self) -> None:
        pass


class _RichBar:
    def __init__(self, title: str) -> None:
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            DownloadColumn,
            Progress,
            TextColumn,
            TimeRemainingColumn,
            TransferSpeedColumn,
        )

        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            DownloadColumn(binary_units=True),
            TransferSpeedColumn(),
            TimeRemainingColumn(),
            console=Console(stderr=True),
        )
        self._task = self._progress.add_task(title, total=None)
        self._progress.start()

    def update(self, bytes_done: int, bytes_total: int) -> None:
        self._progress.update(self._task, completed=bytes_done, total=bytes_total)

    def close(self) -> None:
        self._progress.stop()


class _TqdmBar:
    def __init__(self, title: str) -> None:
        from tqdm import tqdm  # type: ignore[import-untyped,unused-ignore]

        self._bar = tqdm(desc=title, unit="B", unit_scale=True, unit_divisor=1024, file=sys.stderr)

    def update(self, bytes_done: int, bytes_total: int) -> None:
        self._bar.total = bytes_total
        self._bar.update(bytes_done - self._bar.n)

    def close(self) -> None:
        self._bar.close()


class _LateBar:
    """A bar that is made when the first second is over."""

    def __init__(self, title: str) -> None:
        self._title = title
        self._begin = time.monotonic()
        self._bar: Bar | None = None

    def update(self, bytes_done: int, bytes_total: int) -> None:
        if self._bar is None:
            if time.monotonic() - self._begin < FIRST_SECONDS or bytes_done >= bytes_total:
                return
            self._bar = _best_bar(self._title)
        self._bar.update(bytes_done, bytes_total)

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()


def _best_bar(title: str) -> Bar:
    for kind in (_RichBar, _TqdmBar):
        try:
            return kind(title)
        except ImportError:
            continue
    return _NoBar()


def bar(title: str, wanted: bool | None) -> Bar:
    """A bar for an operation.

    Args:
        title: what stands before it.
        wanted: ``None`` for one where standard error is a terminal; ``False`` for none; ``True`` for one also elsewhere
            (a notebook), if ``rich`` or ``tqdm`` is installed.
    """
    if wanted is None:
        wanted = sys.stderr is not None and sys.stderr.isatty()
    return _LateBar(title) if wanted else _NoBar()
