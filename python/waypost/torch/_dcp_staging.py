"""What dcp.async_save saves while the job goes on: a copy of the state, or the state itself until it was read."""

from __future__ import annotations

import threading
from concurrent.futures import Future
from typing import Any

import torch
from torch.distributed.checkpoint.staging import DefaultStager, StagingOptions

from ..errors import AbortedError

StateDict = dict[str, Any]


def copied(state_dict: StateDict) -> StateDict:
    """The state in host memory of its own, tensors of the host copied like the others."""
    stager = DefaultStager(StagingOptions(False, False, False, False))
    try:
        staged = stager.stage(state_dict)
    finally:
        stager.close()
    assert not isinstance(staged, Future)
    return staged


class LazyStaging(Future[StateDict]):
    """Gives the thread that saves the state at once, and is done for everybody else when the state has been read.

    DCP begins a save when this has a result, and tells the trainer that staging is complete when it is done.  Here the
    save itself is what reads the state, so the two are taken apart: the first other thread that asks is the one that
    saves.  When that thread ends without having read the state, whoever waits gets an error.
    """

    def __init__(self, state_dict: StateDict) -> None:
        super().__init__()
        self._state_dict: StateDict | None = state_dict
        self._caller = threading.current_thread()
        # What is on the job's streams is part of the state; the thread that saves has streams of its own.
        self._events = [torch.cuda.current_stream(device).record_event() for device in _cuda_devices(state_dict)]

    def result(self, timeout: float | None = None) -> StateDict:
        """The state: at once in the thread that saves, else when it may change."""
        state = self._state_dict
        if self.done() or state is None or threading.current_thread() is self._caller:
            return super().result(timeout)
        self._state_dict = None
        for event in self._events:
            event.synchronize()
        threading.Thread(
            target=self._watch, args=(threading.current_thread(),), name="waypost-staging", daemon=True
        ).start()
        return state

    def wait(self) -> None:
        """Until the state may change."""
        super().result()

    def finish(self) -> None:
        """It may."""
        if not self.done():
            self.set_result({})

    def _watch(self, saving: threading.Thread) -> None:
        saving.join()
        if not self.done():
            self.set_exception(AbortedError("the save ended before it had read the state; its own error says why"))


def _cuda_devices(state_dict: StateDict) -> set[torch.device]:
    found: set[torch.device] = set()

    def visit(node: Any) -> None:
        if isinstance(node, torch.Tensor):
            if node.device.type == "cuda":
                found.add(node.device)
        elif isinstance(node, dict):
            for member in node.values():
                visit(member)
        elif isinstance(node, list | tuple):
            for member in node:
                visit(member)

    visit(state_dict)
    return found
