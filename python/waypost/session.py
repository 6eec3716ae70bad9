"""Session: which memory a graph's variables stand for, and summaries of it."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from types import TracebackType
from typing import Any

import numpy as np

from . import _leaves, _log, _native, _tree
from ._leaves import refuse
from ._request import Request
from .engine import Engine, default_engine
from .errors import FailedPreconditionError
from .graph import Graph, Operation, Tensor, as_array, get_default_graph, reference_to, variable_named
from .variables import Given, Initialize, Made, Variable, zeros_initializer

__all__ = ["Session", "get_default_session"]


class Session:
    """TensorFlow 1's session, as far as Waypost has one: it holds variables and evaluates summaries.

    A variable stands for the memory that it was made with, for memory given to :meth:`bind`, or for an array
    that running its initializer makes.  For one thread at a time.

    Args:
        target: must be "".
        graph: None: the default graph.
        config: not looked at.
        engine: None: the process's.
    """

    def __init__(
        self,
        target: str = "",
        graph: Graph | None = None,
        config: Any = None,
        *,
        engine: Engine | None = None,
    ) -> None:
        if target:
            raise refuse("Session", f"target {target!r}: there are no remote sessions")
        self.graph = graph or get_default_graph()
        self.engine = engine or default_engine()
        self._native: _native.Session | None = self.new_native(self.engine, self.graph)
        self._memory: dict[str, Any] = {}  # of each bound variable, by name
        self._made: set[str] = set()  # those whose memory is the session's own
        self._strings: dict[str, _native.TensorRef] = {}  # of each bound variable of strings
        self._devices: set[str] = set()
        self._entered = ExitStack()

    @staticmethod
    def new_native(engine: Engine, graph: Graph) -> _native.Session:
        """For the package's own use."""
        return _native.Session(engine.native, graph.native)

    # ---- Memory ----

    def bind(self, variable: Variable, memory: Any) -> None:
        """Lets a variable stand for an array or tensor, which must be contiguous and stays where it is.

        Raises:
            InvalidArgumentError: for another dtype or shape.
            AlreadyExistsError: when the variable stands for other memory already.
        """
        name = variable.variable.name
        target = _leaves.to_restore(name, memory)
        if isinstance(target, _leaves.Memory):
            if target.finish is not None:
                raise refuse(name, "its memory is not contiguous")
            if target.device:
                Request(self.engine.accelerators).use_device(name, target.device)
            self._devices.add(target.device)
        reference = reference_to(target, _tree.encode_name(name))
        self.native().bind(variable.variable, reference, target)
        if isinstance(target, _leaves.Strings):
            self._strings[name] = reference
        self._memory[name] = memory

    def value(self, variable: Variable) -> Any:
        """The memory itself that a variable stands for.

        Raises:
            FailedPreconditionError: when there is none.
        """
        self._bind_given()
        name = variable.variable.name
        if name not in self._memory:
            raise FailedPreconditionError(f"variable {name}: it is neither bound nor initialised")
        return self._memory[name]

    def load(self, variable: Variable, value: Any) -> None:
        """Fills the memory of a variable."""
        memory = self.value(variable)
        if _leaves.kind_of(memory) == "torch":
            torch = _leaves.module("torch")
            with torch.no_grad():
                memory.copy_(torch.as_tensor(value, device=memory.device))
        else:
            np.copyto(memory, np.asarray(value, memory.dtype), casting="same_kind")

    # ---- Running ----

    def run(
        self,
        fetches: Any,
        feed_dict: Mapping[Any, Any] | None = None,
        options: Any = None,
        run_metadata: Any = None,
    ) -> Any:
        """Evaluates summaries and values; initialises variables.

        Args:
            fetches: a summary (gives its bytes), a variable (a copy of its value), a placeholder that is
                fed, an initializer (None), or lists, tuples and dicts of these.
            feed_dict: from placeholders, or their names, to numbers, arrays and tensors.
            options: not looked at.
            run_metadata: must be None.

        Raises:
            InvalidArgumentError: for an operation that is nothing such (Waypost does not compute), a
            placeholder that is not
                fed, a value of another dtype or shape, NaN or infinity in a histogram.
            FailedPreconditionError: for a variable that is neither bound nor initialised.
        """
        if run_metadata is not None:
            raise refuse("run", "there are no run_metadata to be had")
        self._bind_given()
        self.push_strings()
        fed = {self._key(key): value for key, value in (feed_dict or {}).items()}
        feeds, request = self._feeds(fed)
        result = self._fetch(fetches, fed, feeds, request.stream())
        _log.hand_on()
        return result

    def _key(self, key: Any) -> Tensor:
        if isinstance(key, str):
            key = self.graph.get_tensor_by_name(key)
        if not isinstance(key, Tensor):
            raise refuse("run", f"a {type(key).__name__} cannot be fed")
        return key

    def _feeds(self, fed: dict[Tensor, Any]) -> tuple[list[tuple[_native.Output, _native.TensorRef]], Request]:
        request = Request(self.engine.accelerators)
        for tensor, value in fed.items():
            for memory in _leaves.to_save(tensor.name, _converted(value, tensor.dtype)):
                request.add(tensor.name, memory)
        outputs = [tensor.native for tensor in fed]
        return list(zip(outputs, request.references, strict=True)), request

    def _fetch(
        self,
        fetch: Any,
        fed: dict[Tensor, Any],
        feeds: list[tuple[_native.Output, _native.TensorRef]],
        stream: int,
    ) -> Any:
        if isinstance(fetch, str):
            fetch = self.graph.get_tensor_by_name(fetch)
        if isinstance(fetch, Variable):
            return _copy(self.value(fetch))
        if isinstance(fetch, Tensor):
            if fetch in fed:
                return fed[fetch]
            return self.native().run(fetch.native, feeds, stream)
        if isinstance(fetch, Initialize):
            return self._initialize(fetch)
        if isinstance(fetch, Operation):
            raise refuse(fetch.name, "it is no initializer, and Waypost does not compute")
        if isinstance(fetch, Mapping):
            return {key: self._fetch(value, fed, feeds, stream) for key, value in fetch.items()}
        if isinstance(fetch, list | tuple):
            values = [self._fetch(value, fed, feeds, stream) for value in fetch]
            return type(fetch)(*values) if hasattr(fetch, "_fields") else type(fetch)(values)
        raise refuse("run", f"a {type(fetch).__name__} cannot be fetched")

    def _initialize(self, initialize: Initialize) -> None:
        for variable in initialize.variables:
            name = variable.variable.name
            initial = self.graph.initials.get(name, Made(zeros_initializer()))
            if isinstance(initial, Given):
                continue
            assert variable.shape is not None
            value = initial.make(variable.shape, variable.dtype)
            if name not in self._memory:
                self._make(variable)
            # Memory that the job bound holds what the job put there.
            if name in self._made:
                self.load(variable, value)

    def _make(self, variable: Variable) -> None:
        """Gives a variable memory of the session's own."""
        self.bind(variable, zeros_initializer()(variable.shape or (), variable.dtype))
        self._made.add(variable.variable.name)

    # ---- For Saver ----

    def native(self) -> _native.Session:
        """The engine's session.

        Raises:
            FailedPreconditionError: when it is closed.
        """
        if self._native is None:
            raise FailedPreconditionError("the session is closed")
        return self._native

    def ready(self) -> _native.Session:
        """The same, ready to be saved."""
        self._bind_given()
        self.push_strings()
        return self.native()

    def to_restore(self) -> _native.Session:
        """The same, ready to be restored: a variable that stands for nothing yet gets memory."""
        self._bind_given()
        for native in self.graph.native.variables(None):
            if native.name not in self._memory:
                self._make(Variable.of(self.graph, native))
        return self.native()

    def stream(self) -> int:
        """The stream whose work is part of the values."""
        request = Request(self.engine.accelerators)
        for device in self._devices - {""}:
            request.use_device("session", device)
        return request.stream()

    def push_strings(self) -> None:
        """The engine sees what arrays of strings hold now."""
        for name, reference in self._strings.items():
            reference.set_strings([_leaves.to_bytes(name, value) for value in self._memory[name].ravel().tolist()])

    def pull_strings(self) -> None:
        """Arrays of strings hold what the engine has restored."""
        for name, reference in self._strings.items():
            target = _leaves.to_restore(name, self._memory[name])
            assert isinstance(target, _leaves.Strings)
            assert target.finish is not None
            target.finish(reference.strings())

    def _bind_given(self) -> None:
        for name, initial in list(self.graph.initials.items()):
            if isinstance(initial, Given) and name not in self._memory:
                self.bind(Variable.of(self.graph, variable_named(self.graph, name)), initial.memory)

    # ---- Lifetime ----

    def close(self) -> None:
        """Waits until no save reads its memory any more."""
        self._native = None
        self._memory.clear()

    @contextmanager
    def as_default(self) -> Iterator[Session]:
        """``with session.as_default():`` as ``with session:``, but it is not closed."""
        with self.graph.as_default():
            _sessions.stack.append(self)
            try:
                yield self
            finally:
                _sessions.stack.remove(self)

    def __enter__(self) -> Session:
        self._entered.enter_context(self.as_default())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._entered.close()
        self.close()


class _Sessions(threading.local):
    def __init__(self) -> None:
        self.stack: list[Session] = []


_sessions = _Sessions()


def get_default_session() -> Session | None:
    """The innermost session of this thread's ``with session:``."""
    return _sessions.stack[-1] if _sessions.stack else None


def _converted(value: Any, dtype: str) -> Any:
    """A value as it is fed to a placeholder of that dtype."""
    kind = _leaves.kind_of(value)
    if kind == "torch":
        return value.to(getattr(_leaves.module("torch"), dtype)) if dtype in _leaves.TORCH_DTYPES else value
    return value if kind in ("jax", "dlpack") else as_array(value, dtype or None)


def _copy(memory: Any) -> Any:
    return memory.detach().clone() if _leaves.kind_of(memory) == "torch" else np.array(memory)
