"""TensorFlow's own sessions: their variables' values, saved and restored under the names that TensorFlow's
Saver uses.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from . import _leaves
from ._dtypes import dtype_name, numpy_dtype
from ._leaves import refuse
from ._mirror import Spec
from ._request import Request
from .engine import Engine


def is_session(value: object) -> bool:
    """Whether it is a session of TensorFlow, a MonitoredSession among them."""
    graph = getattr(value, "graph", None)
    return callable(getattr(value, "run", None)) and is_of_tensorflow(graph)


def is_of_tensorflow(value: object) -> bool:
    """Whether an object's class is TensorFlow's."""
    return _leaves.module("tensorflow") is not None and any(
        kind.__module__.split(".")[0] == "tensorflow" for kind in type(value).__mro__
    )


def names_variables(var_list: Any) -> bool:
    """Whether a Saver's var_list has variables of TensorFlow."""
    items = var_list.values() if isinstance(var_list, Mapping) else var_list
    if not isinstance(items, Sequence | set | frozenset) and not isinstance(var_list, Mapping):
        return False
    return any(is_of_tensorflow(item) or (isinstance(item, list | tuple) and names_variables(item)) for item in items)


class TensorflowVariables:
    """Variables of a TensorFlow graph, and which tensor, or slice of one, each is in a checkpoint.

    Args:
        graph: tf.Graph.
        var_list: as tf.compat.v1.train.Saver takes it: None for all global variables, a list, or a dict.

    Raises:
        InvalidArgumentError: for variables of unknown shape, and objects that save themselves
        (SaveableObject).
    """

    def __init__(self, graph: Any, var_list: Any) -> None:
        import tensorflow as tf  # type: ignore[import-untyped]

        self.graph = graph
        self._v1 = tf.compat.v1
        self._saveables = (
            list(graph.get_collection(tf.compat.v1.GraphKeys.SAVEABLE_OBJECTS)) if var_list is None else []
        )
        if self._saveables:
            raise refuse("Saver", f"{self._saveables[0]}: objects that save themselves are not supported")
        self._var_list = var_list
        self.variables: list[Any] = []
        self.specs: list[Spec] = []
        for key, variable in sorted(self._named(), key=lambda item: item[0]):
            self.variables.append(variable)
            self.specs.append(_spec(key, variable))

    def _named(self) -> list[tuple[str, Any]]:
        if isinstance(self._var_list, Mapping):
            return [(key, part) for key, value in self._var_list.items() for part in _parts(value)]
        variables = self._var_list
        if variables is None:
            variables = self.graph.get_collection(self._v1.GraphKeys.GLOBAL_VARIABLES)
        return [(_key(part), part) for variable in variables for part in _parts(variable)]

    def values(self, engine: Engine, session: Any) -> Request:
        """The variables' values of now, as the engine takes them, one a spec."""
        request = Request(engine.accelerators)
        for spec, value in zip(self.specs, session.run(self.variables), strict=True):
            for memory in _leaves.to_save(spec.key, np.asarray(value)):
                request.add(spec.key, memory)
        return request

    def assign(self, session: Any, arrays: Sequence[np.ndarray[Any, Any]]) -> None:
        """Gives the variables values, whether or not they are initialised, by their own initializers."""
        feeds = {variable.initializer.inputs[1]: array for variable, array in zip(self.variables, arrays, strict=True)}
        session.run([variable.initializer for variable in self.variables], feeds)

    def empty(self, engine: Engine) -> tuple[list[np.ndarray[Any, Any]], Request]:
        """Arrays to be filled, one a spec, and the same as the engine takes them."""
        arrays = [np.empty(spec.shape, numpy_dtype(spec.dtype)) for spec in self.specs]
        request = Request(engine.accelerators)
        for spec, array in zip(self.specs, arrays, strict=True):
            if spec.dtype == "string":
                array[...] = b""
            request.add(spec.key, _leaves.to_restore(spec.key, array))
        return arrays, request

    def meta_graph(self, saver_options: Mapping[str, Any], strip_default_attrs: bool) -> bytes:
        """TensorFlow's own graph, with a saver of these variables, as a serialized MetaGraphDef.

        The saver's nodes are added at the first call; to a graph that is final none can be, and the saver is
        the one that the graph has, if any.
        """
        saver = self._saver(saver_options)
        if saver is not None:
            meta = saver.export_meta_graph(strip_default_attrs=strip_default_attrs)
        else:
            meta = self._v1.train.export_meta_graph(graph=self.graph, strip_default_attrs=strip_default_attrs)
        return bytes(meta.SerializeToString())

    def _saver(self, options: Mapping[str, Any]) -> Any:
        if self.graph.finalized:
            savers = self.graph.get_collection(self._v1.GraphKeys.SAVERS)
            return savers[0] if savers else None
        if not hasattr(self, "_made_saver"):
            with self.graph.as_default():
                self._made_saver = self._v1.train.Saver(self._var_list, **options)
        return self._made_saver


def _parts(value: Any) -> list[Any]:
    """A variable by itself; those of a PartitionedVariable or a list."""
    if isinstance(value, list | tuple):
        return list(value)
    return list(value) if hasattr(value, "_get_variable_list") else [value]


def _slice_info(variable: Any) -> Any:
    get = getattr(variable, "_get_save_slice_info", None)
    return get() if get is not None else None


def _key(variable: Any) -> str:
    info = _slice_info(variable)
    return str(info.full_name) if info is not None else str(variable.op.name)


def _spec(key: str, variable: Any) -> Spec:
    if not hasattr(variable, "initializer"):
        raise refuse(key, f"a {type(variable).__name__} is no variable")
    if not variable.shape.is_fully_defined():
        raise refuse(key, f"its shape {variable.shape} is not fully known")
    info = _slice_info(variable)
    return Spec(
        key,
        dtype_name(variable.dtype.base_dtype),
        tuple(variable.shape.as_list()),
        None if info is None else tuple(info.full_shape),
        () if info is None else tuple(info.var_offset),
        str(variable.device or ""),
    )
