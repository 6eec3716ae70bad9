"""OpenCheckpoint: a checkpoint that stays what it is while it is read, whatever its prefix becomes."""

from __future__ import annotations

import os
from dataclasses import dataclass
from threading import Lock
from typing import Any

from . import _native, _tree
from ._leaves import refuse
from .errors import DataLossError, FailedPreconditionError

__all__ = ["Extent", "OpenCheckpoint", "Source", "TensorInfo", "opened"]

PathLike = str | os.PathLike[str]
Place = tuple[tuple[int, int, int], ...]  # shard, offset and bytes of each extent


@dataclass(frozen=True)
class Extent:
    """Where the bytes of a stored tensor or slice are.

    Attributes:
        slice: start and length for each dimension, () for a tensor stored whole.
        shard: number of its data file.
        offset: bytes from the start of that file.
        size_bytes: of it.
        crc32c: of its bytes.
    """

    slice: tuple[tuple[int, int], ...]
    shard: int
    offset: int
    size_bytes: int
    crc32c: int


@dataclass(frozen=True)
class TensorInfo:
    """A stored tensor.

    Attributes:
        name: its name; bytes that are no UTF-8 as surrogates.
        dtype: TensorFlow's name: "float32", "bfloat16", "string".
        shape: of the whole tensor.
        extents: one, or one for each stored slice.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    extents: tuple[Extent, ...]

    @property
    def is_sliced(self) -> bool:
        """Whether it is stored in slices."""
        return bool(self.extents) and self.extents[0].slice != ()

    @property
    def size_bytes(self) -> int:
        """Of all its extents."""
        return sum(extent.size_bytes for extent in self.extents)

    @property
    def place(self) -> Place:
        """Where its bytes are: the same for all tensors that share them, of whatever name and shape."""
        return tuple((extent.shard, extent.offset, extent.size_bytes) for extent in self.extents)


class Mapped:
    """Which stored bytes arrays stand on that were mapped from one checkpoint, so that none sees another's writes."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._read: set[Place] = set()
        self._written: set[Place] = set()

    def take(self, place: Place, writable: bool) -> bool:
        """Whether one more array may stand there; else it must be a copy, of the file."""
        with self._lock:
            if place in self._written or (writable and place in self._read):
                return False
            (self._written if writable else self._read).add(place)
            return True


class OpenCheckpoint:
    """A checkpoint that is open: what several calls read of it is of one save.

    :func:`waypost.load`, :func:`waypost.restore` and :func:`waypost.list` take one in place of a prefix.  A job that
    saves to the same prefix meanwhile, or removes it, does no harm: files are replaced by rename, and these stay open.

        checkpoint = waypost.OpenCheckpoint("ckpt/last")
        sizes = [tensor.shape for tensor in waypost.list(checkpoint)]
        values = waypost.load(checkpoint)                     # of these sizes, whatever "ckpt/last" is by now

    It holds two file descriptors for each data file, and the files' room on the drive, until it is closed or garbage.
    Of a checkpoint of very many data files (a sixteenth of the descriptors that the process may have) each is opened
    when it is needed; reading one that was replaced or removed meanwhile raises AbortedError.

    Any thread may use it, and a forked child if no thread was in a call at the fork.

    Args:
        prefix: of a checkpoint, TensorFlow's too.

    Raises:
        NotFoundError: when there is none.
        InvalidArgumentError: for a path that is something else.
        DataLossError: for an index whose header is damaged.
    """

    def __init__(self, prefix: PathLike) -> None:
        self._prefix = _checkpoint_path(prefix)
        self._reader: _native.CheckpointReader | None = _native.CheckpointReader(self._prefix)
        # What was asked for already.  Without a lock: a thread that comes meanwhile finds the same again.
        self._infos: dict[str, TensorInfo] | None = None
        self._text: tuple[bytes | None] | None = None
        self._structure: _tree.Structure | None = None
        self.mapped = Mapped()

    @property
    def prefix(self) -> str:
        """As it was given."""
        return self._prefix

    def close(self) -> None:
        """Gives the files back; arrays that stand on them (``mmap``) stay.  Twice is no error."""
        self._reader = None

    def __enter__(self) -> OpenCheckpoint:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<waypost.OpenCheckpoint of {self._prefix}>"

    # ---- For the package's own use ----

    @property
    def reader(self) -> _native.CheckpointReader:
        """The engine's.

        Raises:
            FailedPreconditionError: once it is closed.
        """
        if self._reader is None:
            raise FailedPreconditionError(f"{self._prefix}: the checkpoint was closed")
        return self._reader

    @property
    def infos(self) -> dict[str, TensorInfo]:
        """Its tensors by name, in ascending order, without ``_WAYPOST_TREE``.

        Raises:
            DataLossError: for a damaged index.
        """
        if self._infos is None:
            described = self.reader.tensors()
            self._infos = {info.name: info for info in (_info(*each) for each in described if each[0] != _tree.ENTRY)}
        return self._infos

    def find(self, name: str) -> TensorInfo | None:
        """One of them, whatever becomes of the others."""
        try:
            described = self.reader.find(_tree.encode_name(name))
        except UnicodeEncodeError:  # what a damaged tree may name
            return None
        return None if described is None else _info(*described)

    def read_strings(self, name: str) -> list[bytes]:
        """The elements of a tensor of strings."""
        return self.reader.read_strings(_tree.encode_name(name))

    @property
    def tree_text(self) -> bytes | None:
        """What ``_WAYPOST_TREE`` holds; None where the checkpoint was not saved from a tree.

        Raises:
            DataLossError: for an entry that is no single string.
        """
        if self._text is None:
            self._text = (self._read_tree_text(),)
        return self._text[0]

    def _read_tree_text(self) -> bytes | None:
        entry = _tree.decode_name(_tree.ENTRY)
        info = self.find(entry)
        if info is None:
            return None
        if (info.dtype, info.shape) != ("string", ()):
            raise DataLossError(f"{self._prefix}: {entry}: of dtype {info.dtype} and shape {info.shape}, and no string")
        return self.read_strings(entry)[0]

    @property
    def structure(self) -> _tree.Structure | None:
        """The tree that was saved, without its values.

        Raises:
            DataLossError: for a text that describes none.
        """
        text = self.tree_text
        if self._structure is None and text is not None:
            self._structure = _tree.Structure(text, self._prefix)
        return self._structure

    @property
    def members(self) -> dict[Any, Any]:
        """Of the dict that was saved: its members' structures, by key; none of anything else."""
        node = self.structure.node if self.structure is not None else None
        return dict(node["dict"]) if node is not None and "dict" in node else {}


Source = PathLike | OpenCheckpoint


def opened(source: Source) -> OpenCheckpoint:
    """The checkpoint of a prefix, opened, or the one that is open already."""
    return source if isinstance(source, OpenCheckpoint) else OpenCheckpoint(source)


def _info(name: bytes, dtype: str, shape: list[int], _: bool, extents: list[Any]) -> TensorInfo:
    return TensorInfo(_tree.decode_name(name), dtype, tuple(shape), tuple(Extent(*extent) for extent in extents))


def _checkpoint_path(prefix: PathLike) -> str:
    """The path of a checkpoint that is to be read; what was probably meant is said where it names something else."""
    path = os.fspath(prefix)
    if path.endswith(".index") and os.path.isfile(path):
        raise refuse(path, f"a file of a checkpoint; its prefix is {path.removesuffix('.index')}")
    if path.endswith((".safetensors", ".safetensors.index.json")) and os.path.isfile(path):
        raise refuse(path, "no checkpoint, but safetensors; waypost.convert makes one of it")
    if os.path.isdir(path) and not os.path.exists(path + ".index"):
        raise refuse(path, "a directory; waypost.latest gives the prefix of its latest checkpoint")
    return path
