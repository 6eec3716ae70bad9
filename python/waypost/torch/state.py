"""Modules, optimizers and whatever else has a ``state_dict``: their state as a tree, and back in place."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol

import numpy as np
import torch
from torch.optim.optimizer import Optimizer
from torch.utils.hooks import RemovableHandle

from .. import _leaves, _modules, _tree
from .._dtypes import numpy_dtype
from ..engine import Engine, default_engine
from ..errors import FailedPreconditionError, InvalidArgumentError, NotFoundError, UnimplementedError
from ..opened import OpenCheckpoint, Source, TensorInfo, opened

__all__ = ["guard", "restore", "state_of"]


class Waited(Protocol):
    """What reads tensors for a while: an Engine, a SaveHandle, a DcpWriter."""

    def wait_staged(self) -> None:
        """Returns when the tensors may change."""


def guard(optimizer: Optimizer, *saving: Waited) -> RemovableHandle:
    """From now on ``optimizer.step()`` waits first until no save reads the tensors any more.

    Args:
        optimizer: whose step changes them.
        saving: engines, writers or handles that are to be waited for; none: the default engine of the time.

    Returns:
        A handle; its ``remove()`` ends this.

    A forward pass that writes buffers of the state in place (BatchNorm's statistics, codebooks) comes before the step:
    it needs a wait of its own (``with waypost.updating():``), unless copies of the buffers were saved.

    The step raises the error of a save that failed (:meth:`waypost.Engine.wait_staged`), and has then changed nothing.
    """

    if not isinstance(optimizer, Optimizer):
        raise InvalidArgumentError(f"guard: a {type(optimizer).__qualname__} is no optimizer")

    def wait(*_: Any) -> None:
        for waited in saving or (default_engine(),):
            waited.wait_staged()

    return optimizer.register_step_pre_hook(wait)


def state_of(**objects: Any) -> dict[str, Any]:
    """The tree to save of modules, optimizers, schedulers and values, by the names that they are given.

    Whatever has a ``state_dict`` stands with what that gives, anything else as it is.  The tensors are the live ones,
    not copies, buffers too (:func:`guard` says what that asks of a forward pass).  :func:`restore` takes the same
    names.

        waypost.save_async("ckpt/m-7", waypost.torch.state_of(model=model, optimizer=optimizer, step=7))
    """
    return {
        name: _modules.state_dict_of(value) if _modules.is_stateful(value) else value for name, value in objects.items()
    }


def restore(prefix: Source, *, strict: bool = True, engine: Engine | None = None, **objects: Any) -> dict[str, Any]:
    """Brings modules, optimizers, schedulers and values back from a checkpoint of :func:`state_of`, every byte checked.

    Tensors of modules are filled in place, and those of an optimizer whose state is that of the checkpoint.  An
    optimizer that has made no step yet, or another state, is given new tensors by its ``load_state_dict``, as is
    whatever else has one.  All is read at one go; what has a ``load_state_dict`` is given its state when that has
    succeeded.

    Args:
        prefix: of a checkpoint, or one that is open; of one that was not saved from a tree (TensorFlow's) modules and
            values only.
        strict: refuses a checkpoint that has more of a module than the module.
        engine: None: the default engine.
        objects: by the names of :func:`state_of`.

    Returns:
        ``objects``, values replaced by those of the checkpoint.

    Raises:
        NotFoundError: for a checkpoint, objects or tensors that are not there, all named.
        InvalidArgumentError: for dtypes or shapes that differ, names that a module does not have, parameters of lazy
            modules that have no shape yet.
        DataLossError: for a damaged checkpoint; see :meth:`waypost.Engine.restore`.
    """
    engine = engine or default_engine()
    checkpoint = opened(prefix)
    contents = _Contents(checkpoint)
    targets = {name: _target(contents, name, value, strict) for name, value in objects.items()}
    tree = engine.restore(checkpoint, {name: target.tree for name, target in targets.items()}, progress=False)
    return {name: target.put(tree[name]) for name, target in targets.items()}


class _Contents:
    """What a checkpoint has, to be compared with what it is to go into."""

    def __init__(self, checkpoint: OpenCheckpoint) -> None:
        self.prefix = checkpoint.prefix
        self._checkpoint = checkpoint
        self._infos = checkpoint.infos

    def names_below(self, name: str) -> set[str]:
        return {found for found in self._infos if found.startswith(name + "/")}

    def info(self, name: str) -> TensorInfo:
        found = self._infos.get(name)
        if found is None:
            raise NotFoundError(f"restore {self.prefix}: no tensor {name}")
        return found

    def new_tree(self, name: str) -> Any:
        """The part ``name`` of the tree that was saved, with new tensors, and zeros for values."""
        if self._checkpoint.structure is None:
            raise FailedPreconditionError(
                f"restore {self.prefix}: {name}: its state can be made from a checkpoint of a tree only"
            )
        members = self._checkpoint.members
        if name not in members:
            raise NotFoundError(f"restore {self.prefix}: no {name}")
        return self._new_node(members[name])

    def _new_node(self, node: Any) -> Any:
        if node is None:
            return None
        kind, content = next(iter(node.items()))
        if kind == "dict":
            return {key: self._new_node(member) for key, member in content}
        if kind in ("list", "tuple"):
            members = [self._new_node(member) for member in content]
            return members if kind == "list" else tuple(members)
        if kind in _tree.VALUE_DTYPES:
            return 0
        info = self.info(content)
        _tree.check_stored(self.prefix, content, kind, info.dtype, info.shape)
        if kind == "torch" and info.dtype in _leaves.TORCH_DTYPES:
            return torch.empty(info.shape, dtype=getattr(torch, info.dtype))
        try:
            dtype = numpy_dtype(info.dtype)
        except KeyError:
            raise UnimplementedError(f"restore {self.prefix}: tensor {content}: dtype {info.dtype}") from None
        array = np.empty(info.shape, dtype)
        return array[()] if kind == "scalar" else array


class _Target:
    """A tree that is to be filled, and what is then done with it."""

    def __init__(self, value: Any, tree: Any) -> None:
        self._value = value
        self.tree = tree

    def put(self, tree: Any) -> Any:
        """What the caller gets."""
        return tree


class _LoadTarget(_Target):
    def put(self, tree: Any) -> Any:
        self._value.load_state_dict(tree)
        return self._value


class _ModuleTarget(_Target):
    """Its tensors are filled in place, if its state dict has them themselves."""

    def put(self, tree: Any) -> Any:
        _modules.put(self._value, tree)
        return self._value


class _OptimizerTarget(_Target):
    """Its state's tensors are filled in place; its state dict has copies of the groups' settings."""

    def put(self, tree: Any) -> Any:
        for group, restored in zip(self._value.param_groups, tree["param_groups"], strict=True):
            group.update({key: value for key, value in restored.items() if key != "params"})
        return self._value


def _target(contents: _Contents, name: str, value: Any, strict: bool) -> _Target:
    if not _modules.is_stateful(value):
        return _Target(value, value)
    if isinstance(value, torch.nn.Module):
        tree = _modules.state_dict_of(value)
        if strict:
            _refuse_more(contents, name, tree)
        return _ModuleTarget(value, tree)
    if isinstance(value, Optimizer):
        tree = value.state_dict()
        if _is_live(value, tree) and _is_of(contents, name, tree):
            return _OptimizerTarget(value, tree)
    return _LoadTarget(value, contents.new_tree(name))


def _leaves_of(name: str, tree: Any) -> Iterator[_tree.Leaf]:
    yield from _tree.Flattened({name: tree}).leaves


def _refuse_more(contents: _Contents, name: str, tree: Any) -> None:
    more = contents.names_below(name) - {leaf.name for leaf in _leaves_of(name, tree)}
    if more:
        raise InvalidArgumentError(
            f"restore {contents.prefix}: the module {name} does not have {', '.join(sorted(more))}; "
            "strict=False leaves them out"
        )


def _is_live(optimizer: Optimizer, tree: Any) -> bool:
    """Whether the state dict has the optimizer's own tensors, and no copies that a hook has made."""
    own = {id(leaf.value) for leaf in _leaves_of("", list(optimizer.state.values()))}
    return all(leaf.is_value or id(leaf.value) in own for leaf in _leaves_of("", tree["state"]))


def _is_of(contents: _Contents, name: str, tree: Any) -> bool:
    """Whether the checkpoint has these leaves under ``name``, no other, and tensors of the same dtypes and shapes."""
    leaves = list(_leaves_of(name, tree))
    if contents.names_below(name) != {leaf.name for leaf in leaves}:
        return False
    return all(
        leaf.is_value
        or (
            isinstance(leaf.value, torch.Tensor)
            and contents.info(leaf.name).shape == tuple(leaf.value.shape)
            and contents.info(leaf.name).dtype == str(leaf.value.dtype).removeprefix("torch.")
        )
        for leaf in leaves
    )
