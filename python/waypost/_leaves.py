"""Tensors of every framework as the engine takes them: dtype, shape, address, and who keeps the memory.

Nothing here imports a framework: a tensor of PyTorch or JAX can only be met where the job has imported it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import ml_dtypes
import numpy as np

from . import _native
from .errors import InvalidArgumentError, UnimplementedError

# fmt: off
# TensorFlow's names of the dtypes, which are NumPy's and those of ml_dtypes.
NUMPY_DTYPES: dict[str, np.dtype[Any]] = {
    name: np.dtype(name)
    for name in (
        "float16", "float32", "float64", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64",
        "bool", "complex64", "complex128",
    )
} | {
    name: np.dtype(getattr(ml_dtypes, name))
    for name in (
        "bfloat16", "float8_e5m2", "float8_e4m3fn", "float8_e4m3fnuz", "float8_e4m3b11fnuz", "float8_e5m2fnuz",
        "int4", "uint4", "int2", "uint2", "float4_e2m1fn",
    )
    if hasattr(ml_dtypes, name)
}
# Quantized types of TensorFlow are read as the integers that they are stored as.
STORED_AS = {"qint8": "int8", "quint8": "uint8", "qint32": "int32", "qint16": "int16", "quint16": "uint16"}
# PyTorch's, of the same names.
TORCH_DTYPES = frozenset({
    "float16", "float32", "float64", "bfloat16", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32",
    "uint64", "bool", "complex64", "complex128", "float8_e5m2", "float8_e4m3fn", "float8_e4m3fnuz", "float8_e5m2fnuz",
})
# fmt: on


@dataclass
class Memory:
    """One tensor's memory, whole or a part of a larger tensor.

    Attributes:
        dtype: TensorFlow's name.
        shape: of this memory.
        address: of its first byte; 0 where there are no elements.
        owner: keeps the memory.
        full_shape, starts: where it lies in a larger tensor; ``full_shape`` is None for the whole.
        device: what groups data files with ``sharded``: "" for the host, "cuda:0", ...
        finish: after a restore into a copy: puts its values where they belong.
    """

    dtype: str
    shape: tuple[int, ...]
    address: int
    owner: object
    full_shape: tuple[int, ...] | None = None
    starts: tuple[int, ...] = ()
    device: str = ""
    finish: Callable[[], None] | None = None

    def reference(self, name: bytes) -> _native.TensorRef:
        """The same as the engine takes it."""
        tensor = _native.TensorRef(name, self.dtype, list(self.shape), self.address)
        if self.full_shape is not None:
            tensor.set_slice(list(self.full_shape), list(self.starts))
        if self.device:
            tensor.set_device(self.device)
        return tensor


@dataclass
class Strings:
    """A tensor of strings."""

    shape: tuple[int, ...]
    values: list[bytes] = field(default_factory=list)
    finish: Callable[[list[bytes]], None] | None = None


def refuse(name: str, what: str) -> InvalidArgumentError:
    return InvalidArgumentError(f"{name}: {what}")


def module(name: str) -> Any:
    """A framework's module if the job has imported it, else None."""
    return sys.modules.get(name)


def kind_of(leaf: object) -> str:
    """'torch', 'numpy', 'jax' or 'dlpack' for a tensor, '' for anything else."""
    torch = module("torch")
    if torch is not None and isinstance(leaf, torch.Tensor):
        return "torch"
    if isinstance(leaf, np.ndarray | np.generic):
        return "numpy"
    jax = module("jax")
    if jax is not None and isinstance(leaf, jax.Array):
        return "jax"
    if hasattr(leaf, "__dlpack__") and hasattr(leaf, "__dlpack_device__"):
        return "dlpack"
    return ""


def to_save(name: str, leaf: Any) -> Iterator[Memory | Strings]:
    """The memory of a tensor that is to be saved; contiguous, a copy where it is not."""
    kind = kind_of(leaf)
    if kind == "torch":
        yield _torch_to_save(name, leaf)
    elif kind == "numpy":
        yield _numpy_to_save(name, np.asarray(leaf) if isinstance(leaf, np.generic) else leaf)
    elif kind == "jax":
        yield from _jax_to_save(name, leaf)
    else:
        yield _dlpack_memory(name, leaf)


def copy_of(name: str, leaf: Any) -> Any:
    """A copy of a tensor that is to be saved, where the tensor lies; what cannot be saved as it is."""
    kind = kind_of(leaf)
    if kind == "torch":
        return leaf.detach().clone()
    if kind == "numpy":
        return leaf.copy()
    if kind == "jax":
        # Nobody writes to it, but its memory can be donated.
        return leaf if leaf.is_deleted() or not leaf.is_fully_addressable else leaf.copy()
    torch = module("torch")
    try:
        return np.from_dlpack(leaf).copy() if torch is None else torch.from_dlpack(leaf).clone()
    except (AssertionError, AttributeError, BufferError, RuntimeError, TypeError, ValueError) as error:
        raise refuse(name, f"a {type(leaf).__name__} cannot be copied: {error}") from error


def to_restore(name: str, leaf: Any) -> Memory | Strings:
    """The memory of a tensor that is to be filled in place."""
    kind = kind_of(leaf)
    if kind == "torch":
        return _torch_to_restore(name, leaf)
    if kind == "numpy":
        if isinstance(leaf, np.generic):
            raise refuse(name, "a NumPy scalar cannot be filled in place")
        return _numpy_to_restore(name, leaf)
    if kind == "jax":
        raise refuse(name, "an array of JAX cannot be filled in place")
    return _dlpack_memory(name, leaf, is_written=True)


# ---- PyTorch ----


def _torch_dtype(name: str, tensor: Any) -> str:
    dtype: str = str(tensor.dtype).removeprefix("torch.")
    if dtype not in TORCH_DTYPES:
        raise refuse(name, f"dtype {tensor.dtype} cannot be saved")
    return dtype


def _torch_check(name: str, tensor: Any) -> None:
    torch = module("torch")
    if torch.nn.parameter.is_lazy(tensor):
        raise refuse(name, "the parameter is not initialized yet; run its module once")
    if tensor.layout is not torch.strided:
        raise refuse(name, f"layout {tensor.layout} cannot be saved; save its parts")
    if tensor.is_quantized:
        raise refuse(name, "quantized tensors cannot be saved; save int_repr() and the parameters")
    if tensor.is_meta:
        raise refuse(name, "a tensor on the meta device has no memory")
    if tensor.device.type not in ("cpu", "cuda"):
        raise refuse(name, f"memory of device {tensor.device} cannot be read; move it to the host")
    distributed = module("torch.distributed.tensor")
    if distributed is not None and isinstance(tensor, distributed.DTensor):
        raise refuse(name, "a DTensor is saved with torch.distributed.checkpoint and waypost.torch.DcpWriter")


def _torch_memory(name: str, tensor: Any) -> Memory:
    return Memory(
        dtype=_torch_dtype(name, tensor),
        shape=tuple(tensor.shape),
        address=tensor.data_ptr() if tensor.numel() > 0 else 0,
        owner=tensor,
        device=f"cuda:{tensor.device.index}" if tensor.device.type == "cuda" else "",
    )


def _torch_to_save(name: str, tensor: Any) -> Memory:
    _torch_check(name, tensor)
    tensor = tensor.detach().resolve_conj().resolve_neg()
    if not tensor.is_contiguous():
        tensor = tensor.contiguous()
    return _torch_memory(name, tensor)


def _torch_to_restore(name: str, tensor: Any) -> Memory:
    _torch_check(name, tensor)
    if tensor.is_inference():
        raise refuse(name, "an inference tensor cannot be filled in place")
    target = tensor.detach()
    # Several elements at one place (expand) cannot each be given a value of its own.
    if any(stride == 0 and size > 1 for stride, size in zip(target.stride(), target.shape, strict=True)):
        raise refuse(name, "an expanded tensor cannot be filled in place")
    if target.is_contiguous() and not target.is_conj() and not target.is_neg():
        return _torch_memory(name, target)
    copy = target.new_empty(target.shape)
    memory = _torch_memory(name, copy)
    memory.finish = lambda: target.copy_(copy)
    return memory


# ---- NumPy ----


def _numpy_check(name: str, array: np.ndarray[Any, Any]) -> None:
    if isinstance(array, np.ma.MaskedArray):
        raise refuse(name, "a masked array cannot be saved; save its data and its mask")


def is_strings(array: np.ndarray[Any, Any]) -> bool:
    return array.dtype.kind in "SUOT"


def _numpy_dtype(name: str, array: np.ndarray[Any, Any]) -> str:
    dtype: str = array.dtype.newbyteorder("=").name
    if dtype not in NUMPY_DTYPES:
        raise refuse(name, f"dtype {array.dtype} cannot be saved")
    return dtype


def _numpy_memory(name: str, array: np.ndarray[Any, Any]) -> Memory:
    return Memory(
        dtype=_numpy_dtype(name, array),
        shape=array.shape,
        address=int(array.__array_interface__["data"][0]) if array.size > 0 else 0,
        owner=array,
    )


def to_bytes(name: str, value: object) -> bytes:
    if isinstance(value, bytes):
        return value
    if isinstance(value, str):
        return value.encode("utf-8", "surrogateescape")
    raise refuse(name, f"an array of objects may hold str and bytes only, not {type(value).__name__}")


def _numpy_to_save(name: str, array: np.ndarray[Any, Any]) -> Memory | Strings:
    _numpy_check(name, array)
    if is_strings(array):
        return Strings(array.shape, [to_bytes(name, value) for value in array.ravel().tolist()])
    if not array.dtype.isnative:
        array = array.astype(array.dtype.newbyteorder("="))
    # Unlike ascontiguousarray this leaves a scalar's shape () as it is.
    return _numpy_memory(name, np.require(array, requirements=["C", "A"]))


def _numpy_to_restore(name: str, array: np.ndarray[Any, Any]) -> Memory | Strings:
    _numpy_check(name, array)
    if not array.flags.writeable:
        raise refuse(name, "the array is read-only")
    if is_strings(array):
        return Strings(array.shape, finish=lambda values: _fill_strings(name, array, values))
    if array.dtype.isnative and array.flags.c_contiguous and array.flags.aligned:
        return _numpy_memory(name, array)
    if any(stride == 0 and size > 1 for stride, size in zip(array.strides, array.shape, strict=True)):
        raise refuse(name, "a broadcast array cannot be filled in place")
    copy = np.empty(array.shape, array.dtype.newbyteorder("="))
    memory = _numpy_memory(name, copy)
    memory.finish = lambda: np.copyto(array, copy)
    return memory


def _fill_strings(name: str, array: np.ndarray[Any, Any], values: list[bytes]) -> None:
    kind = array.dtype.kind
    if kind == "O":
        kept_as = {type(value) for value in array.ravel().tolist()}
        decoded = [value if kept_as == {bytes} else value.decode("utf-8", "surrogateescape") for value in values]
    else:
        decoded = [value if kind == "S" else value.decode("utf-8", "surrogateescape") for value in values]
    if kind in "SU":
        width = array.dtype.itemsize // (4 if kind == "U" else 1)
        if any(len(value) > width for value in decoded):
            raise refuse(name, f"the checkpoint's strings are longer than dtype {array.dtype}")
    array[...] = np.array(decoded, dtype=array.dtype).reshape(array.shape)


# ---- JAX ----


def _jax_to_save(name: str, array: Any) -> Iterator[Memory]:
    jax = module("jax")
    if array.is_deleted():
        raise refuse(name, "the array's memory was donated or deleted")
    if jax.dtypes.issubdtype(array.dtype, jax.dtypes.prng_key):
        raise refuse(name, "a key of jax.random cannot be saved; save jax.random.key_data(key)")
    if str(array.dtype) not in NUMPY_DTYPES:
        raise refuse(name, f"dtype {array.dtype} cannot be saved")
    if not array.is_fully_addressable:
        raise UnimplementedError(
            f"{name}: an array that other processes hold parts of is saved through Orbax (waypost.orbax)"
        )
    array.block_until_ready()
    for shard in array.addressable_shards:
        if shard.replica_id == 0:
            yield _jax_memory(array, shard)


def _jax_memory(array: Any, shard: Any) -> Memory:
    data = shard.data
    is_host = data.device.platform == "cpu" if hasattr(data.device, "platform") else True
    # The buffer of the host may be looked at as an array; it is not copied.
    view = np.asarray(data) if is_host else None
    if view is not None and not view.flags.c_contiguous:
        view = np.require(view, requirements=["C", "A"])
    starts = tuple(part.indices(size)[0] for part, size in zip(shard.index, array.shape, strict=True))
    is_whole = tuple(data.shape) == tuple(array.shape)
    return Memory(
        dtype=str(array.dtype),
        shape=tuple(data.shape),
        address=0
        if data.size == 0
        else int(view.__array_interface__["data"][0] if view is not None else data.unsafe_buffer_pointer()),
        owner=(data, view),
        full_shape=None if is_whole else tuple(array.shape),
        starts=() if is_whole else starts,
        device="" if is_host else f"cuda:{data.device.local_hardware_id}",
    )


# ---- Other arrays that speak DLPack ----


def _dlpack_memory(name: str, leaf: Any, is_written: bool = False) -> Memory:
    try:
        view = _native.WritableDlpackView(leaf) if is_written else _native.DlpackView(leaf)
    except TypeError as error:
        what = "writable DLPack tensor" if is_written else "DLPack tensor"
        raise refuse(name, f"{type(leaf).__name__} gives no {what}") from error
    if view.dtype not in NUMPY_DTYPES:
        raise refuse(name, f"dtype {view.dtype} of {type(leaf).__name__} is none of TensorFlow's")
    if not view.is_contiguous:
        raise refuse(name, f"a {type(leaf).__name__} must be contiguous")
    return Memory(dtype=view.dtype, shape=tuple(view.shape), address=view.address, owner=view, device=view.device)
