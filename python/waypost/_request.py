"""What a save takes and what a restore fills, as the engine sees it: names, dtypes, shapes and addresses."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from . import _leaves, _native, _tree
from ._leaves import Memory, Strings, refuse
from .errors import FailedPreconditionError
from .opened import OpenCheckpoint


class Request:
    """Tensors as the engine takes them, and what keeps their memory."""

    def __init__(self, accelerators: frozenset[str]) -> None:
        self._accelerators = accelerators
        self.references: list[_native.TensorRef] = []
        self.owners: list[Any] = []
        self.bytes_total = 0
        self._finish: list[Callable[[], Any]] = []
        self._cuda: set[int] = set()

    def add(self, name: str, memory: Memory | Strings) -> None:
        if isinstance(memory, Strings):
            reference = self.add_strings(_tree.encode_name(name), memory.shape, memory.values)
            if memory.finish is not None:
                finish = memory.finish
                self._finish.append(lambda: finish(reference.strings()))
            return
        if memory.device:
            self.use_device(name, memory.device)
        self.references.append(memory.reference(_tree.encode_name(name)))
        self.owners.append(memory)
        stored_as = _leaves.STORED_AS.get(memory.dtype, memory.dtype)
        self.bytes_total += math.prod(memory.shape) * _leaves.NUMPY_DTYPES[stored_as].itemsize
        if memory.finish is not None:
            self._finish.append(memory.finish)

    def add_strings(self, name: bytes, shape: tuple[int, ...], values: list[bytes]) -> _native.TensorRef:
        reference = _native.TensorRef(name, list(shape), values)
        self.references.append(reference)
        return reference

    def add_leaf(self, leaf: _tree.Leaf) -> None:
        """A tensor or value that is to be saved."""
        if not leaf.is_value:
            for memory in _leaves.to_save(leaf.name, leaf.value):
                self.add(leaf.name, memory)
            return
        stored = _tree.stored_value(leaf)
        if isinstance(stored, bytes):
            self.add_strings(_tree.encode_name(leaf.name), (), [stored])
        else:
            for memory in _leaves.to_save(leaf.name, stored):
                self.add(leaf.name, memory)

    def stream(self) -> int:
        """The stream whose work of now the values include, or wait for."""
        torch = _leaves.module("torch")
        if torch is None or not self._cuda:
            return 0
        streams = [torch.cuda.current_stream(device) for device in sorted(self._cuda)]
        if len(streams) == 1:
            return int(streams[0].cuda_stream)
        # One can be named only; the default streams are waited for anyway.
        for stream in streams:
            if stream.cuda_stream != 0:
                stream.synchronize()
        return 0

    def finish(self) -> None:
        for finish in self._finish:
            finish()

    def use_device(self, name: str, device: str) -> None:
        if device not in self._accelerators:
            raise FailedPreconditionError(
                f"{name}: it is in memory of {device}, which neither this build of Waypost nor this "
                f"machine's driver knows; "
                f"known: {', '.join(sorted(self._accelerators)) or 'the host only'}"
            )
        if device.startswith("cuda:"):
            self._cuda.add(int(device.removeprefix("cuda:")))


class RestorePlan:
    """What of a checkpoint goes where in a tree."""

    def __init__(self, accelerators: frozenset[str], checkpoint: OpenCheckpoint, flat: _tree.Flattened) -> None:
        self.request = Request(accelerators)
        self._prefix = checkpoint.prefix
        structure = checkpoint.structure
        self._values: dict[str, tuple[str, Any]] = {}  # name: kind, and the array or reference that holds it
        kinds = structure.kinds if structure is not None else {}
        for none in flat.nones:
            below = next((name for name in kinds if name == none or not none or name.startswith(none + "/")), None)
            if below is not None:
                raise refuse(
                    none or "tree",
                    f"None cannot be filled, and {self._prefix} has {below}; give it a value of that "
                    "kind, or use waypost.load",
                )
        for leaf in flat.leaves:
            kind = kinds.get(leaf.name, leaf.kind)
            if leaf.name in kinds and (leaf.is_value or isinstance(leaf.value, np.generic)):
                _check_stored(checkpoint, leaf.name, kind)
            if not leaf.is_value:
                if kind in _tree.VALUE_DTYPES:
                    raise refuse(leaf.name, f"the checkpoint has a value of type {kind} there, and no tensor")
                if isinstance(leaf.value, np.generic):
                    self._add_value(leaf.name, "scalar", leaf.value.dtype.name)
                else:
                    self.request.add(leaf.name, _leaves.to_restore(leaf.name, leaf.value))
            elif kind in _tree.VALUE_DTYPES:
                expected = _tree.VALUE_DTYPES[kind]
                dtype = expected if structure is not None else _stored_dtype(checkpoint, leaf.name, expected)
                self._add_value(leaf.name, kind, dtype)
            else:
                raise refuse(leaf.name, "the checkpoint has a tensor there, and no plain value")

    def _add_value(self, name: str, kind: str, dtype: str) -> None:
        if dtype == "string":
            reference = self.request.add_strings(_tree.encode_name(name), (), [])
            self._values[name] = (kind, reference)
            return
        array = np.empty((), _leaves.NUMPY_DTYPES[dtype])
        self.request.add(name, _leaves.to_restore(name, array))
        self._values[name] = (kind, array)

    def values(self) -> dict[str, Any]:
        """The values, by name, once they are restored."""
        found: dict[str, Any] = {}
        for name, (kind, held) in self._values.items():
            if kind == "scalar":
                found[name] = held[()]
            else:
                stored = held.strings()[0] if isinstance(held, _native.TensorRef) else held[()]
                found[name] = _tree.value_of(self._prefix, name, kind, stored)
        return found


def _check_stored(checkpoint: OpenCheckpoint, name: str, kind: str) -> None:
    """Raises a DataLossError where a tensor that is there is not what the tree says of it."""
    info = checkpoint.find(name)
    if info is not None:
        _tree.check_stored(checkpoint.prefix, name, kind, info.dtype, info.shape)


def _stored_dtype(checkpoint: OpenCheckpoint, name: str, expected: str) -> str:
    """The dtype that a number has in a checkpoint that was not saved from a tree: any of its kind will do."""
    info = checkpoint.find(name)
    if info is None or info.dtype not in _leaves.NUMPY_DTYPES or expected == "string":
        return expected
    found, wanted = _leaves.NUMPY_DTYPES[info.dtype], _leaves.NUMPY_DTYPES[expected]
    return info.dtype if np.can_cast(found, wanted, "same_kind") else expected


def replaced(node: Any, path: tuple[str, ...], values: dict[str, Any]) -> Any:
    """The tree with these values in it: its dicts and lists themselves, tuples anew where a member is another."""
    if isinstance(node, dict):
        for key, value in node.items():
            node[key] = replaced(value, (*path, str(key)), values)
        return node
    if isinstance(node, list | tuple):
        members = [replaced(value, (*path, name), values) for name, _, value in _tree.items_of(node)]
        if isinstance(node, list):
            node[:] = members
            return node
        if all(new is old for new, old in zip(members, node, strict=True)):
            return node
        return type(node)(*members) if hasattr(node, "_fields") else tuple(members)
    return values.get("/".join(path) or "value", node)
