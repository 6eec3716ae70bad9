"""Names of dtypes, and messages of protobuf, however a caller gives them."""

from __future__ import annotations

from typing import Any

import numpy as np

from ._leaves import NUMPY_DTYPES, STORED_AS, refuse

__all__ = ["dtype_name", "message_bytes", "numpy_dtype"]


def dtype_name(dtype: Any) -> str:
    """TensorFlow's name of a dtype that is given as such a name, or as NumPy, PyTorch or TensorFlow has it.

    Raises:
        InvalidArgumentError: for what is no dtype of a variable.
    """
    name = dtype if isinstance(dtype, str) else getattr(dtype, "name", None)
    if not isinstance(name, str):
        text = str(dtype)
        name = text.removeprefix("torch.") if text.startswith("torch.") else _numpy_name(dtype)
    name = name.removesuffix("_ref")  # TensorFlow's name for a reference to such
    if name == "str" or name.startswith(("str", "bytes")) or name == "object":
        return "string"
    if name not in NUMPY_DTYPES and name not in STORED_AS:
        raise refuse("dtype", f"{dtype!r} is none of TensorFlow's")
    return name


def _numpy_name(dtype: Any) -> str:
    try:
        return str(np.dtype(dtype).name)
    except TypeError:
        raise refuse("dtype", f"{dtype!r} is none") from None


def numpy_dtype(name: str) -> np.dtype[Any]:
    """NumPy's dtype for a name; an array of objects holds strings."""
    return np.dtype(object) if name == "string" else NUMPY_DTYPES[STORED_AS.get(name, name)]


def message_bytes(message: Any, what: str) -> bytes:
    """A protobuf message as its bytes: these themselves, or an object with ``SerializeToString``.

    Raises:
        InvalidArgumentError: for anything else.
    """
    if isinstance(message, bytes):
        return message
    serialize = getattr(message, "SerializeToString", None)
    if serialize is None:
        raise refuse(what, f"a {type(message).__name__} is neither bytes nor has it SerializeToString")
    return bytes(serialize())
