"""Arrays of JAX and NumPy out of a checkpoint: how they were sharded, and which parts of them are read."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import jax
import numpy as np
from orbax.checkpoint import metadata  # type: ignore[import-untyped]

from ._leaves import Memory
from ._request import Request
from .checkpoint import refuse_if_jax_changes
from .engine import Engine
from .errors import DataLossError, InvalidArgumentError
from .opened import OpenCheckpoint

_SHARDINGS = {
    "NamedSharding": metadata.NamedShardingMetadata,
    "SingleDeviceSharding": metadata.SingleDeviceShardingMetadata,
}
Region = tuple[tuple[int, int], ...]  # begin and end in each dimension


@dataclass
class Stored:
    """An array of a checkpoint.

    Attributes:
        source: the checkpoint.
        name: of the tensor.
        shape, dtype: of it.
        sharding: that it was saved with, as Orbax describes it; None for an array that is none of JAX.
        key: of an array of ``jax.random`` keys, how they are made, else "".
    """

    source: OpenCheckpoint
    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    sharding: Any
    key: str

    @property
    def prefix(self) -> str:
        return self.source.prefix


def description(value: Any) -> tuple[str, str]:
    """Of an array of JAX its sharding, where Orbax can describe it, and the kind of its keys; else ""."""
    if not isinstance(value, jax.Array):
        return "", ""
    described = _SHARDINGS.get(type(value.sharding).__name__)
    sharding = "" if described is None else described.from_jax_sharding(value.sharding).to_serialized_string()
    is_key = jax.numpy.issubdtype(value.dtype, jax.dtypes.prng_key)
    return sharding, str(jax.random.key_impl(value)) if is_key else ""


def sharding_from(prefix: str, name: str, text: str) -> Any:
    try:
        content = json.loads(text)
        return _SHARDINGS[content["sharding_type"]].from_deserialized_dict(content)
    except (ValueError, KeyError, TypeError) as error:
        raise DataLossError(f"restore {prefix}: {name}: no sharding: {error}") from None


@dataclass
class Reads:
    """Regions of stored arrays that are read at once."""

    engine: Engine
    requests: dict[OpenCheckpoint, Request] = field(default_factory=dict)

    def of(self, stored: Stored, region: Region) -> np.ndarray[Any, Any]:
        """An array that holds the region once :meth:`run` has returned."""
        array: np.ndarray[Any, Any] = np.empty([end - begin for begin, end in region], stored.dtype)
        request = self.requests.setdefault(stored.source, Request(frozenset()))
        is_whole = array.shape == stored.shape
        if array.size > 0 or is_whole:
            memory = Memory(
                dtype=stored.dtype.name,
                shape=array.shape,
                address=int(array.__array_interface__["data"][0]) if array.size > 0 else 0,
                owner=array,
                full_shape=None if is_whole else stored.shape,
                starts=() if is_whole else tuple(begin for begin, _ in region),
            )
            request.add(stored.name, memory)
        return array

    def run(self) -> None:
        for source, request in self.requests.items():
            self.engine.restore_tensors(source, request)


class SharedArray:
    """An array of JAX that is being read, in the parts that this process's devices hold."""

    def __init__(self, stored: Stored, arg: Any, reads: Reads) -> None:
        self._stored = stored
        self._dtype = getattr(arg, "dtype", None)
        self._shape = stored.shape
        wanted = getattr(arg, "global_shape", None)
        if wanted is not None and not stored.key and tuple(wanted) != stored.shape:
            if getattr(arg, "strict", True):
                raise InvalidArgumentError(
                    f"restore {stored.prefix}: {stored.name}: of shape {stored.shape}, and {tuple(wanted)} is asked for"
                )
            self._shape = tuple(wanted)
        self._sharding = _sharding_of(stored, arg)
        if stored.key:
            # Keys have a dimension less than what they are made of; they are small.
            self._devices: dict[Any, Region] = {}
            self._parts: dict[Region, Any] = {(): reads.of(stored, tuple((0, size) for size in stored.shape))}
            return
        self._devices = {
            device: _region(index, self._shape)
            for device, index in self._sharding.addressable_devices_indices_map(self._shape).items()
        }
        # Devices that hold copies share what is read.
        self._parts = {region: reads.of(stored, self._clipped(region)) for region in set(self._devices.values())}

    def get(self) -> Any:
        if self._stored.key:
            keys = jax.random.wrap_key_data(self._parts[()], impl=self._stored.key)
            return jax.device_put(keys, self._sharding)
        parts = {region: self._padded(region, part) for region, part in self._parts.items()}
        on_devices = [jax.device_put(parts[region], device) for device, region in self._devices.items()]
        return jax.make_array_from_single_device_arrays(self._shape, self._sharding, on_devices)

    def _clipped(self, region: Region) -> Region:
        """The part of a region that is stored: Orbax fills up with zeros where it is not to be strict."""
        return tuple(
            (min(begin, size), min(end, size)) for (begin, end), size in zip(region, self._stored.shape, strict=True)
        )

    def _padded(self, region: Region, part: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        wanted = [end - begin for begin, end in region]
        if list(part.shape) != wanted:
            whole: np.ndarray[Any, Any] = np.zeros(wanted, part.dtype)
            whole[tuple(slice(size) for size in part.shape)] = part
            part = whole
        part = part if self._dtype is None else part.astype(self._dtype, copy=False)
        refuse_if_jax_changes(f"restore {self._stored.prefix}: {self._stored.name}", part)
        return part


def _sharding_of(stored: Stored, arg: Any) -> Any:
    """That which is asked for, else that which it was saved with."""
    given = getattr(arg, "sharding", None)
    given = getattr(given, "sharding", given)  # of a layout
    mesh, axes = getattr(arg, "mesh", None), getattr(arg, "mesh_axes", None)
    if given is None and mesh is not None and axes is not None:
        return jax.sharding.NamedSharding(mesh, axes)
    given = stored.sharding if given is None else given
    if given is None:
        return jax.sharding.SingleDeviceSharding(jax.local_devices()[0])
    if isinstance(given, jax.sharding.Sharding):
        return given
    try:
        return given.to_jax_sharding()
    except ValueError as error:
        raise InvalidArgumentError(
            f"restore {stored.prefix}: {stored.name}: give a sharding; that of the save is for other devices: {error}"
        ) from None


def _region(index: tuple[slice, ...], shape: tuple[int, ...]) -> Region:
    return tuple(part.indices(size)[:2] for part, size in zip(index, shape, strict=True))
