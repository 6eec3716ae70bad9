"""The items of DCP's plans as the engine takes them."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
from torch.distributed.checkpoint.metadata import MetadataIndex
from torch.distributed.checkpoint.planner import (
    LoadItemType,
    ReadItem,
    SavePlan,
    SavePlanner,
    WriteItem,
    WriteItemType,
)
from torch.distributed.checkpoint.storage import WriteResult

from .. import _leaves, _tree
from .._leaves import refuse
from .._request import Request
from ._dcp_names import Path, Written, name_of, tensor_node

# ---- Saving ----


def add_items(request: Request, plan: SavePlan, planner: SavePlanner, part: str) -> list[WriteResult]:
    """Adds a rank's items to what it saves as checkpoint ``part``, values first: those are what may be refused.

    Raises:
        InvalidArgumentError: for an item that cannot be saved, named.
    """
    paths = plan.planner_data if isinstance(plan.planner_data, Mapping) else {}
    results = []
    for item in sorted(plan.items, key=lambda item: item.type != WriteItemType.BYTE_IO):
        path = tuple(paths.get(item.index.fqn, (item.index.fqn,)))
        size_before = request.bytes_total
        count_before = len(request.references)
        if item.type == WriteItemType.BYTE_IO:
            node = _add_object(request, path, item, planner)
        else:
            node = tensor_node(path)
            _add_tensor(request, name_of(path), item, planner)
        is_written = len(request.references) > count_before
        results.append(
            WriteResult(item.index, request.bytes_total - size_before, Written(part if is_written else "", path, node))
        )
    return results


def _add_object(request: Request, path: Path, item: WriteItem, planner: SavePlanner) -> Any:
    """Adds an object that is no tensor, as the values that it consists of; returns its structure."""
    look_up = getattr(planner, "lookup_object", None)
    if look_up is None:
        raise refuse(
            item.index.fqn,
            f"{type(planner).__name__} gives objects as what torch.save writes only, which Waypost does not; "
            "a subclass of DefaultSavePlanner has lookup_object",
        )
    name = name_of(path)
    flat = _tree.Flattened({name: look_up(item.index)})
    for leaf in flat.leaves:
        request.add_leaf(leaf)
    return flat.structure["dict"][0][1]


def _add_tensor(request: Request, name: str, item: WriteItem, planner: SavePlanner) -> None:
    data = item.tensor_data
    assert data is not None
    offsets, sizes, full = tuple(data.chunk.offsets), tuple(data.chunk.sizes), tuple(data.size)
    # Empty slices have nothing to write; of an empty tensor the first one stands for it.
    if 0 in sizes and (0 not in full or any(offsets)):
        return
    tensor = planner.resolve_data(item)
    if not isinstance(tensor, torch.Tensor):
        raise refuse(item.index.fqn, f"{type(planner).__name__} gives a {type(tensor).__name__} for a tensor")
    if tuple(tensor.shape) != sizes:
        raise refuse(item.index.fqn, f"the planner gives shape {tuple(tensor.shape)} for a slice of shape {sizes}")
    for memory in _leaves.to_save(name, tensor if 0 not in full else tensor.new_empty(full)):
        _place(memory, sizes, full, offsets)
        request.add(name, memory)


def _place(
    memory: _leaves.Memory | _leaves.Strings, sizes: Sequence[int], full: Sequence[int], starts: Sequence[int]
) -> None:
    """Says where in the whole tensor the memory lies, if it is a part."""
    if isinstance(memory, _leaves.Memory) and 0 not in full and tuple(sizes) != tuple(full):
        memory.full_shape, memory.starts = tuple(full), tuple(starts)


# ---- Loading ----


def joined(items: Iterable[ReadItem]) -> list[ReadItem]:
    """The items of a plan, those of one target that fill a box of it as one.

    DCP asks for each slice that was stored.  The engine finds the stored slices itself, and reads a whole shard
    straight into its memory, where a column of it would need a copy.
    """
    groups: dict[tuple[Any, ...], list[ReadItem]] = {}
    others = []
    for item in items:
        if item.type == LoadItemType.TENSOR and item.lengths:
            starts = _starts(item)
            # Where the target begins in the stored tensor: the same for all items that one box of it can hold.
            origin = tuple(start - offset for start, offset in zip(starts, item.dest_offsets, strict=True))
            groups.setdefault((item.dest_index, item.storage_index.fqn, origin), []).append(item)
        else:
            others.append(item)
    for (_, fqn, origin), group in groups.items():
        box = _box(group)
        others.extend([_joined_item(group[0], fqn, origin, box)] if box is not None else group)
    return others


def _starts(item: ReadItem) -> tuple[int, ...]:
    """Where an item begins in the stored tensor."""
    slice_offset = item.storage_index.offset or (0,) * len(item.lengths)
    return tuple(a + b for a, b in zip(slice_offset, item.storage_offsets, strict=True))


def _box(group: list[ReadItem]) -> tuple[tuple[int, ...], tuple[int, ...]] | None:
    """Offsets and lengths of the box that the items fill; None where they leave gaps.  Stored slices do not overlap."""
    dims = range(len(group[0].lengths))
    begin = tuple(min(item.dest_offsets[i] for item in group) for i in dims)
    end = tuple(max(item.dest_offsets[i] + item.lengths[i] for item in group) for i in dims)
    lengths = tuple(b - a for a, b in zip(begin, end, strict=True))
    return (begin, lengths) if math.prod(lengths) == sum(math.prod(item.lengths) for item in group) else None


def _joined_item(
    item: ReadItem, fqn: str, origin: tuple[int, ...], box: tuple[tuple[int, ...], tuple[int, ...]]
) -> ReadItem:
    begin, lengths = box
    return dataclasses.replace(
        item,
        dest_offsets=torch.Size(begin),
        storage_index=MetadataIndex(fqn, (0,) * len(origin)),
        storage_offsets=torch.Size([a + b for a, b in zip(origin, begin, strict=True)]),
        lengths=torch.Size(lengths),
    )


def add_target(
    request: Request, name: str, dtype: str, full: Sequence[int], item: ReadItem, target: torch.Tensor
) -> None:
    """Adds a tensor that is to be filled with a slice of the stored tensor ``name``, of which dtype and shape are
    given.

    One of another dtype is filled with converted values, as DCP does.

    Raises:
        InvalidArgumentError: for a target that cannot be filled.
    """
    target = target.detach()
    if tuple(target.shape) != tuple(item.lengths):
        raise refuse(
            item.dest_index.fqn,
            f"the planner gives shape {tuple(target.shape)} for a slice of shape {tuple(item.lengths)}",
        )
    if target.numel() == 0:
        return
    stored = getattr(torch, dtype)
    if target.dtype == stored:
        memory = _leaves.to_restore(name, target)
    else:
        copy = torch.empty_like(target, dtype=stored, memory_format=torch.contiguous_format)
        memory = _leaves.to_restore(name, copy)
        assert isinstance(memory, _leaves.Memory)
        memory.finish = lambda: _copy(copy, target)
    _place(memory, item.lengths, full, _starts(item))
    request.add(name, memory)


def _copy(source: torch.Tensor, target: torch.Tensor) -> None:
    target.copy_(source)
