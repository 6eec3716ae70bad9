"""Orbax: arrays of JAX and NumPy, and numbers, written and read by Waypost inside Orbax's checkpoints.

    import orbax.checkpoint as ocp
    import waypost.orbax

    waypost.orbax.register()
    with ocp.StandardCheckpointer() as checkpointer:
        checkpointer.save("/ckpt/1", {"w": w, "step": 1})

Atomicity, retention and the structure of trees stay Orbax's.  What an item holds of one kind is one checkpoint of
Waypost in the directory that Orbax gives: ``waypost_jax``, ``waypost_numpy``, ``waypost_scalars``; a tensor there is
named ``arrays/`` and what Orbax calls it.  Strings are left to Orbax, and checkpoints that it wrote by itself are read
as ever.

A save returns when arrays of accelerators and of NumPy are copied.  Those of JAX in memory of the host are not copied:
JAX never changes an array that is looked at, and a donation of it makes a new one.

One process writes and reads: a job of several is refused.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, ClassVar

import jax
import numpy as np
from orbax.checkpoint import future, metadata, type_handlers  # type: ignore[import-untyped]

from . import checkpoint
from ._leaves import NUMPY_DTYPES
from ._orbax_arrays import Reads, SharedArray, Stored, description, sharding_from
from .engine import Engine, default_engine
from .errors import InvalidArgumentError, NotFoundError, UnimplementedError
from .opened import OpenCheckpoint

__all__ = ["ArrayHandler", "NumpyHandler", "ScalarHandler", "register"]


def register(engine: Engine | None = None) -> None:
    """Gives Orbax's global registry Waypost's handlers of jax.Array, np.ndarray, np.number, int and float.

    Args:
        engine: that saves and restores; None: the process's own.
    """
    scalars = ScalarHandler(engine)
    handlers: dict[type, Any] = {
        jax.Array: ArrayHandler(engine),
        np.ndarray: NumpyHandler(engine),
        np.number: scalars,
        int: scalars,
        float: scalars,
    }
    for kind, handler in handlers.items():
        type_handlers.register_type_handler(kind, handler, override=True)


class _Handler(type_handlers.TypeHandler):  # type: ignore[misc]
    """What the handlers share."""

    directory: ClassVar[str]
    kind: ClassVar[str]  # Orbax's name of what it handles
    fallback: ClassVar[type[Any]]  # Orbax's own handler, for what it wrote by itself

    def __init__(self, engine: Engine | None = None) -> None:
        self._given_engine = engine

    @property
    def _engine(self) -> Engine:
        return self._given_engine or default_engine()

    def typestr(self) -> str:
        return self.kind

    async def serialize(self, values: Sequence[Any], infos: Sequence[Any], args: Sequence[Any] | None = None) -> Any:
        """Starts a save of `values`; the futures returned end when it is committed.

        Raises:
            InvalidArgumentError: for what cannot be saved, named as Orbax does.
            UnimplementedError: in a job of several processes.
        """
        if jax.process_count() > 1:
            raise UnimplementedError("save: a job of several processes is not supported; unregister waypost.orbax")
        names = [info.name for info in infos]
        dtypes = [arg.dtype for arg in args or [type_handlers.SaveArgs()] * len(names)]
        described = [description(value) for value in values]
        tree = {
            "arrays": {
                name: self._as_saved(value, dtype) for name, value, dtype in zip(names, values, dtypes, strict=True)
            },
            "shardings": {name: sharding for name, (sharding, _) in zip(names, described, strict=True) if sharding},
            "keys": {name: key for name, (_, key) in zip(names, described, strict=True) if key},
        }
        request = self._engine.request_of(tree)

        async def write() -> None:
            for info in infos:
                await info.await_path_creation()
            prefix = str(infos[0].parent_dir / self.directory)
            with self._engine.save_tensors(prefix, request.references, request.owners) as handle:
                await handle

        return [future.CommitFutureAwaitingContractedSignals(write(), name=self.directory)]

    async def metadata(self, infos: Sequence[Any]) -> Any:
        """Shape, dtype and sharding of each array, without reading it."""
        stored = await self._stored(infos)
        if stored is None:
            return await self.fallback().metadata(infos)
        return [self._metadata(info, array) for info, array in zip(infos, stored, strict=True)]

    async def deserialize(self, infos: Sequence[Any], args: Sequence[Any] | None = None) -> Any:
        """Reads arrays, every byte checked, each process what its devices need of them.

        Raises:
            NotFoundError: for arrays that are not there.
            InvalidArgumentError: for another shape, where Orbax is to be strict, or no usable sharding.
            DataLossError: for damage.
        """
        stored = await self._stored(infos)
        if stored is None:
            return await self.fallback().deserialize(infos, args)
        return await asyncio.to_thread(self._read, stored, args or [type_handlers.RestoreArgs()] * len(stored))

    # ---- What the handlers differ in ----

    def _as_saved(self, value: Any, dtype: Any) -> Any:
        """The array whose memory is borrowed until the save is staged."""
        raise NotImplementedError

    def _metadata(self, info: Any, stored: Stored) -> Any:
        return metadata.ArrayMetadata(
            name=info.name,
            directory=info.parent_dir,
            shape=stored.shape,
            sharding=stored.sharding,
            dtype=stored.dtype,
        )

    def _read(self, stored: Sequence[Stored], args: Sequence[Any]) -> list[Any]:
        reads = Reads(self._engine)
        whole = [reads.of(array, tuple((0, size) for size in array.shape)) for array in stored]
        reads.run()
        return [array if arg.dtype is None else array.astype(arg.dtype) for array, arg in zip(whole, args, strict=True)]

    # ---- What is stored ----

    async def _stored(self, infos: Sequence[Any]) -> list[Stored] | None:
        """What there is of each; None for a checkpoint of Orbax's own."""
        for info in infos:
            await info.await_path_creation()
        return await asyncio.to_thread(_find, str(infos[0].parent_dir), [info.name for info in infos])


class ArrayHandler(_Handler):
    """Of ``jax.Array``, sharded ones too; restores into other shardings, each device reading its part alone."""

    directory = "waypost_jax"
    kind = "jax.Array"
    fallback = type_handlers.ArrayHandler

    def _as_saved(self, value: Any, dtype: Any) -> Any:
        if jax.numpy.issubdtype(value.dtype, jax.dtypes.prng_key):
            value = jax.random.key_data(value)
        if dtype is not None:
            value = value.astype(dtype)
        # Unlike a device's, the host's memory is kept by who looks at it.
        is_host = all(device.platform == "cpu" for device in value.sharding.device_set)
        return value if is_host else np.array(value)

    def _read(self, stored: Sequence[Stored], args: Sequence[Any]) -> list[Any]:
        reads = Reads(self._engine)
        made = [SharedArray(array, arg, reads) for array, arg in zip(stored, args, strict=True)]
        reads.run()
        return [array.get() for array in made]


class NumpyHandler(_Handler):
    """Of ``np.ndarray``."""

    directory = "waypost_numpy"
    kind = "np.ndarray"
    fallback = type_handlers.NumpyHandler

    def _as_saved(self, value: Any, dtype: Any) -> Any:
        # The caller may change it once the save has returned.
        return np.array(value, dtype)


class ScalarHandler(NumpyHandler):
    """Of ``int``, ``float`` and NumPy's scalars."""

    directory = "waypost_scalars"
    kind = "scalar"
    fallback = type_handlers.ScalarHandler

    def _metadata(self, info: Any, stored: Stored) -> Any:
        return metadata.ScalarMetadata(name=info.name, directory=info.parent_dir, dtype=stored.dtype)

    def _read(self, stored: Sequence[Stored], args: Sequence[Any]) -> list[Any]:
        for array in stored:
            if array.shape != ():
                raise InvalidArgumentError(f"restore {array.prefix}: {array.name}: no scalar, of shape {array.shape}")
        values = [array.item() for array in super()._read(stored, args)]
        kinds = [arg.restore_type for arg in args]
        return [kind(value) if callable(kind) else value for kind, value in zip(kinds, values, strict=True)]


def _find(directory: str, names: Sequence[str]) -> list[Stored] | None:
    found: dict[str, Stored] = {}
    is_ours = False
    for handler in (ArrayHandler, NumpyHandler, ScalarHandler):
        prefix = f"{directory}/{handler.directory}"
        if checkpoint.exists(prefix):
            is_ours = True
            found |= _arrays(prefix)
    missing = [name for name in names if name not in found]
    if missing and is_ours:
        raise NotFoundError(f"restore {directory}: no {', '.join(missing)}")
    return [found[name] for name in names] if is_ours else None


def _arrays(prefix: str) -> dict[str, Stored]:
    source = OpenCheckpoint(prefix)
    shardings: dict[str, str] = checkpoint.load_member(source, "shardings") or {}
    keys: dict[str, str] = checkpoint.load_member(source, "keys") or {}
    found: dict[str, Stored] = {}
    for info in source.infos.values():
        kind, _, name = info.name.partition("/")
        if kind == "arrays":
            dtype = NUMPY_DTYPES.get(info.dtype)
            if dtype is None:
                raise UnimplementedError(f"restore {prefix}: {name}: dtype {info.dtype}")
            sharding = sharding_from(prefix, name, shardings[name]) if name in shardings else None
            found[name] = Stored(source, info.name, info.shape, dtype, sharding, keys.get(name, ""))
    return found
