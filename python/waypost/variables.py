"""Variables: what a Saver saves, and which memory they stand for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from . import _leaves, _native
from ._dtypes import dtype_name, numpy_dtype
from ._leaves import refuse
from .errors import AlreadyExistsError, UnimplementedError
from .graph import Graph, GraphKeys, Operation, Tensor, as_array, get_default_graph

if TYPE_CHECKING:
    from .session import Session

__all__ = [
    "Variable",
    "constant_initializer",
    "get_variable",
    "global_variables",
    "global_variables_initializer",
    "local_variables",
    "ones_initializer",
    "trainable_variables",
    "variables_initializer",
    "zeros_initializer",
]

Initializer = Callable[[tuple[int, ...], str], Any]


@dataclass(frozen=True)
class Given:
    """The initial value is memory of the job's, which the variable stands for."""

    memory: Any


@dataclass(frozen=True)
class Made:
    """The initial value is made by each run of the initializer."""

    make: Initializer


class Variable(Tensor):
    """A variable of a graph.

    A NumPy array or PyTorch tensor given as initial value is not copied: the variable stands for that very
    memory, so that what the job computes in place there is what is saved.  Any other value is copied when a
    session initialises it.

    Args:
        initial_value: an array, a tensor, a number, a list of numbers, or a function without arguments that
            gives one.
        trainable: whether it is in the collection ``trainable_variables``; None: yes.
        collections: that it is in; None: ``variables``.
        validate_shape, caching_device, variable_def, expected_shape, import_scope, constraint,
        synchronization, aggregation:
            must be as they are by default.
        name: made unique in the current scope; None: "Variable".
        dtype: None: the value's.
        use_resource: False for a VariableV2, TensorFlow 1's form; else a resource, the form of TensorFlow 2.
        shape: for checking.

    Raises:
        InvalidArgumentError: for memory that is not contiguous or cannot be written, or of another dtype or
        shape.
    """

    def __init__(
        self,
        initial_value: Any = None,
        trainable: bool | None = None,
        collections: Sequence[str] | None = None,
        validate_shape: bool = True,
        caching_device: Any = None,
        name: str | None = None,
        variable_def: Any = None,
        dtype: Any = None,
        expected_shape: Any = None,
        import_scope: str | None = None,
        constraint: Any = None,
        use_resource: bool | None = None,
        synchronization: Any = None,
        aggregation: Any = None,
        shape: Sequence[int] | None = None,
    ) -> None:
        _refuse_given(
            "Variable",
            caching_device=caching_device,
            variable_def=variable_def,
            expected_shape=expected_shape,
            import_scope=import_scope,
            constraint=constraint,
            synchronization=synchronization,
            aggregation=aggregation,
        )
        if initial_value is None:
            raise refuse(name or "Variable", "an initial value is needed")
        if not validate_shape:
            raise UnimplementedError("Variable: validate_shape=False: the shape of a variable must be known")
        value = initial_value() if callable(initial_value) and not _leaves.kind_of(initial_value) else initial_value
        wanted = None if dtype is None else dtype_name(dtype)
        memory, given, stored_dtype, stored_shape = _memory_of(name or "Variable", value, wanted)
        if shape is not None and tuple(shape) != stored_shape:
            raise refuse(name or "Variable", f"its shape is {stored_shape}, and not {tuple(shape)}")
        initial = Given(memory) if given else Made(lambda _shape, _dtype: memory)
        graph = get_default_graph()
        native = _add(graph, name or "Variable", stored_dtype, stored_shape, trainable, collections, use_resource)
        graph.initials[native.name] = initial
        self._set(graph, native)

    @classmethod
    def of(cls, graph: Graph, native: _native.Variable) -> Variable:
        """That which a graph has already."""
        variable = cls.__new__(cls)
        variable._set(graph, native)
        return variable

    def _set(self, graph: Graph, native: _native.Variable) -> None:
        super().__init__(graph, native.output, native.dtype, tuple(native.shape))
        self.variable = native

    @property
    def name(self) -> str:
        """ "w:0", as TensorFlow calls it."""
        return f"{self.variable.name}:0"

    @property
    def device(self) -> str:
        """Where it is placed; "" for nowhere in particular."""
        return self.variable.device

    @property
    def op(self) -> Operation:
        """The node; its name is the one in checkpoints."""
        return Operation(self.graph, self.variable.name)

    @property
    def initializer(self) -> Initialize:
        """What a session runs to initialise it."""
        return Initialize(self.graph, "init", [self])

    def value(self) -> Tensor:
        """Its value as other nodes take it."""
        return Tensor(self.graph, self.native, self.dtype, self.shape)

    def eval(self, session: Session | None = None) -> Any:
        """A copy of its value in a session; None: the default one."""
        return _session(session).run(self)

    def load(self, value: Any, session: Session | None = None) -> None:
        """Fills its memory in a session; None: the default one."""
        _session(session).load(self, value)

    def __repr__(self) -> str:
        return f"<waypost.Variable {self.name} {self.dtype} {self.shape}>"


class Initialize(Operation):
    """An operation that a session runs to initialise variables."""

    def __init__(self, graph: Graph, name: str, variables: Sequence[Variable]) -> None:
        super().__init__(graph, name)
        self.variables = list(variables)


def get_variable(
    name: str,
    shape: Sequence[int] | int | None = None,
    dtype: Any = None,
    initializer: Any = None,
    regularizer: Any = None,
    trainable: bool | None = None,
    collections: Sequence[str] | None = None,
    caching_device: Any = None,
    partitioner: Any = None,
    validate_shape: bool = True,
    use_resource: bool | None = None,
    custom_getter: Any = None,
    constraint: Any = None,
    synchronization: Any = None,
    aggregation: Any = None,
) -> Variable:
    """A new variable of exactly this name, whatever the current name scope, as in TensorFlow.

    Args:
        name: of it.
        shape: needed unless ``initializer`` is a value.
        dtype: None: float32, or the value's.
        initializer: a value, as for :class:`Variable`; a function of shape and dtype that gives one; None:
            zeros (TensorFlow draws random numbers).
        regularizer, caching_device, partitioner, custom_getter, constraint, synchronization, aggregation,
        validate_shape:
            must be as they are by default.
        trainable, collections, use_resource: as for :class:`Variable`.

    Raises:
        AlreadyExistsError: when the graph has a node of this name (TensorFlow's reuse of variables is not
        here).
    """
    _refuse_given(
        f"get_variable {name}",
        regularizer=regularizer,
        caching_device=caching_device,
        partitioner=partitioner,
        custom_getter=custom_getter,
        constraint=constraint,
        synchronization=synchronization,
        aggregation=aggregation,
    )
    graph = get_default_graph()
    if any(variable.name == name for variable in graph.native.variables(None)):
        raise AlreadyExistsError(f"get_variable {name}: the graph has a variable of this name")
    with graph.name_scope(None):
        if initializer is not None and not _is_initializer(initializer):
            if shape is not None:
                raise refuse(f"get_variable {name}", "a shape is given, and a value as initializer, which has its own")
            return Variable(
                initializer,
                trainable,
                collections,
                validate_shape,
                name=name,
                dtype=dtype,
                use_resource=use_resource,
            )
        if shape is None:
            raise refuse(f"get_variable {name}", "a shape is needed")
        sizes = (shape,) if isinstance(shape, int) else tuple(shape)
        kind = dtype_name("float32" if dtype is None else dtype)
        native = _add(graph, name, kind, sizes, trainable, collections, use_resource)
        graph.initials[native.name] = Made(initializer or zeros_initializer())
        return Variable.of(graph, native)


def zeros_initializer(dtype: Any = None) -> Initializer:
    """All zero; strings are empty."""
    return lambda shape, kind: np.full(shape, b"", object) if kind == "string" else np.zeros(shape, numpy_dtype(kind))


def ones_initializer(dtype: Any = None) -> Initializer:
    """All one."""
    return lambda shape, kind: np.ones(shape, numpy_dtype(kind))


def constant_initializer(value: Any = 0, dtype: Any = None) -> Initializer:
    """All of this value, or the values of a list."""
    return lambda shape, kind: np.broadcast_to(np.asarray(value, numpy_dtype(kind)), shape)


def global_variables() -> list[Variable]:
    """Of the default graph: those that a Saver saves by default."""
    return get_default_graph().get_collection(GraphKeys.GLOBAL_VARIABLES)


def local_variables() -> list[Variable]:
    """Of the default graph."""
    return get_default_graph().get_collection(GraphKeys.LOCAL_VARIABLES)


def trainable_variables() -> list[Variable]:
    """Of the default graph."""
    return get_default_graph().get_collection(GraphKeys.TRAINABLE_VARIABLES)


def variables_initializer(var_list: Sequence[Variable], name: str = "init") -> Initialize:
    """An operation by which a session initialises these."""
    return Initialize(get_default_graph(), name, var_list)


def global_variables_initializer() -> Initialize:
    """An operation by which a session initialises all global variables."""
    return variables_initializer(global_variables())


def _is_initializer(value: Any) -> bool:
    return callable(value) and not _leaves.kind_of(value)


def _refuse_given(what: str, **arguments: Any) -> None:
    given = [name for name, value in arguments.items() if value is not None]
    if given:
        raise UnimplementedError(f"{what}: {', '.join(given)}: not supported, since Waypost does not compute")


def _session(session: Session | None) -> Session:
    from .session import get_default_session

    found = session or get_default_session()
    if found is None:
        raise refuse("session", "there is no default session; use 'with session:' or give one")
    return found


def _memory_of(name: str, value: Any, dtype: str | None) -> tuple[Any, bool, str, tuple[int, ...]]:
    """A value as memory, whether it is the caller's own, its dtype and shape."""
    kind = _leaves.kind_of(value)
    if kind in ("torch", "numpy", "dlpack") and not isinstance(value, np.generic):
        memory = _leaves.to_restore(name, value)
        stored = "string" if isinstance(memory, _leaves.Strings) else memory.dtype
        if dtype is None or dtype == stored:
            if isinstance(memory, _leaves.Memory) and memory.finish is not None:
                raise refuse(name, "its memory is not contiguous")
            return value, True, stored, memory.shape
    if kind == "torch":
        raise refuse(name, f"dtype {value.dtype} is not {dtype}")
    array = as_array(value, dtype)
    return array, False, dtype or dtype_name(array.dtype), array.shape


def _add(
    graph: Graph,
    name: str,
    dtype: str,
    shape: tuple[int, ...],
    trainable: bool | None,
    collections: Sequence[str] | None,
    use_resource: bool | None,
) -> _native.Variable:
    return graph.native.add_variable(
        name,
        dtype,
        list(shape),
        "",
        trainable is not False,
        use_resource is not False,
        list(collections or ()),
        "",
        [],
        [],
    )
