"""PyTorch's modules and optimizers within trees: saved as their states, and filled from a checkpoint."""

from __future__ import annotations

from typing import Any

from . import _tree
from ._modules import is_module, is_stateful, put, state_dict_of
from .checkpoint import load_node
from .engine import Engine
from .errors import FailedPreconditionError, NotFoundError
from .opened import OpenCheckpoint


def with_states(tree: Any) -> Any:
    """The tree with the states of such objects at their places."""
    if is_stateful(tree):
        return state_dict_of(tree)
    if isinstance(tree, dict):
        return {key: with_states(value) for key, value in tree.items()}
    if isinstance(tree, list | tuple):
        members = [with_states(value) for value in tree]
        return type(tree)(*members) if hasattr(tree, "_fields") else type(tree)(members)
    return tree


def restore_into(engine: Engine, prefix: str, tree: Any, *, reshape: bool, restore_sequentially: bool) -> Any:
    """:meth:`Engine.restore` of a tree with such objects in it.

    The tensors of modules are filled in place, and the rest of their states is given to them.  Whatever else has
    a ``load_state_dict`` (an optimizer makes its tensors with its first step only) is given the state that was
    saved, once all has been read.
    """
    checkpoint = OpenCheckpoint(prefix)
    loaded = {path: _loaded(checkpoint, path) for path, node in _stateful_places(tree, ()) if not is_module(node)}
    plain = engine.restore(
        checkpoint, _without_loaded(tree), reshape=reshape, restore_sequentially=restore_sequentially
    )
    return _put(tree, plain, (), loaded)


def _stateful_places(tree: Any, path: tuple[str, ...]) -> list[tuple[tuple[str, ...], Any]]:
    if is_stateful(tree):
        return [(path, tree)]
    if isinstance(tree, dict):
        return [found for key, value in tree.items() for found in _stateful_places(value, (*path, str(key)))]
    if isinstance(tree, list | tuple):
        return [found for name, _, value in _tree.items_of(tree) for found in _stateful_places(value, (*path, name))]
    return []


def _without_loaded(tree: Any) -> Any:
    """What is filled in place: the states of modules, and nothing of other objects."""
    if is_stateful(tree):
        return state_dict_of(tree) if is_module(tree) else {}
    if isinstance(tree, dict):
        return {key: _without_loaded(value) for key, value in tree.items()}
    if isinstance(tree, list | tuple):
        members = [_without_loaded(value) for value in tree]
        return type(tree)(*members) if hasattr(tree, "_fields") else type(tree)(members)
    return tree


def _loaded(checkpoint: OpenCheckpoint, path: tuple[str, ...]) -> Any:
    """The part of the saved tree at a place, with new tensors."""
    place = "/".join(path) or "tree"
    if checkpoint.structure is None:
        raise FailedPreconditionError(
            f"restore {checkpoint.prefix}: {place}: a state can be made from a checkpoint of a tree only"
        )
    node = checkpoint.structure.node
    for name in path:
        node = _member(node, name)
        if node is None:
            raise NotFoundError(f"restore {checkpoint.prefix}: no {place}")
    return load_node(checkpoint, node)


def _member(node: Any, name: str) -> Any:
    if node is None:
        return None
    kind, content = next(iter(node.items()))
    if kind == "dict":
        return next((member for key, member in content if str(key) == name), None)
    if kind in ("list", "tuple") and name.isdecimal() and int(name) < len(content):
        return content[int(name)]
    return None


def _put(tree: Any, plain: Any, path: tuple[str, ...], loaded: dict[tuple[str, ...], Any]) -> Any:
    """Puts what was restored where it belongs: into the objects, and values into the caller's dicts and
    lists.
    """
    if is_stateful(tree):
        if path in loaded:
            tree.load_state_dict(loaded[path])
        else:
            put(tree, plain)
        return tree
    if isinstance(tree, dict):
        for key in tree:
            tree[key] = _put(tree[key], plain[key], (*path, str(key)), loaded)
        return tree
    if isinstance(tree, list | tuple):
        names = [name for name, _, _ in _tree.items_of(tree)]
        members = [_put(old, new, (*path, name), loaded) for name, old, new in zip(names, tree, plain, strict=True)]
        if isinstance(tree, list):
            tree[:] = members
            return tree
        return type(tree)(*members) if hasattr(tree, "_fields") else type(tree)(members)
    return plain
