"""The parts of a DCP save are removed by the process that wrote them, and by no fork of it; writers of other
threads may add theirs while one looks for what failed saves have left."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path

import pytest

pytest.importorskip("torch")

import waypost
from waypost.torch import _dcp_parts
from waypost.torch._dcp_parts import Parts, remove_of_failed_saves


class Owner:
    pass


def files(prefix: str) -> list[str]:
    return sorted(path.name for path in Path(prefix).parent.iterdir() if ".rank-" in path.name)


def test_a_forked_child_leaves_the_parts_of_its_parent(prefix: str) -> None:
    owner = Owner()
    part = Parts(owner).new(prefix, "00000")
    waypost.save(part, {"a": 1})
    written = files(prefix)
    assert written
    child = os.fork()
    if child == 0:
        # Whatever it raises, the child may not go on with the tests.
        try:
            del owner
        finally:
            os._exit(0)
    end = time.monotonic() + 300
    while os.waitpid(child, os.WNOHANG) == (0, 0):
        if time.monotonic() > end:
            os.kill(child, signal.SIGKILL)
        time.sleep(0.01)
    assert files(prefix) == written
    del owner
    assert files(prefix) == []


def test_others_may_add_parts_while_those_of_failed_saves_are_looked_for(
    prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner = Owner()
    parts = Parts(owner)
    for _ in range(3):
        parts.new(prefix, "00000")

    def exists(part: str) -> bool:
        adder = threading.Thread(target=parts.new, args=(prefix, "00001"))
        adder.start()
        adder.join(60)
        return waypost.exists(part)

    with monkeypatch.context() as patched:
        patched.setattr(_dcp_parts, "exists", exists)
        remove_of_failed_saves()
