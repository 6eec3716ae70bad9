"""What the methods of Saver are given: paths, steps, lists of variables."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from . import _native, _tree
from ._leaves import refuse
from ._tensorflow import is_session
from .session import Session
from .variables import Variable

# A name in the checkpoint, the variables, and whether they are slices.
NamedVariables = list[tuple[bytes, list[_native.Variable], bool]]


def path_of(save_path: Any) -> str:
    if isinstance(save_path, bytes):
        return _tree.decode_name(save_path)
    if isinstance(save_path, str | os.PathLike):
        return os.fspath(save_path)
    raise refuse("save_path", f"a {type(save_path).__name__} is no path")


def step_of(sess: Any, global_step: Any) -> int | None:
    """The number of the step, whatever tells it: an integer, a variable, a tensor of TensorFlow or
    PyTorch.
    """
    if global_step is None:
        return None
    if isinstance(global_step, Variable):
        global_step = sess.value(global_step) if isinstance(sess, Session) else None
    elif is_session(sess) and (isinstance(global_step, str) or not hasattr(global_step, "__index__")):
        global_step = sess.run(global_step)
    try:
        if tuple(getattr(global_step, "shape", ())) != ():
            raise TypeError
        step = global_step.item() if hasattr(global_step, "item") else global_step
        number = step.__index__()
    except (AttributeError, ValueError, TypeError):
        raise refuse("global_step", f"{global_step!r} is no integer") from None
    if isinstance(step, bool) or number not in _tree.INT64:
        raise refuse("global_step", f"{global_step!r} is no integer of 64 bits")
    return int(number)


def native_var_list(var_list: Any) -> tuple[list[_native.Variable] | None, NamedVariables | None]:
    if var_list is None:
        return None, None
    if isinstance(var_list, Mapping):
        named: NamedVariables = []
        for name, value in var_list.items():
            if not isinstance(name, str):
                raise refuse("var_list", f"the name {name!r} is no str")
            is_slices = isinstance(value, list | tuple)
            parts = [native_variable(part) for part in (value if is_slices else [value])]
            if not parts:
                raise refuse("var_list", f"{name}: no variables")
            named.append((_tree.encode_name(name), parts, is_slices))
        return None, named
    if not isinstance(var_list, list | tuple | set | frozenset):
        raise refuse("var_list", f"a {type(var_list).__name__} is neither a dict nor a list")
    listed: list[_native.Variable] = []
    for item in var_list:
        listed += [native_variable(part) for part in (item if isinstance(item, list | tuple) else [item])]
    return listed, None


def native_variable(value: Any) -> _native.Variable:
    if not isinstance(value, Variable):
        raise refuse("var_list", f"a {type(value).__name__} is no variable")
    return value.variable
