"""Tensors compared bit by bit, whatever their dtype: NaN equals itself, and 0 is not -0."""

from __future__ import annotations

from typing import Any

import numpy as np


def bits(tensor: Any) -> bytes:
    """The elements of a NumPy array or of a PyTorch tensor, in row-major order."""
    if isinstance(tensor, np.ndarray):
        return tensor.tobytes()
    import torch

    flat = tensor.detach().cpu().reshape(-1)
    # A copy of its own: the memory of a lazily conjugated or negated tensor holds other bits.
    return bytes(torch.empty(flat.shape, dtype=flat.dtype).copy_(flat).view(torch.uint8).numpy().tobytes())
