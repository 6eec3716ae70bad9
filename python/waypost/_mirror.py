"""A graph for tensors that no graph of Waypost has: those of a tree, of a module, or of TensorFlow's session.

So that a Saver's rules (names of files, the state file, retention, the meta graph) hold for them as well.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from . import _leaves, _native, _tree
from ._request import Request
from .engine import Engine
from .graph import Graph
from .session import Session

# What a name of TensorFlow's may be made of; other characters of a tensor's name become "_".
_FOREIGN = re.compile(r"[^A-Za-z0-9_.\\/>-]")

MakeSaver = Callable[[Graph, list[tuple[bytes, list[_native.Variable], bool]]], _native.Saver]


@dataclass(frozen=True)
class Spec:
    """One tensor, or slice of one.

    Attributes:
        key: its name in the checkpoint.
        dtype: TensorFlow's name.
        shape: of this memory.
        full_shape: of the whole where this is a slice, else None.
        starts: where the slice begins.
        device: TensorFlow's name of where it is; "" for the host.
    """

    key: str
    dtype: str
    shape: tuple[int, ...]
    full_shape: tuple[int, ...] | None = None
    starts: tuple[int, ...] = ()
    device: str = ""


def spec_of(key: str, memory: _leaves.Memory | _leaves.Strings) -> Spec:
    """Of memory as it is to be saved."""
    if isinstance(memory, _leaves.Strings):
        return Spec(key, "string", memory.shape)
    device = memory.device.replace("cuda:", "/device:GPU:")
    return Spec(key, memory.dtype, memory.shape, memory.full_shape, memory.starts, device)


class Mirror:
    """A graph with a variable for each spec, and the saver of these.

    Args:
        specs: slices of one key follow each other.
        make_saver: makes the engine's saver of named variables.
    """

    def __init__(self, specs: Sequence[Spec], make_saver: MakeSaver) -> None:
        self.specs = list(specs)
        self.graph = Graph()
        self._variables = [self._add(spec, f"{_graph_name(spec.key)}{_part(specs, i)}") for i, spec in enumerate(specs)]
        named: dict[bytes, list[_native.Variable]] = {}
        for spec, variable in zip(self.specs, self._variables, strict=True):
            named.setdefault(_tree.encode_name(spec.key), []).append(variable)
        slices = {_tree.encode_name(spec.key) for spec in specs if spec.full_shape is not None}
        self.saver = make_saver(self.graph, [(key, parts, key in slices) for key, parts in named.items()])

    def bound(self, engine: Engine, references: Sequence[_native.TensorRef], owners: Any) -> _native.Session:
        """A session whose variables stand for these tensors, one a spec."""
        session = Session.new_native(engine, self.graph)
        for variable, reference in zip(self._variables, references, strict=True):
            session.bind(variable, reference, owners)
        return session

    def _add(self, spec: Spec, name: str) -> _native.Variable:
        is_slice = spec.full_shape is not None
        return self.graph.native.add_variable(
            name,
            spec.dtype,
            list(spec.shape),
            spec.device,
            True,
            True,
            [],
            _graph_name(spec.key) if is_slice else "",
            list(spec.full_shape or ()),
            list(spec.starts),
        )


def _graph_name(key: str) -> str:
    """The variable's name for a tensor's: the same, unless TensorFlow could not have such a name."""
    name = _FOREIGN.sub("_", key)
    return name if re.match(r"[A-Za-z0-9.]", name) else f"v{name}"


def _part(specs: Sequence[Spec], position: int) -> str:
    if specs[position].full_shape is None:
        return ""
    return f"/part_{sum(spec.key == specs[position].key for spec in specs[:position])}"


class TreeContent:
    """What of a tree is saved: its tensors, its values as scalars, and what they were (``_WAYPOST_TREE``)."""

    def __init__(self, engine: Engine, tree: Any) -> None:
        flat = _tree.Flattened(tree)
        self.request = Request(engine.accelerators)
        self.specs: list[Spec] = []
        for leaf in flat.leaves:
            value = _tree.stored_value(leaf) if leaf.is_value else leaf.value
            if isinstance(value, bytes):
                self._add(leaf.name, _leaves.Strings((), [value]))
                continue
            for memory in _leaves.to_save(leaf.name, value):
                self._add(leaf.name, memory)
        self._add(_tree.decode_name(_tree.ENTRY), _leaves.Strings((), [flat.text()]))

    def _add(self, name: str, memory: _leaves.Memory | _leaves.Strings) -> None:
        self.request.add(name, memory)
        self.specs.append(spec_of(name, memory))
