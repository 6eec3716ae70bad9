"""Waypost for PyTorch: modules and optimizers, and torch.distributed.checkpoint.

import torch.distributed.checkpoint as dcp
import waypost, waypost.torch

waypost.save("ckpt/m-7", waypost.torch.state_of(model=model, optimizer=optimizer, step=7))
step = waypost.torch.restore("ckpt/m-7", model=model, optimizer=optimizer, step=0)["step"]

waypost.torch.guard(optimizer)            # optimizer.step() waits until a save has read the tensors

dcp.save(state, storage_writer=waypost.torch.DcpWriter("ckpt/m-8"))
dcp.load(state, storage_reader=waypost.torch.DcpReader("ckpt/m-8"))
"""

from __future__ import annotations

from typing import Any

from .dcp_reader import DcpReader
from .dcp_writer import DcpWriter
from .state import guard, restore, state_of

__all__ = ["DcpReader", "DcpWriter", "graph_of", "guard", "restore", "state_of"]


def __getattr__(name: str) -> Any:
    # The graph library is opened where a graph is used only.
    if name == "graph_of":
        from .graph import graph_of

        return graph_of
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
