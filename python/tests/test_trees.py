"""Any tree of any values comes back as it was, by ``load`` and by ``restore``; what is no tree is refused by name, and
nothing is written then."""

from __future__ import annotations

import contextlib
import enum
import json
import math
from collections import OrderedDict, namedtuple
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import waypost
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from waypost import _leaves, _tree
from waypost.checkpoint import load_member

Point = namedtuple("Point", "x y")

KEYS = st.text(min_size=1, max_size=5) | st.integers(-5, 10**9)
VALUES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(-(2**80), 2**80)
    | st.floats()
    | st.complex_numbers()
    | st.text(st.characters(exclude_categories=[]), max_size=8)
    | st.binary(max_size=8)
)
ARRAYS = st.builds(
    lambda shape, seed: np.random.default_rng(seed).standard_normal(shape).astype(np.float32),
    st.lists(st.integers(0, 4), max_size=3).map(tuple),
    st.integers(0, 2**32 - 1),
)
TREES = st.recursive(
    VALUES | ARRAYS,
    lambda children: (
        st.lists(children, max_size=3)
        | st.lists(children, max_size=3).map(tuple)
        | st.dictionaries(KEYS, children, max_size=3)
    ),
    max_leaves=12,
)


def same(a: Any, b: Any) -> bool:
    """Equal in types and bits; NaN is NaN."""
    if type(a) is not type(b):
        return False
    if isinstance(a, dict):
        return list(a) == list(b) and all(same(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, np.ndarray):
        return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()
    if isinstance(a, float | complex):
        return np.array(a).tobytes() == np.array(b).tobytes() or (a != a and b != b)
    return bool(a == b)


def emptied(tree: Any) -> Any:
    """The same tree with other values."""
    if isinstance(tree, dict):
        return {key: emptied(value) for key, value in tree.items()}
    if isinstance(tree, list | tuple):
        return type(tree)(map(emptied, tree))
    if isinstance(tree, np.ndarray):
        return np.full_like(tree, -1)
    return None if tree is None else type(tree)()


def has_twins(tree: Any, path: str = "", seen: set[str] | None = None) -> bool:
    """Whether two leaves have one name: {1: ..., "1": ...}, {"a/b": ..., "a": {"b": ...}}, or the reserved one."""
    seen = set() if seen is None else seen
    if isinstance(tree, dict | list | tuple):
        items = tree.items() if isinstance(tree, dict) else enumerate(tree)
        return any(has_twins(value, f"{path}/{key}" if path else str(key), seen) for key, value in items)
    if tree is None:
        return False
    name = path or "value"
    is_twin = name in seen or name == "_WAYPOST_TREE"
    seen.add(name)
    return is_twin


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(tree=TREES)
def test_any_tree_comes_back(tree: Any, tmp_path: Path) -> None:
    prefix = str(tmp_path / "m")
    try:
        waypost.save(prefix, tree)
    except waypost.InvalidArgumentError:
        assert has_twins(tree) or "\x00" in repr(tree) or "surrogate" in repr(tree) or "\\ud" in repr(tree)
        return
    assert same(waypost.load(prefix), tree)
    assert same(waypost.load(prefix, mmap=True), tree)
    into = emptied(tree)
    restored = waypost.restore(prefix, into)
    assert same(restored, tree)
    if isinstance(into, dict | list):
        assert restored is into


def test_containers_of_other_kinds(prefix: str) -> None:
    tree = OrderedDict(b=1, a=Point(np.arange(3), (2.0,)))
    waypost.save(prefix, tree)
    assert [tensor.name for tensor in waypost.list(prefix)] == ["a/x", "a/y/0", "b"]
    back = waypost.load(prefix)
    assert list(back) == ["b", "a"]
    assert back["a"][1] == (2.0,)
    into = OrderedDict(b=0, a=Point(np.zeros(3, int), (0.0,)))
    restored = waypost.restore(prefix, into)
    assert restored is into
    assert isinstance(into["a"], Point)
    assert into["a"].y == (2.0,)
    assert into["a"].x.tolist() == [0, 1, 2]


def test_a_part_of_the_tree_can_be_restored(prefix: str) -> None:
    waypost.save(prefix, {"model": {"w": np.arange(4.0), "b": np.ones(2)}, "step": 5})
    assert waypost.restore(prefix, {"step": 0}) == {"step": 5}
    into = {"model": {"w": np.zeros(4)}}
    waypost.restore(prefix, into)
    assert into["model"]["w"].tolist() == [0, 1, 2, 3]


def test_none_is_no_wish(prefix: str) -> None:
    waypost.save(prefix, {"best": 3.5, "other": None})
    assert waypost.restore(prefix, {"best": 0.0, "other": None}) == {"best": 3.5, "other": None}
    with pytest.raises(waypost.InvalidArgumentError, match=r"best.*None"):
        waypost.restore(prefix, {"best": None})


def test_values_and_tensors_are_not_mistaken_for_each_other(prefix: str) -> None:
    waypost.save(prefix, {"a": 1, "b": np.ones(())})
    with pytest.raises(waypost.InvalidArgumentError, match=r"a: .*value of type int"):
        waypost.restore(prefix, {"a": np.zeros((), np.int64)})
    with pytest.raises(waypost.InvalidArgumentError, match=r"b: .*tensor"):
        waypost.restore(prefix, {"b": 0.0})


class Color(enum.IntEnum):
    RED = 1


CYCLE: list[Any] = []
CYCLE.append({"again": CYCLE})


@pytest.mark.parametrize(
    ("tree", "place"),
    [
        ({"a": [1, object()]}, r"tree\['a'\]\[1\]"),
        ({"a": {1, 2}}, r"tree\['a'\]"),
        ({"a": Color.RED}, r"tree\['a'\]"),
        ({"a": np.array("x")[()]}, r"tree\['a'\]"),
        (Point(1, print), r"tree\.y"),
        ({"a": {1: 1, "1": 2}}, r"tree\['a'\]\['1'\].*tree\['a'\]\[1\]"),
        ({"a/b": 1, "a": {"b": 2}}, r"tree\['a'\]\['b'\].*tree\['a/b'\]"),
        ({(1, 2): 1}, r"\(1, 2\)"),
        ({True: 1}, "True"),
        ({1.5: 1}, "1.5"),
        (CYCLE, "contains itself"),
        ({"_WAYPOST_TREE": "x"}, "Waypost's own"),
        ({"a": np.array([1, 2], "datetime64[s]")}, "^a: dtype datetime64"),
        ({"a": np.zeros(2, [("x", "f4")])}, "^a: dtype"),
        ({"a": np.array(["x", None], object)}, "^a: .*NoneType"),
        ({"a": np.ma.masked_array([1, 2], [0, 1])}, "^a: a masked array"),
        ({"a": 10**5000}, "^a: .*digits"),
    ],
)
def test_what_cannot_be_saved_is_named(tree: Any, place: str, prefix: str) -> None:
    with pytest.raises(waypost.InvalidArgumentError, match=place):
        waypost.save(prefix, tree)
    assert not list(Path(prefix).parent.iterdir())


def test_deep_trees_end(prefix: str) -> None:
    tree: Any = 1
    for _ in range(100):
        tree = [tree]
    waypost.save(prefix, tree)
    assert waypost.load(prefix) == tree
    with pytest.raises(waypost.InvalidArgumentError, match=r"deeper"):
        waypost.save(prefix, [tree])


def test_a_root_that_is_a_leaf(prefix: str) -> None:
    waypost.save(prefix, np.arange(3))
    assert waypost.load(prefix).tolist() == [0, 1, 2]
    waypost.save(prefix, math.pi)
    assert waypost.restore(prefix, 0.0) == math.pi
    waypost.save(prefix, None)
    assert waypost.load(prefix) is None


Stored = Mapping[str, np.ndarray[Any, Any] | list[bytes]]


def save_entry(prefix: str, text: bytes, tensors: Stored | None = None) -> None:
    """A checkpoint of these tensors whose ``_WAYPOST_TREE`` is ``text``."""
    save_stored(prefix, {"_WAYPOST_TREE": [text], **(tensors or {})})


def save_stored(prefix: str, tensors: Stored) -> None:
    """A checkpoint of these tensors and no other; a list of one is a string without dimensions."""
    request = waypost.default_engine().new_request()
    for name, value in tensors.items():
        if isinstance(value, list):
            request.add_strings(name.encode(), (), value)
        else:
            for memory in _leaves.to_save(name, value):
                request.add(name, memory)
    waypost.default_engine().save_tensors(prefix, request.references, request.owners).wait_finished()


def test_a_tree_entry_is_not_trusted(prefix: str) -> None:
    for text in (
        b"",
        b"{",
        b"[]",
        b'{"version":2,"tree":null}',
        b'{"version":1,"tree":{"dict":[["a"]]}}',
        b'{"version":1,"tree":{"dict":{"a":1}}}',
        b'{"version":1,"tree":{"list":[1]}}',
        b'{"version":1,"tree":{"module":"os"}}',
        b'{"version":1,"tree":{"int":5}}',
        b"[" * 100_000,
        b'{"version":1,"tree":' + b'{"list":[' * 200 + b"]}" * 200 + b"}",
    ):
        save_entry(prefix, text)
        with pytest.raises(waypost.DataLossError, match=r"_WAYPOST_TREE"):
            waypost.load(prefix)
        with pytest.raises(waypost.DataLossError, match=r"_WAYPOST_TREE"):
            waypost.restore(prefix, {"a": 1})
    save_entry(prefix, b'{"version":1,"tree":{"int":"missing"}}')
    with pytest.raises(waypost.NotFoundError, match=r"missing"):
        waypost.load(prefix)


@pytest.mark.parametrize(
    "entry",
    [
        np.array([], object),
        np.array(["{}", "{}"], object),
        np.array(['{"version":1,"tree":null}'], object),
        np.float32(1),
        np.zeros(0, np.uint8),
    ],
)
def test_a_tree_entry_is_one_string(entry: Any, prefix: str) -> None:
    save_stored(prefix, {"_WAYPOST_TREE": entry, "a": np.ones(2)})
    for read in (
        lambda: waypost.load(prefix),
        lambda: waypost.load(prefix, mmap=True),
        lambda: waypost.load(prefix, ["a"]),
        lambda: waypost.restore(prefix, {"a": np.zeros(2)}),
    ):
        with pytest.raises(waypost.DataLossError, match=rf"{prefix}: _WAYPOST_TREE"):
            read()


STORED: Stored = {
    "float": np.array(1.5, np.float32),
    "double": np.array(1.5),
    "integer": np.array(7),
    "true": np.array(True),
    "complex": np.array(1j),
    "row": np.arange(3),
    "empty": np.zeros(0, np.float32),
    "text": [b"x"],
    "digits": [b"1" * 30],
    "texts": np.array(["a", "b"], object),
}


@pytest.mark.parametrize(
    ("kind", "name", "target"),
    [
        ("str", "float", ""),
        ("bytes", "row", b""),
        ("int", "text", 0),
        ("int", "double", 0),
        ("int", "digits", 0),
        ("float", "float", 0.0),
        ("bool", "integer", False),
        ("complex", "double", 0j),
        ("int", "row", 0),
        ("str", "texts", ""),
        ("large_int", "text", 0),
        ("scalar", "row", np.float32(0)),
        ("scalar", "text", np.float32(0)),
    ],
)
def test_a_value_is_stored_as_the_tree_says(kind: str, name: str, target: Any, prefix: str) -> None:
    text = json.dumps({"version": 1, "tree": {"dict": [[name, {kind: name}]]}}).encode()
    save_entry(prefix, text, STORED)
    for read in (
        lambda: waypost.load(prefix),
        lambda: waypost.load(prefix, mmap=True),
        lambda: waypost.load(prefix, [name]),
        lambda: waypost.restore(prefix, {name: target}),
        lambda: waypost.restore(prefix, {name: target}, reshape=True),
    ):
        with pytest.raises(waypost.DataLossError, match=rf"{prefix}: tensor {name} .*{kind}"):
            read()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**6), 10**6) | st.floats() | st.text(max_size=3),
    lambda children: st.lists(children, max_size=3) | st.dictionaries(st.text(max_size=3), children, max_size=2),
    max_leaves=6,
)
NAMES = st.sampled_from([*STORED, "missing", "_WAYPOST_TREE", "", "\ud800"])
LEAVES = st.builds(
    lambda kind, name: {kind: name},
    st.sampled_from(["numpy", "dlpack", "scalar", "module", *_tree.VALUE_DTYPES]),
    NAMES,
)
NODES = st.recursive(
    LEAVES | LEAVES | LEAVES | st.none() | JSON,
    lambda children: (
        st.builds(lambda kind, members: {kind: members}, st.sampled_from(["list", "tuple"]), st.lists(children))
        | st.builds(
            lambda members: {"dict": members},
            st.lists(st.tuples(st.sampled_from(["a", "b", 0, 1]) | NAMES, children), max_size=3),
        )
    ),
    max_leaves=6,
)
ENTRIES = JSON | st.builds(lambda node: {"version": 1, "tree": node}, NODES | NODES | NODES | JSON)
TARGETS = {"numpy": np.zeros(3, int), "int": 0, "str": "", "float": 0.0, "scalar": np.float64(0)}


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(entry=ENTRIES, name=st.sampled_from(list(STORED)), target=st.sampled_from(list(TARGETS)))
def test_any_tree_entry_gives_a_result_or_an_error_of_waypost(
    entry: Any, name: str, target: str, tmp_path: Path
) -> None:
    prefix = str(tmp_path / "m")
    save_entry(prefix, json.dumps(entry).encode(), STORED)
    for read in (
        lambda: waypost.load(prefix),
        lambda: waypost.load(prefix, mmap=True),
        lambda: load_member(prefix, "a"),
        lambda: waypost.restore(prefix, {name: TARGETS[target]}),
    ):
        with contextlib.suppress(waypost.DataLossError, waypost.NotFoundError, waypost.InvalidArgumentError):
            read()
