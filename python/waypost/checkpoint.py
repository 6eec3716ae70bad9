"""What is in checkpoints, without an engine's ring: listing, loading, verifying, converting."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from . import _leaves, _log, _native, _tree
from .engine import Engine, default_engine
from .errors import Error, NotFoundError, UnimplementedError
from .opened import OpenCheckpoint, PathLike, Source, TensorInfo, opened
from .progress import bar

__all__ = [
    "Conversion",
    "Findings",
    "convert",
    "exists",
    "latest",
    "list_tensors",
    "load",
    "remove",
    "verify",
]

Framework = Literal["numpy", "torch", "jax"]


def list_tensors(prefix: Source) -> list[TensorInfo]:
    """The tensors of a checkpoint of either format, in ascending order of their names.

    ``_WAYPOST_TREE`` (docs/format.md) is left out.

    Args:
        prefix: of it, or one that is open.

    Raises:
        NotFoundError: when there is no such checkpoint.
        DataLossError: for a damaged index.
    """
    return list(opened(prefix).infos.values())


def load(
    prefix: Source,
    names: Iterable[str] | None = None,
    *,
    mmap: bool = False,
    framework: Framework | None = None,
    verify: bool = True,
    progress: bool | None = None,
) -> Any:
    """Tensors of a checkpoint as new arrays, every byte checked.

    Args:
        prefix: of a checkpoint, TensorFlow's too, or one that is open.
        names: of the tensors that are wanted: the result is a dict from name to array.  None: everything, as the tree
            that was saved; of a checkpoint that was not saved from a tree a dict of all its tensors.
        mmap: arrays stand on the mapped data files, without a copy.  NumPy's are read-only; PyTorch's may be written,
            which makes the page written a copy of the process's own and never changes the file.  Where several names
            share stored bytes (tied tensors), NumPy's arrays share memory, and at most one PyTorch tensor stands on
            it: the others are copies, so that what is written to one is not seen in another.  They live as long as
            they are used, whatever becomes of the checkpoint, unless somebody cuts a data file in place (SIGBUS).
        framework: "numpy", "torch" or "jax"; None: what each was saved from, where the tree says so and the framework
            is installed, else NumPy.  JAX without ``jax_enable_x64`` makes 64 bits 32.
        verify: with ``mmap`` False leaves the check of the bytes out.
        progress: a bar: None where standard error is a terminal, True always, False never.

    Raises:
        NotFoundError: for a checkpoint or names that are not there, all named.
        InvalidArgumentError: for 64-bit values that JAX has only 32 bits for.
        DataLossError: for damage; names file, tensor and offset.
    """
    checkpoint = opened(prefix)
    if framework not in (None, "numpy", "torch", "jax"):
        raise _leaves.refuse("framework", f"{framework!r} is none of 'numpy', 'torch', 'jax'")
    wanted = _names_or_all(names)
    structure = checkpoint.structure
    if wanted is None:
        wanted = list(structure.kinds) if structure is not None else list(checkpoint.infos)
    find = checkpoint.infos.get if names is None else checkpoint.find
    infos = {name: found for name in wanted if (found := find(name)) is not None}
    missing = [name for name in wanted if name not in infos]
    if missing:
        raise NotFoundError(f"load {checkpoint.prefix}: no tensor {', '.join(missing)}")
    kinds = structure.kinds if structure is not None else {}
    loader = _MmapLoader(checkpoint, verify) if mmap else CopyLoader(checkpoint)
    makers = {name: maker(checkpoint, infos[name], kinds.get(name, ""), framework, loader) for name in wanted}
    loader.run(progress)
    values = {name: make() for name, make in makers.items()}
    _log.hand_on()
    if names is not None or structure is None:
        return values
    return assembled(structure.node, values)


def _names_or_all(names: Iterable[str] | None) -> list[str] | None:
    """A list of names; a single string is refused, since it would be taken for its letters."""
    if isinstance(names, str):
        raise _leaves.refuse("names", f"{names!r} is one string; give a list of names")
    return None if names is None else list(dict.fromkeys(names))


def load_member(prefix: Source, key: str) -> Any:
    """What the dict that was saved as checkpoint ``prefix`` has at ``key``, as :func:`load` gives it, or None.

    For the package's own use.
    """
    checkpoint = opened(prefix)
    return load_node(checkpoint, checkpoint.members.get(key))


def load_node(checkpoint: OpenCheckpoint, node: Any) -> Any:
    """The part of the saved tree that a node of its structure is of; None for None."""
    names = list(_tree.names_in(node))
    return assembled(node, load(checkpoint, names) if names else {})


def maker(
    checkpoint: OpenCheckpoint,
    info: TensorInfo,
    kind: str,
    framework: Framework | None,
    loader: CopyLoader | _MmapLoader,
) -> Callable[[], Any]:
    """Asks the loader for a tensor; the function returned makes what the caller gets of it."""
    name, path = info.name, checkpoint.prefix
    _tree.check_stored(path, name, kind, info.dtype, info.shape)
    if info.dtype == "string":
        if kind in _tree.VALUE_DTYPES:
            return lambda: _tree.value_of(path, name, kind, checkpoint.read_strings(name)[0])
        return lambda: strings_of(checkpoint, info)
    dtype = _leaves.NUMPY_DTYPES.get(_leaves.STORED_AS.get(info.dtype, info.dtype))
    if dtype is None:
        raise UnimplementedError(f"load {path}: tensor {name}: dtype {info.dtype} cannot be loaded")
    if kind in _tree.VALUE_DTYPES or kind == "scalar":
        scalar = loader.array(info, dtype, writable=False)
        return lambda: scalar()[()] if kind == "scalar" else _tree.value_of(path, name, kind, scalar()[()])
    made_as = framework or (kind if kind in ("torch", "jax") and _is_installed(kind) else "numpy")
    array = loader.array(info, dtype, writable=made_as == "torch")
    if made_as == "torch":
        return lambda: _as_torch(path, info, array())
    if made_as == "jax":
        return lambda: _as_jax(path, name, array())
    return array


def _is_installed(framework: str) -> bool:
    try:
        __import__(framework)
    except ImportError:
        return False
    return True


def strings_of(checkpoint: OpenCheckpoint, info: TensorInfo) -> np.ndarray[Any, Any]:
    """A tensor of strings as an array of ``bytes`` objects, for the package's own use."""
    values = checkpoint.read_strings(info.name)
    array: np.ndarray[Any, Any] = np.empty(len(values), object)
    array[:] = values
    return array.reshape(info.shape)


def _as_torch(path: str, info: TensorInfo, array: np.ndarray[Any, Any]) -> Any:
    import torch

    if info.dtype not in _leaves.TORCH_DTYPES:
        raise UnimplementedError(f"load {path}: tensor {info.name}: PyTorch has no dtype {info.dtype}")
    dtype = getattr(torch, info.dtype)
    if array.size == 0:
        return torch.empty(array.shape, dtype=dtype)
    # PyTorch knows no dtypes of ml_dtypes: it is given the bytes.
    flat = torch.from_numpy(array.reshape(-1).view(np.uint8))
    return flat.view(dtype).reshape(array.shape)


def _as_jax(path: str, name: str, array: np.ndarray[Any, Any]) -> Any:
    import jax.numpy

    refuse_if_jax_changes(f"load {path}: tensor {name}", array)
    return jax.numpy.asarray(array)


def refuse_if_jax_changes(place: str, array: np.ndarray[Any, Any]) -> None:
    """JAX makes 64 bits 32 and says nothing, unless ``jax_enable_x64`` is set.

    Where each value stays what it is, as a counter does, that is as well.  For the package's own use.

    Raises:
        InvalidArgumentError: for values that would be others.
    """
    import jax

    made_as = np.dtype(jax.dtypes.canonicalize_dtype(array.dtype))
    if made_as == array.dtype:
        return
    with np.errstate(all="ignore"):
        back = array.astype(made_as).astype(array.dtype)
    # The parts of a complex number one by one: beside a NaN, too, the other is to be kept.
    one, other = (each.reshape(-1).view(np.float64) if each.dtype.kind == "c" else each for each in (array, back))
    if not np.array_equal(one, other, equal_nan=True):
        raise _leaves.refuse(
            place, f"JAX would change values of {array.dtype} to {made_as}; enable jax_enable_x64, or load as numpy"
        )


class CopyLoader:
    """Loads into new memory, and what else its request holds, through the engine.

    In parallel, past the page cache where that is quicker.
    """

    def __init__(self, checkpoint: OpenCheckpoint, engine: Engine | None = None) -> None:
        self._checkpoint = checkpoint
        self._engine = engine
        self.request = (engine or default_engine()).new_request()

    def array(self, info: TensorInfo, dtype: np.dtype[Any], writable: bool) -> Callable[[], np.ndarray[Any, Any]]:
        array: np.ndarray[Any, Any] = np.empty(info.shape, dtype)
        memory = _leaves.to_restore(info.name, array)
        assert isinstance(memory, _leaves.Memory)
        memory.dtype = info.dtype
        self.request.add(info.name, memory)
        return lambda: array

    def run(self, progress: bool | None, verify_first: bool = False) -> None:
        if self.request.references:
            engine = self._engine or default_engine()
            engine.restore_tensors(self._checkpoint, self.request, verify_first=verify_first, progress=progress)


class _MmapLoader:
    """Gives views of the mapped data files."""

    def __init__(self, checkpoint: OpenCheckpoint, verify: bool) -> None:
        self._checkpoint = checkpoint
        self._verify = verify
        self._wanted: list[tuple[TensorInfo, np.dtype[Any], bool]] = []
        self._arrays: dict[str, np.ndarray[Any, Any]] = {}

    def array(self, info: TensorInfo, dtype: np.dtype[Any], writable: bool) -> Callable[[], np.ndarray[Any, Any]]:
        self._wanted.append((info, dtype, writable))
        return lambda: self._arrays[info.name]

    def run(self, progress: bool | None) -> None:
        total = sum(info.size_bytes for info, _, _ in self._wanted)
        copies: CopyLoader | None = None  # an engine is made for them
        shown = bar(f"load {self._checkpoint.prefix}", progress)
        done = 0
        try:
            # Those that may be written last: where somebody reads already, they are copies.
            for info, dtype, writable in sorted(self._wanted, key=lambda each: each[2]):
                if info.size_bytes > 0 and not self._checkpoint.mapped.take(info.place, writable):
                    copies = copies or CopyLoader(self._checkpoint)
                    self._arrays[info.name] = copies.array(info, dtype, writable)()
                    continue
                mapped = self._checkpoint.reader.map(_tree.encode_name(info.name), self._verify, writable)
                self._arrays[info.name] = mapped.view(dtype).reshape(info.shape)
                done += info.size_bytes
                shown.update(done, total)
        finally:
            shown.close()
        if copies is not None:
            copies.run(progress)


def assembled(node: Any, values: Mapping[str, Any]) -> Any:
    """The tree of a node of ``_WAYPOST_TREE`` with these values, by name."""
    if node is None:
        return None
    kind, content = next(iter(node.items()))
    if kind == "dict":
        return {key: assembled(member, values) for key, member in content}
    if kind == "list":
        return [assembled(member, values) for member in content]
    if kind == "tuple":
        return tuple(assembled(member, values) for member in content)
    return values[content]


# ---- Directories ----


def latest(directory: PathLike, *, verified: bool = False, latest_filename: str = "") -> str | None:
    """The prefix of the latest checkpoint that the state file of ``directory`` names; None where there is none.

    Args:
        verified: reads and checks all of it, and passes over (logged) what is damaged: the newest that is whole.
        latest_filename: the state file's name, "" for "checkpoint".
    """
    found = _native.latest_checkpoint(os.fspath(directory), latest_filename, verified)
    _log.hand_on()
    return found


def exists(prefix: PathLike) -> bool:
    """Whether there is a checkpoint of this prefix, of either format."""
    return _native.checkpoint_exists(os.fspath(prefix))


def remove(prefix: PathLike) -> None:
    """Deletes the files of a checkpoint; those that are not there are no error.

    Raises:
        AbortedError: when it is being saved.
    """
    _native.remove_checkpoint(os.fspath(prefix))


@dataclass(frozen=True)
class Findings:
    """What :func:`verify` says of one checkpoint, state file or event file.

    Attributes:
        kind: "checkpoint", "state file" or "event file".
        path: of a checkpoint its prefix.
        count: tensors, checkpoints named, or events.
        size_bytes: of the tensors, or of the file.
        is_v1: whether it is a checkpoint of format V1, which has no checksums of tensors.
        damage: a line for each damage, with file, tensor and offset; the first 1000.
        damage_count: how much damage there is; 0: all is well.
    """

    kind: str
    path: str
    count: int
    size_bytes: int
    is_v1: bool
    damage: list[str] = field(default_factory=list)
    damage_count: int = 0


def verify(path: PathLike, *, progress: bool | None = None) -> list[Findings]:
    """Reads and checks all of a checkpoint, state file or event file, or of a directory of such.

    Returns:
        The findings of each thing that was looked at; all is well where no ``damage`` holds a line.

    Raises:
        NotFoundError: when nothing of that kind is there.
    """
    shown = bar(f"verify {os.fspath(path)}", progress)
    try:
        found = _native.verify(os.fspath(path), shown.update)
    finally:
        shown.close()
        _log.hand_on()
    return [Findings(*findings) for findings in found]


@dataclass(frozen=True)
class Conversion:
    """What :func:`convert` did.

    Attributes:
        source_kind, target_kind: "v1", "v2" or "safetensors".
        tensor_count, size_bytes: of the target; bytes without strings.
        joined_count: tensors whose slices were put together.
        files: that were written.
        skipped: names and reasons of tensors that were left out.
        warnings: a line each.
    """

    source_kind: str
    target_kind: str
    tensor_count: int
    size_bytes: int
    joined_count: int
    files: list[str]
    skipped: list[tuple[str, str]]
    warnings: list[str]


def convert(
    source: PathLike,
    target: PathLike,
    *,
    to: Literal["v1", "v2", "safetensors"] | None = None,
    shards: int = 0,
    force: bool = False,
    verify: bool = True,
    skip_unsupported: bool = False,
    with_meta: bool = True,
    metadata: Mapping[str, str] | None = None,
    progress: bool | None = None,
) -> Conversion:
    """Writes a checkpoint in another format or layout, in bounded memory, checked on the way and read back.

    Args:
        source: a prefix, a V1 checkpoint, a ``.safetensors`` file or a ``.safetensors.index.json``.
        target: a prefix or a ``.safetensors`` file.
        to: the target's format; None: as its name says.
        shards: data files; 0: as many as the kind has by itself.
        force: replaces a target that is there.
        verify: reads the target back.
        skip_unsupported: leaves out what the target's format cannot hold, instead of refusing.
        with_meta: takes the source's ``.meta`` along.
        metadata: for the ``__metadata__`` of safetensors.
        progress: a bar: None where standard error is a terminal, True always, False never.

    Raises:
        AlreadyExistsError: for a target that is there.
        InvalidArgumentError: for tensors that the target cannot hold, all named.
        DataLossError: for a damaged source.
    """
    shown = bar(f"convert {os.fspath(source)}", progress)
    try:
        report = _native.convert(
            os.fspath(source),
            os.fspath(target),
            to,
            shards,
            force,
            verify,
            skip_unsupported,
            with_meta,
            dict(metadata or {}),
            shown.update,
        )
    except Error as error:
        # The command line's name of it.
        error.args = (str(error).replace("--skip-unsupported leaves", "skip_unsupported=True leaves"),)
        raise
    finally:
        shown.close()
        _log.hand_on()
    return Conversion(**report)
