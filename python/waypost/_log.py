"""Log lines of the engine, handed on to Python's ``logging`` under the name ``waypost``.

The engine's threads leave them in a list, since they must not wait for the interpreter; they are fetched by each call
of the package that waits or returns, and when the interpreter ends.
"""

from __future__ import annotations

import atexit
import logging

from . import _native

LOGGER = logging.getLogger("waypost")


def hand_on() -> None:
    """Hands on what the engine has logged since the last call."""
    for is_warning, created, line in _native.take_log_lines():
        level = logging.WARNING if is_warning else logging.INFO
        if not LOGGER.isEnabledFor(level):
            continue
        record = LOGGER.makeRecord(LOGGER.name, level, "waypost", 0, line, (), None)
        record.created = created
        LOGGER.handle(record)


atexit.register(hand_on)
