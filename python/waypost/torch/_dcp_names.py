"""How a checkpoint of torch.distributed.checkpoint (DCP) is kept: as a tree, like any other.

DCP knows a state by flat names, "optimizer.param_groups.0.lr" for ["optimizer"]["param_groups"][0]["lr"], and by the
paths that they stand for.  In the checkpoint the same tensor has the name that :func:`waypost.save` would give it
("optimizer/param_groups/0/lr"), and ``_WAYPOST_TREE`` (docs/format.md) tells the structure.  So what one of the two has
saved the other loads, and what DCP has to know when it loads is in the index and that entry: no pickle.  Its member
"objects" names the dicts and lists that DCP has saved in one piece, which depends on the planner.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch.distributed.checkpoint.metadata import (
    BytesStorageMetadata,
    ChunkStorageMetadata,
    Metadata,
    TensorProperties,
    TensorStorageMetadata,
)

from .. import _leaves, _tree
from .._leaves import refuse
from ..checkpoint import exists
from ..errors import AbortedError, DataLossError
from ..opened import OpenCheckpoint, PathLike, TensorInfo

Path = tuple[str | int, ...]

# Of a checkpoint whose path is a directory.
NAME_IN_DIRECTORY = "state"


def prefix_of(checkpoint_id: PathLike) -> str:
    """The prefix of the checkpoint that DCP calls so: the path itself, or DIR/state for a directory.

    A path is a directory's where it ends with a slash or one is there, and no checkpoint of that prefix.
    """
    path = os.fspath(checkpoint_id)
    if not path.endswith(os.sep) and (exists(path) or not os.path.isdir(path)):
        return path
    return os.path.join(path, NAME_IN_DIRECTORY)


def name_of(path: Path) -> str:
    """The stored tensor's name."""
    return "/".join(map(str, path))


# ---- Saving ----


@dataclass(frozen=True)
class Written:
    """What a rank tells the coordinator of one item.

    Attributes:
        part: the checkpoint that the rank has written; "" where there was nothing to write.
        path: of the item.
        node: its part of the structure, for ``_WAYPOST_TREE``.
    """

    part: str
    path: Path
    node: Any


def tensor_node(path: Path) -> Any:
    return {"torch": name_of(path)}


class _Folder:
    """A dict or list of the tree that is being put together; a list where every key is a position."""

    def __init__(self) -> None:
        self.members: dict[str | int, Any] = {}

    def node(self) -> Any:
        nodes = {key: member.node() if isinstance(member, _Folder) else member for key, member in self.members.items()}
        if nodes and all(type(key) is int for key in nodes):
            return {"list": [nodes.get(i) for i in range(max(map(int, nodes)) + 1)]}
        return {"dict": [[key, node] for key, node in nodes.items()]}


def tree_text(items: Mapping[str, Written]) -> bytes:
    """``_WAYPOST_TREE`` of the items, by their flat names.

    Raises:
        InvalidArgumentError: for two items of one stored name, or one that stands where others have a folder.
    """
    root = _Folder()
    names: dict[str, str] = {}
    objects = []
    for fqn, item in items.items():
        for name in (*_leaf_names(item.node), name_of(item.path)):
            if names.setdefault(name, fqn) != fqn:
                raise refuse(fqn, f"its name in the checkpoint, {name}, is that of {names[name]}, too")
        folder = root
        for key in item.path[:-1]:
            folder = folder.members.setdefault(key, _Folder())
            if not isinstance(folder, _Folder):
                raise refuse(fqn, "it is below another item")
        if item.path[-1] in folder.members:
            raise refuse(fqn, "other items are below it")
        folder.members[item.path[-1]] = item.node
        if _kind(item.node)[0] in ("dict", "list"):
            objects.append(name_of(item.path))
    content = {"version": _tree.VERSION, "tree": root.node(), "objects": objects}
    return json.dumps(content, separators=(",", ":")).encode()


def _leaf_names(node: Any) -> Iterator[str]:
    """Of what is stored for a node of ``_WAYPOST_TREE``."""
    kind, content = _kind(node)
    if kind == "dict":
        for _, member in content:
            yield from _leaf_names(member)
    elif kind in ("list", "tuple"):
        for member in content:
            yield from _leaf_names(member)
    elif kind:
        yield content


def _kind(node: Any) -> tuple[str, Any]:
    """Kind and content of a node; no kind for None."""
    return next(iter(node.items())) if node is not None else ("", None)


# ---- Loading ----


class Contents:
    """What a checkpoint holds, by DCP's flat names; ``Metadata.storage_data`` of one that Waypost reads.

    Attributes:
        prefix: of the checkpoint.
        checkpoint: it, open.
        infos: its tensors, by their stored names.
        kinds: of the stored leaves, by name (:class:`_tree.Structure`).
        nodes: the structure of each item.
        paths: where each item stands in the nested state.
    """

    def __init__(self, prefix: str) -> None:
        self.prefix = prefix
        self.checkpoint = checkpoint = OpenCheckpoint(prefix)
        self.infos = checkpoint.infos
        self.nodes: dict[str, Any] = {}
        self.paths: dict[str, Path] = {}
        self.kinds: dict[str, str] = {}
        structure = checkpoint.structure
        if structure is None:
            for name in self.infos:
                self._add((name,), {"dlpack": name})
            return
        self.kinds = structure.kinds
        self._objects = frozenset(structure.objects)
        self._walk(structure.node, ())

    def __getstate__(self) -> dict[str, Any]:
        return {"prefix": self.prefix, "infos": self.infos, "text": self.checkpoint.tree_text}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(state["prefix"])  # type: ignore[misc]
        if (self.infos, self.checkpoint.tree_text) != (state["infos"], state["text"]):
            raise AbortedError(f"load {self.prefix}: the checkpoint was replaced meanwhile; load it again")

    def metadata(self) -> Metadata:
        """As DCP wants it."""
        return Metadata(
            state_dict_metadata={
                fqn: BytesStorageMetadata() if self.is_value(fqn) else self._tensor(fqn) for fqn in self.nodes
            },
            planner_data=dict(self.paths),
            storage_data=self,
        )

    def is_value(self, fqn: str) -> bool:
        """Whether DCP takes the item as one object, not as a tensor."""
        return not self._is_tensor(self.nodes[fqn])

    def is_replaced(self) -> bool:
        """Whether the prefix has another checkpoint now: every stored tensor's checksum is compared."""
        now = OpenCheckpoint(self.prefix)
        return now.infos != self.infos or now.tree_text != self.checkpoint.tree_text

    def leaf_names(self, fqn: str) -> list[str]:
        """The names of what is stored for an item."""
        return list(_leaf_names(self.nodes[fqn]))

    def info(self, fqn: str) -> TensorInfo:
        """Of an item that is a tensor."""
        return self.infos[self.leaf_names(fqn)[0]]

    def _walk(self, node: Any, path: Path) -> None:
        kind, content = _kind(node)
        if path and name_of(path) in self._objects:
            self._add(path, node)
        elif kind == "dict":
            for key, member in content:
                self._walk(member, (*path, str(key)))
        elif kind == "list" and not self._is_one_object(node) and path:
            for i, member in enumerate(content):
                self._walk(member, (*path, i))
        else:
            self._add(path or ("value",), node)

    def _add(self, path: Path, node: Any) -> None:
        fqn = ".".join(map(str, path))
        if fqn in self.nodes:
            raise refuse(fqn, f"two items of checkpoint {self.prefix} have this name in DCP")
        missing = [name for name in _leaf_names(node) if name not in self.infos]
        if missing:
            raise DataLossError(f"{self.prefix}: {_tree.ENTRY.decode()} names {missing[0]}, which is not there")
        self.nodes[fqn] = node
        self.paths[fqn] = path

    def _tensor(self, fqn: str) -> TensorStorageMetadata:
        info = self.info(fqn)
        chunks = [[(0, size) for size in info.shape]]
        if info.is_sliced:
            chunks = [list(extent.slice) for extent in info.extents]
        return TensorStorageMetadata(
            properties=TensorProperties(dtype=getattr(torch, info.dtype)),
            size=torch.Size(info.shape),
            chunks=[
                ChunkStorageMetadata(
                    offsets=torch.Size([start for start, _ in chunk]), sizes=torch.Size([size for _, size in chunk])
                )
                for chunk in chunks
            ],
        )

    def _is_tensor(self, node: Any) -> bool:
        kind, content = _kind(node)
        # Arrays of NumPy are objects to DCP, and so is what PyTorch has no dtype for.
        return kind in ("torch", "jax", "dlpack") and (
            content not in self.infos or self.infos[content].dtype in _leaves.TORCH_DTYPES
        )

    def _is_one_object(self, node: Any) -> bool:
        """Whether DCP leaves a list in one piece: one without tensors, dicts and lists that are not of that kind."""
        return all(
            member is None
            or (
                not (self._is_tensor(member) or "dict" in member)
                and ("list" not in member or self._is_one_object(member))
            )
            for member in node["list"]
        )
