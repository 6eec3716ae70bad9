"""Graphs: variables, placeholders and scopes by TensorFlow 1's names.

A graph says what a job computes with, as far as checkpoints and TensorBoard need it.  Waypost never runs it:
the job computes with PyTorch, NumPy or whatever it likes, a :class:`Variable` stands for memory of the
job's, and a :class:`waypost.train.Session` evaluates summaries.

    from waypost import summary, train

    weights = train.Variable(model.weight, name="weights")     # the parameter itself, no copy
    loss = train.placeholder("float32", [], name="loss")
    summary.scalar("loss", loss)

Any thread may use a graph; they wait for each other.  Which graph is the default one is each thread's own
affair, as in TensorFlow.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from types import TracebackType
from typing import Any

import numpy as np

from . import _leaves, _native
from ._dtypes import dtype_name, numpy_dtype
from ._leaves import refuse
from .errors import InvalidArgumentError, NotFoundError

__all__ = [
    "Graph",
    "GraphDef",
    "GraphKeys",
    "Operation",
    "Tensor",
    "get_default_graph",
    "name_scope",
    "reset_default_graph",
]


class GraphKeys:
    """TensorFlow's names of collections."""

    GLOBAL_VARIABLES = "variables"
    LOCAL_VARIABLES = "local_variables"
    MODEL_VARIABLES = "model_variables"
    TRAINABLE_VARIABLES = "trainable_variables"
    SUMMARIES = "summaries"
    GLOBAL_STEP = "global_step"
    LOSSES = "losses"
    SAVERS = "savers"


VARIABLE_KEYS = frozenset(
    {
        GraphKeys.GLOBAL_VARIABLES,
        GraphKeys.LOCAL_VARIABLES,
        GraphKeys.MODEL_VARIABLES,
        GraphKeys.TRAINABLE_VARIABLES,
        "moving_average_variables",
    }
)


class GraphDef:
    """TensorFlow's GraphDef: what ``write_graph`` and ``FileWriter.add_graph`` take.

    Args:
        native: of the engine.
    """

    def __init__(self, native: _native.GraphDef) -> None:
        self._native = native

    @classmethod
    def FromString(cls, content: bytes) -> GraphDef:
        """Of the binary message, or of protobuf text.

        Raises:
            DataLossError, InvalidArgumentError: for bytes that are neither.
        """
        return cls(_native.GraphDef.parse(content))

    def SerializeToString(self) -> bytes:
        """The binary message; equal graphs have equal bytes."""
        return self._native.serialize()

    def nodes(self) -> list[tuple[str, str, str, list[str]]]:
        """Of each node name, operation, device and inputs."""
        return self._native.nodes()

    def write(self, logdir: str, name: str, as_text: bool) -> str:
        """For ``write_graph``."""
        return self._native.write(logdir, name, as_text)

    def __str__(self) -> str:
        return self._native.text()


class Operation:
    """A node of a graph.

    Attributes:
        graph: that it is of.
        name: without ":0".
    """

    def __init__(self, graph: Graph, name: str) -> None:
        self.graph = graph
        self.name = name

    def __repr__(self) -> str:
        return f"<waypost.Operation {self.name}>"


class Tensor:
    """One output of a node of a graph.

    Attributes:
        graph: that it is of.
        dtype: TensorFlow's name; "" where the graph does not tell.
        shape: -1 for a dimension that is not known; None where the graph does not tell.
    """

    def __init__(
        self, graph: Graph, native: _native.Output, dtype: str = "", shape: tuple[int, ...] | None = None
    ) -> None:
        self.graph = graph
        self.native = native
        self.dtype = dtype
        self.shape = shape

    @property
    def name(self) -> str:
        """ "loss:0"."""
        return self.graph.native.name_of(self.native)

    @property
    def op(self) -> Operation:
        """The node."""
        return Operation(self.graph, self.name.split(":")[0])

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Tensor) and other.graph is self.graph and other.native == self.native

    def __hash__(self) -> int:
        return hash((id(self.graph), self.native))

    def __repr__(self) -> str:
        return f"<waypost.Tensor {self.name} {self.dtype or 'of unknown dtype'} {self.shape}>"


class Graph:
    """Variables, placeholders, summaries and other nodes; exported it is a GraphDef that TensorFlow reads."""

    def __init__(self) -> None:
        self.native = _native.Graph()
        # Of each variable, by name, what its initial value is (waypost/variables.py).
        self.initials: dict[str, Any] = {}

    @contextmanager
    def as_default(self) -> Iterator[Graph]:
        """Within it, this is the thread's default graph."""
        _stack.graphs.append(self)
        try:
            yield self
        finally:
            _stack.graphs.remove(self)

    @contextmanager
    def name_scope(self, name: str | None) -> Iterator[str]:
        """Within it, new names begin with "NAME/"; the name is made unique, and one that ends in "/" is
        entered as it is.

        None and "" are the root.  Gives the scope's name, "NAME/".
        """
        scope = _native.NameScope(self.native, name or "")
        try:
            yield scope.name
        finally:
            scope.close()

    @contextmanager
    def device(self, device_name: str | None) -> Iterator[None]:
        """Within it, new nodes are placed on a device, "/gpu:1"; inner parts win over outer ones."""
        if device_name is not None and not isinstance(device_name, str):
            raise refuse("device", f"a {type(device_name).__name__} is no device's name")
        scope = _native.DeviceScope(self.native, device_name or "")
        try:
            yield
        finally:
            scope.close()

    def add_to_collection(self, name: str, value: Any) -> None:
        """Adds a tensor, an operation, bytes, a str, an int or a float; a collection has items of one kind
        only.

        Raises:
            InvalidArgumentError: for another kind, or a collection of variables.
        """
        if isinstance(value, Operation):
            value = Tensor(self, self.native.find(value.name))
        if isinstance(value, Tensor):
            self.native.add_output_to_collection(name, value.native)
        elif isinstance(value, str | bytes):
            self.native.add_bytes_to_collection(name, value.encode() if isinstance(value, str) else value)
        elif isinstance(value, int) and not isinstance(value, bool):
            self.native.add_int_to_collection(name, value)
        elif isinstance(value, float):
            self.native.add_float_to_collection(name, value)
        else:
            raise refuse(f"collection '{name}'", f"a {type(value).__name__} cannot be in one")

    def add_to_collections(self, names: Sequence[str] | str, value: Any) -> None:
        """:meth:`add_to_collection` of several."""
        for name in {names} if isinstance(names, str) else dict.fromkeys(names):
            self.add_to_collection(name, value)

    def get_collection(self, name: str) -> list[Any]:
        """The items; variables where it is a collection of such.  Empty for one that nothing was added to."""
        if name in VARIABLE_KEYS:
            from .variables import Variable

            return [Variable.of(self, native) for native in self.native.variables(name)]
        return [
            self.tensor_of(item) if isinstance(item, _native.Output) else item for item in self.native.collection(name)
        ]

    def get_all_collection_keys(self) -> list[str]:
        """The names of all collections."""
        return self.native.collection_keys()

    def get_tensor_by_name(self, name: str) -> Tensor:
        """ "loss:0".

        Raises:
            NotFoundError: when it is not there.
        """
        if ":" not in name:
            raise refuse(name, "the name of a tensor ends in its output's number: 'loss:0'")
        return self.tensor_of(self.native.find(name))

    def tensor_of(self, native: _native.Output) -> Tensor:
        """An output with the dtype and shape that the graph tells of it."""
        spec = self.native.spec_of(native)
        if spec is None:
            return Tensor(self, native)
        return Tensor(self, native, spec[0], None if spec[1] is None else tuple(spec[1]))

    def get_operation_by_name(self, name: str) -> Operation:
        """Raises NotFoundError when it is not there."""
        self.native.find(name)
        return Operation(self, name)

    def create_op(
        self,
        op_type: str,
        inputs: Sequence[Tensor] = (),
        *,
        name: str | None = None,
        attrs: Mapping[str, tuple[str, Any]] | None = None,
        control_inputs: Sequence[Tensor] = (),
        device: str = "",
    ) -> Tensor:
        """Adds a node of any operation and gives its output 0.

        Args:
            op_type: the operation's name.
            inputs: outputs of this graph.
            name: made unique; None: the operation's.
            attrs: of each its kind ("int", "float", "bool", "bytes", "dtype", "shape", "ints", "floats",
                "bytes_list", "dtypes", "shapes") and its value.
            control_inputs: nodes that run before.
            device: "/device:CPU:0".

        Raises:
            InvalidArgumentError: for inputs and attributes that an operation known to Waypost does not have.
        """
        output = self.native.add_node(
            op_type,
            op_type if name is None else name,
            [tensor.native for tensor in inputs],
            [tensor.native for tensor in control_inputs],
            dict(attrs or {}),
            device,
        )
        return Tensor(self, output)

    def output_of(self, tensor: Tensor, index: int) -> Tensor:
        """Another output of the same node."""
        return Tensor(self, self.native.find(f"{tensor.op.name}:{index}"))

    def as_graph_def(self) -> GraphDef:
        """What it is now."""
        return GraphDef(self.native.graph_def())

    def as_tensor(self, value: Any) -> Tensor:
        """A tensor or variable of this graph as it is; anything else as a constant.

        Raises:
            InvalidArgumentError: for one of another graph.
        """
        if isinstance(value, Tensor):
            if value.graph is not self:
                raise refuse(value.name, "it is of another graph")
            return value
        return constant_in(self, value)


def constant_in(
    graph: Graph, value: Any, dtype: Any = None, shape: Sequence[int] | None = None, name: str = "Const"
) -> Tensor:
    """A constant that stands in the graph itself."""
    array = as_array(value, None if dtype is None else dtype_name(dtype))
    if shape is not None:
        array = np.array(np.broadcast_to(array, tuple(shape)) if array.size == 1 else array.reshape(tuple(shape)))
    (memory,) = _leaves.to_save(name, array)
    stored = "string" if isinstance(memory, _leaves.Strings) else memory.dtype
    return Tensor(graph, graph.native.add_const(name, reference_to(memory, b"")), stored, array.shape)


def reference_to(memory: _leaves.Memory | _leaves.Strings, name: bytes) -> _native.TensorRef:
    """Memory as the engine takes it; whoever uses the reference keeps the memory."""
    if isinstance(memory, _leaves.Strings):
        return _native.TensorRef(name, list(memory.shape), memory.values)
    return memory.reference(name)


def as_array(value: Any, dtype: str | None) -> np.ndarray[Any, Any]:
    """A value as TensorFlow would take it: Python's floats are float32, its integers int32.

    Raises:
        InvalidArgumentError: for what is no array, or one of another dtype.
    """
    if dtype is None and not isinstance(value, np.ndarray | np.generic):
        array = np.asarray(value)
        if array.dtype == np.float64:
            array = array.astype(np.float32)
        elif array.dtype == np.int64 and (array.size == 0 or np.abs(array).max() < 2**31):
            array = array.astype(np.int32)
        return array
    try:
        return np.asarray(value, None if dtype is None else numpy_dtype(dtype))
    except (TypeError, ValueError) as error:
        raise InvalidArgumentError(f"a value of dtype {dtype}: {error}") from None


# ---- The default graph ----


class _Stack(threading.local):
    def __init__(self) -> None:
        self.graphs: list[Graph] = []


_stack = _Stack()
_global_graph = Graph()
_global_lock = threading.Lock()


def get_default_graph() -> Graph:
    """The innermost graph of this thread's ``with graph.as_default()``, else the process's one."""
    return _stack.graphs[-1] if _stack.graphs else _global_graph


def reset_default_graph() -> None:
    """The process's default graph is a new one.

    Raises:
        InvalidArgumentError: within ``with graph.as_default()``.
    """
    global _global_graph
    if _stack.graphs:
        raise InvalidArgumentError("reset_default_graph: within 'with graph.as_default()'")
    with _global_lock:
        _global_graph = Graph()


class name_scope:
    """``with name_scope("summaries"):`` of the default graph: within it, new names begin with "summaries/".

    Args:
        name: made unique; one that ends in "/" is entered as it is; None: ``default_name``.
        default_name: None: the root.
        values: not looked at.

    Gives the scope's name, "summaries/".
    """

    def __init__(self, name: str | None, default_name: str | None = None, values: Any = None) -> None:
        self._name = default_name if name is None else name
        self._scope: AbstractContextManager[str] | None = None

    @property
    def name(self) -> str | None:
        """As it was asked for."""
        return self._name

    def __enter__(self) -> str:
        self._scope = get_default_graph().name_scope(self._name)
        return self._scope.__enter__()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._scope is not None:
            self._scope.__exit__(kind, error, trace)


def variable_named(graph: Graph, name: str) -> _native.Variable:
    """Raises NotFoundError when the graph has none of this name."""
    for variable in graph.native.variables(None):
        if variable.name == name.removesuffix(":0"):
            return variable
    raise NotFoundError(f"{name}: the graph has no variable of this name")
