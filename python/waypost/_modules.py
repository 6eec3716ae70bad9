"""Modules of PyTorch, and whatever else has a state: given as a tree, and modules restored in place and exactly."""

from __future__ import annotations

from typing import Any

from . import _leaves, _tree
from .engine import Engine
from .errors import InvalidArgumentError
from .opened import OpenCheckpoint


def is_stateful(value: Any) -> bool:
    """Whether it is a module, an optimizer, a scheduler: what gives and takes its state."""
    return callable(getattr(value, "state_dict", None)) and callable(getattr(value, "load_state_dict", None))


def is_module(value: Any) -> bool:
    """Whether it is a module of PyTorch, which is not imported for it."""
    torch = _leaves.module("torch")
    return torch is not None and isinstance(value, torch.nn.Module)


def state_dict_of(value: Any) -> Any:
    """The state of what :func:`is_stateful`, with its live tensors."""
    state = value.state_dict()
    # A module hangs its version numbers on the dict; what is saved is the dict.
    return dict(state) if is_module(value) else state


def restore(engine: Engine, checkpoint: OpenCheckpoint, place: str, module: Any) -> None:
    """Fills `module` from what the checkpoint has at `place`, such as "models/0".

    Raises:
        NotFoundError: for what the module has and the checkpoint has not.
        InvalidArgumentError: for what the checkpoint has and the module has not, and for other shapes or dtypes.
        DataLossError: for damage.
    """
    into = state = module.state_dict()
    for part in reversed(place.split("/")):
        into = {part: into}
    known = {leaf.name for leaf in _tree.Flattened(into).leaves}
    unknown = [name for name in checkpoint.infos if name.startswith(f"{place}/") and name not in known]
    if unknown:
        raise InvalidArgumentError(f"restore {checkpoint.prefix}: the module has no {', '.join(unknown)}")
    engine.restore(checkpoint, into, progress=False)
    put(module, state)


def put(module: Any, state: dict[str, Any]) -> None:
    """Gives `module` its state dict that a checkpoint was restored into.

    Where that has the module's own tensors and nothing else, they hold the checkpoint's values already.  Extra state,
    and the copies that a hook has made, reach the module through its ``load_state_dict`` only.
    """
    own = {tensor.untyped_storage().data_ptr() for tensor in (*module.parameters(), *module.buffers())}
    is_filled = all(
        _leaves.kind_of(value) == "torch" and value.untyped_storage().data_ptr() in own for value in state.values()
    )
    if not is_filled:
        module.load_state_dict(state)
