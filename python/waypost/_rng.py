"""The state of the random number generators of Python, NumPy and PyTorch as tensors, so that processes can gather
it.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from .errors import DataLossError, UnimplementedError

PYTHON_VERSION = 3  # of what random.getstate() gives
NUMPY_KIND = "MT19937"
WORDS = 624  # of a Mersenne Twister


def gathered(accelerator: Any) -> dict[str, torch.Tensor]:
    """The states of all processes of an ``accelerate.Accelerator``, a row for each; each process must call it.

    ``python``: 624 words, a position, whether there is a spare number of gauss(), that number.  ``numpy``: the same.
    ``torch``: bytes.  ``cuda``, where there is any: bytes for each device.
    """
    own = {name: state.unsqueeze(0) for name, state in _state().items()}
    if accelerator.num_processes == 1:
        return own
    return {name: accelerator.gather(state.to(accelerator.device)).cpu() for name, state in own.items()}


def restore(saved: Mapping[str, torch.Tensor], process: int) -> bool:
    """Sets the states of process `process`; False, and nothing changes, if there were fewer processes.

    Raises:
        DataLossError: for what is no such state.
    """
    if process >= min(len(rows) for rows in saved.values()):
        return False
    # PyTorch takes a state from the start of its storage: a view of a row will not do.
    own = {name: rows[process].cpu().clone() for name, rows in saved.items()}
    try:
        words, spare = _parts(own["python"])
        random.setstate((PYTHON_VERSION, tuple(words), spare))
        words, spare = _parts(own["numpy"])
        keys = np.array(words[:WORDS], np.uint32)
        np.random.set_state((NUMPY_KIND, keys, words[WORDS], int(spare is not None), spare or 0.0))
        torch.set_rng_state(own["torch"])
        if torch.cuda.is_available():
            for device, state in zip(range(torch.cuda.device_count()), own.get("cuda", ()), strict=False):
                torch.cuda.set_rng_state(state, device)
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise DataLossError(f"states of random number generators: {error}") from error
    return True


def _state() -> dict[str, torch.Tensor]:
    version, words, spare = random.getstate()
    numpy_state: Any = np.random.get_state()
    kind, keys, position, has_spare, numpy_spare = numpy_state
    if version != PYTHON_VERSION or kind != NUMPY_KIND:
        raise UnimplementedError(f"a random number generator of an unknown kind: {version}, {kind}")
    state = {
        # Words of 32 bits and a double: a double holds both.
        "python": _tensor([*words], spare),
        "numpy": _tensor([*keys.tolist(), position], numpy_spare if has_spare else None),
        "torch": torch.get_rng_state(),
    }
    if torch.cuda.is_available():
        state["cuda"] = torch.stack(torch.cuda.get_rng_state_all())
    return state


def _tensor(words: list[int], spare: float | None) -> torch.Tensor:
    return torch.tensor([*words, spare is not None, spare or 0.0], dtype=torch.float64)


def _parts(state: torch.Tensor) -> tuple[list[int], float | None]:
    *words, has_spare, spare = state.tolist()
    return [int(word) for word in words], spare if has_spare else None
