"""Trees of tensors and plain values, and how a checkpoint keeps them (docs/format.md, "Trees").

A leaf's name is its path, joined by "/": ``{"model": {"w": ...}, "steps": [3]}`` has "model/w" and "steps/0".  A
tensor is stored under its name, a number, string, bool or bytes as a scalar of a fixed dtype.  The entry
``_WAYPOST_TREE``, a string with JSON, says what is what, so that the tree comes back as it was; TensorFlow sees one
tensor more.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from ._leaves import NUMPY_DTYPES, kind_of, refuse
from .errors import DataLossError

ENTRY = b"_WAYPOST_TREE"
VERSION = 1
DEPTH_MAX = 100

INT64 = range(-(2**63), 2**63)


@dataclass
class Leaf:
    """One leaf: a tensor, or a value that is stored as a scalar.

    Attributes:
        name: its path.
        value: as the tree has it.
        kind: of a tensor the framework ("torch", "numpy", "jax", "dlpack"); of a value its type ("int", "float",
            "bool", "complex", "str", "bytes").
        is_value: whether it is a value.
    """

    name: str
    value: Any
    kind: str
    is_value: bool


# How a value is stored.
VALUE_DTYPES = {
    "int": "int64",
    "large_int": "string",  # one beyond 64 bits, in decimal digits
    "float": "float64",
    "bool": "bool",
    "complex": "complex128",
    "str": "string",
    "bytes": "string",
}
DIGITS_MAX = 4000  # of a large integer; Python itself refuses to parse more than 4300


def encode_name(name: str) -> bytes:
    return name.encode("utf-8", "surrogateescape")


def decode_name(name: bytes) -> str:
    return name.decode("utf-8", "surrogateescape")


class Flattened:
    """A tree's leaves in the order in which they stand, and its structure.

    Attributes:
        leaves: tensors and values.
        nones: the names of the places that hold None.
        structure: the tree without its values, for ``_WAYPOST_TREE``.

    Raises:
        InvalidArgumentError: for an object that is no leaf, two leaves of one name, a key that is neither ``str`` nor
            ``int``, a tree that contains itself; it names the place.
    """

    def __init__(self, tree: Any) -> None:
        self.leaves: list[Leaf] = []
        self._names: dict[str, str] = {}
        self._open: set[int] = set()
        self.nones: list[str] = []
        self.structure = self._node(tree, (), "tree")

    def text(self) -> bytes:
        """What ``_WAYPOST_TREE`` holds."""
        return json.dumps(
            {"version": VERSION, "tree": self.structure}, ensure_ascii=True, separators=(",", ":")
        ).encode()

    def _node(self, node: Any, path: tuple[str, ...], place: str) -> Any:
        if node is None:
            self.nones.append("/".join(path))
            return None
        if isinstance(node, dict | list | tuple) and not kind_of(node):
            return self._container(node, path, place)
        return self._leaf(node, "/".join(path), place)

    def _container(self, node: Any, path: tuple[str, ...], place: str) -> Any:
        if id(node) in self._open:
            raise refuse(place, "it contains itself")
        if len(path) >= DEPTH_MAX:
            raise refuse(place, f"deeper than {DEPTH_MAX} levels")
        self._open.add(id(node))
        try:
            if isinstance(node, dict):
                return {
                    "dict": [
                        [key, self._node(value, (*path, key_name(place, key)), f"{place}[{key!r}]")]
                        for key, value in node.items()
                    ]
                }
            return {
                "list" if isinstance(node, list) else "tuple": [
                    self._node(value, (*path, name), f"{place}{where}") for name, where, value in items_of(node)
                ]
            }
        finally:
            self._open.remove(id(node))

    def _leaf(self, node: Any, name: str, place: str) -> Any:
        if isinstance(node, np.str_ | np.bytes_):
            raise refuse(place, f"a {type(node).__name__} of NumPy cannot be saved; make it a str or bytes")
        kind = kind_of(node)
        value_kind = "" if kind else kind_of_value(node)
        if not kind and not value_kind:
            hint = "; give its state_dict()" if hasattr(node, "state_dict") else ""
            raise refuse(
                place,
                f"a {type(node).__module__}.{type(node).__qualname__} is no part of a tree, which holds tensors, "
                f"numbers, str, bytes, bool, None, and dicts, lists and tuples of them{hint}",
            )
        self._claim(name or "value", place)
        leaf = Leaf(name or "value", node, kind or value_kind, not kind)
        self.leaves.append(leaf)
        if isinstance(node, np.generic):
            return {"scalar": leaf.name}
        return {value_kind or kind: leaf.name}

    def _claim(self, name: str, place: str) -> None:
        if encode_name(name) == ENTRY:
            raise refuse(place, f"the name {name} is Waypost's own")
        if name in self._names:
            raise refuse(place, f"its name {name} is that of {self._names[name]}, too")
        self._names[name] = place


def kind_of_value(value: object) -> str:
    """The type of a plain value, "" for anything else.  A subclass (an enumeration, say) is none."""
    if type(value) is int and value not in INT64:
        return "large_int"
    return type(value).__name__ if type(value) in (bool, int, float, complex, str, bytes) else ""


def key_name(place: str, key: object) -> str:
    if type(key) is str:
        return key
    if type(key) is int:
        return str(key)
    raise refuse(place, f"the key {key!r} is neither a str nor an int")


def items_of(node: list[Any] | tuple[Any, ...]) -> Iterator[tuple[str, str, Any]]:
    """Name, place and value of each member; of a named tuple its fields."""
    fields = getattr(node, "_fields", None)
    for i, value in enumerate(node):
        if fields is None:
            yield str(i), f"[{i}]", value
        else:
            yield fields[i], f".{fields[i]}", value


# ---- Reading ----


class Structure:
    """What ``_WAYPOST_TREE`` of a checkpoint says; a file's content is not trusted.

    Attributes:
        node: the root.
        kinds: of each stored leaf its kind, by name.
        objects: what torch.distributed.checkpoint has saved in one piece (waypost/torch/_dcp_names.py).
    """

    def __init__(self, text: bytes, prefix: str) -> None:
        self._prefix = prefix
        self.kinds: dict[str, str] = {}
        try:
            content = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise self._damaged(f"no JSON: {error}") from None
        if not isinstance(content, dict) or content.get("version") != VERSION:
            raise self._damaged(f"not of version {VERSION}")
        self.node = content.get("tree")
        self._check(self.node, 0)
        self.objects = content.get("objects", [])
        if not isinstance(self.objects, list) or not all(isinstance(name, str) for name in self.objects):
            raise self._damaged("objects that are no names")

    def _damaged(self, what: str) -> DataLossError:
        return DataLossError(f"{self._prefix}: {ENTRY.decode()}: {what}")

    def _check(self, node: Any, depth: int) -> None:
        if node is None:
            return
        if depth > DEPTH_MAX or not isinstance(node, dict) or len(node) != 1:
            raise self._damaged("a node that is none")
        kind, content = next(iter(node.items()))
        if kind == "dict":
            if not isinstance(content, list) or not all(
                isinstance(item, list) and len(item) == 2 and type(item[0]) in (str, int) for item in content
            ):
                raise self._damaged("a dict that is none")
            for item in content:
                self._check(item[1], depth + 1)
        elif kind in ("list", "tuple"):
            if not isinstance(content, list):
                raise self._damaged(f"a {kind} that is none")
            for item in content:
                self._check(item, depth + 1)
        elif kind in ("torch", "numpy", "jax", "dlpack", "scalar", *VALUE_DTYPES) and isinstance(content, str):
            self.kinds[content] = kind
        else:
            raise self._damaged(f"a node of the unknown kind {kind!r}")


def names_in(node: Any) -> Iterator[str]:
    """The names of the leaves of a node of a :class:`Structure`."""
    if node is None:
        return
    kind, content = next(iter(node.items()))
    if kind in ("dict", "list", "tuple"):
        for member in content:
            yield from names_in(member[1] if kind == "dict" else member)
    else:
        yield content


# ---- Values as they are stored ----


def stored_value(leaf: Leaf) -> Any:
    """A value as the engine takes it: an array without dimensions, or bytes."""
    if leaf.kind == "str":
        return leaf.value.encode("utf-8", "surrogatepass")
    if leaf.kind == "bytes":
        return leaf.value
    if leaf.kind == "large_int":
        if abs(leaf.value) >= 10**DIGITS_MAX:
            raise refuse(leaf.name, f"an integer of more than {DIGITS_MAX} digits cannot be saved")
        return str(leaf.value).encode()
    return np.array(leaf.value, NUMPY_DTYPES[VALUE_DTYPES[leaf.kind]])


def check_stored(prefix: str, name: str, kind: str, dtype: str, shape: tuple[int, ...]) -> None:
    """Compares how a leaf is stored with what the tree of its checkpoint says of it.

    Raises:
        DataLossError: for a value, or a scalar of NumPy, that is stored as something else.
    """
    if kind not in VALUE_DTYPES and kind != "scalar":
        return
    is_of_kind = dtype == VALUE_DTYPES[kind] if kind in VALUE_DTYPES else dtype in NUMPY_DTYPES
    if shape != () or not is_of_kind:
        raise DataLossError(
            f"{prefix}: tensor {name} is no {kind}, as {ENTRY.decode()} says: it has dtype {dtype} and shape {shape}"
        )


def value_of(prefix: str, name: str, kind: str, stored: Any) -> Any:
    """The value of `kind` that was stored so.

    Raises:
        DataLossError: for a string that does not hold one.
    """
    if kind == "bytes":
        return stored
    if kind in ("str", "large_int"):
        try:
            text = stored.decode("utf-8", "surrogatepass")
            return int(text) if kind == "large_int" else text
        except ValueError as error:
            raise DataLossError(f"{prefix}: tensor {name} holds no {kind}: {error}") from None
    return {"int": int, "float": float, "bool": bool, "complex": complex}[kind](stored)
