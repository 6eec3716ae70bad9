"""The engine's savers behind one Saver: that of a graph's variables, and that of other tensors."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from . import _native
from ._arguments import NamedVariables, native_var_list
from ._leaves import refuse
from ._mirror import Mirror, Spec
from ._tensorflow import TensorflowVariables, names_variables
from .errors import FailedPreconditionError, InvalidArgumentError
from .graph import Graph


class Savers:
    """Makes them when they are needed, and keeps what retention counts.

    Args:
        var_list: as Saver takes it.
        options: of the engine's saver, by its names.
    """

    def __init__(self, var_list: Any, options: Mapping[str, Any]) -> None:
        self._var_list = var_list
        self._options = dict(options)
        self._of_graph: tuple[Graph, _native.Saver] | None = None
        self._mirror: Mirror | None = None
        self._tensorflow: TensorflowVariables | None = None
        self._used: tuple[Graph, _native.Saver] | None = None  # the one used last
        # What set_last_checkpoints and the like were told before there was one.
        self._history: Callable[[_native.Saver], None] | None = None

    def build_in(self, graph: Graph) -> None:
        """Makes that of a graph's variables; where it is there but deferred, builds it."""
        if self._of_graph is None:
            listed, named = native_var_list(self._var_list)
            self.take(graph, self._make(graph, listed, named, self._options))
        elif self._options["defer_build"]:
            self._of_graph[1].build()

    def take(self, graph: Graph, native: _native.Saver) -> None:
        """That of a graph's variables is this one."""
        self._of_graph = self._used = (graph, native)

    def builds_at_once(self, graph: Graph) -> bool:
        """Whether it is clear that it will be one of the graph's variables, or they are at hand."""
        if names_variables(self._var_list):
            return False
        asked = (self._options[name] for name in ("saver_def", "defer_build", "allow_empty"))
        return self._var_list is not None or any(asked) or bool(graph.native.variables("variables"))

    def of_graph(self, graph: Graph) -> _native.Saver:
        """That of the graph's variables.

        Raises:
            InvalidArgumentError: when it is one of another graph.
        """
        if self._of_graph is None:
            self.build_in(graph)
        if self._of_graph is None or self._of_graph[0] is not graph:
            raise refuse("Saver", "the session is of another graph than the saver's")
        self._used = self._of_graph
        return self._of_graph[1]

    def of_specs(self, specs: Sequence[Spec]) -> Mirror:
        """That of other tensors; where they are others than before, what was counted still counts.

        Raises:
            InvalidArgumentError: when it can only be one of a graph's variables.
        """
        is_of_waypost = self._var_list is not None and not names_variables(self._var_list)
        if is_of_waypost or self._options["saver_def"] is not None:
            raise refuse("Saver", "it is one of a graph's variables; for other tensors make one of its own")
        if self._mirror is None or self._mirror.specs != list(specs):
            if self._mirror is not None:
                counted = self._mirror.saver.last_checkpoints()
                self._history = lambda native: native.recover_last_checkpoints(counted)
            options = self._options | {"defer_build": False}
            self._mirror = Mirror(specs, lambda graph, named: self._make(graph, None, named, options))
        self._used = (self._mirror.graph, self._mirror.saver)
        return self._mirror

    def variables_of(self, graph: Any) -> TensorflowVariables:
        """The variables of a graph of TensorFlow that are saved."""
        if self._tensorflow is None or self._tensorflow.graph is not graph:
            self._tensorflow = TensorflowVariables(graph, self._var_list)
        return self._tensorflow

    @property
    def used(self) -> _native.Saver | None:
        """The one used last."""
        return None if self._used is None else self._used[1]

    @property
    def graph(self) -> Graph | None:
        """Its graph."""
        return None if self._used is None else self._used[0]

    def remember(self, tell: Callable[[_native.Saver], None]) -> None:
        """Tells it what counts, now or when there is one."""
        if self.used is None:
            self._history = tell
        else:
            tell(self.used)

    def _make(
        self,
        graph: Graph,
        listed: list[_native.Variable] | None,
        named: NamedVariables | None,
        options: Mapping[str, Any],
    ) -> _native.Saver:
        try:
            native = _native.Saver(graph.native, listed, named, **options)
        except FailedPreconditionError as error:
            # TensorFlow's class for a saver of nothing.
            raise InvalidArgumentError(str(error)) from None
        if self._history is not None:
            self._history(native)
            self._history = None
        return native
