"""MetaGraphDef: a graph with its saver and collections, the content of ``PREFIX.meta``."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

from . import _native
from ._dtypes import message_bytes
from .errors import InvalidArgumentError, UnimplementedError
from .graph import Graph, GraphDef, Tensor

__all__ = ["MetaGraphDef"]


class MetaGraphDef:
    """TensorFlow's MetaGraphDef.

    Args:
        native: of the engine.
    """

    def __init__(self, native: _native.MetaGraph) -> None:
        self._native = native

    @classmethod
    def FromString(cls, content: bytes) -> MetaGraphDef:
        """Of the binary message, or of protobuf text.

        Raises:
            DataLossError, InvalidArgumentError: for bytes that are neither.
        """
        return cls(_native.MetaGraph.parse(content))

    @classmethod
    def export(
        cls,
        graph: Graph,
        saver_def: _native.SaverDef | None,
        filename: str | None,
        collection_list: Sequence[str] | None,
        as_text: bool,
        export_scope: str | None,
        clear_devices: bool,
        clear_extraneous_savers: bool,
        strip_default_attrs: bool,
        save_debug_info: bool,
    ) -> MetaGraphDef:
        """See :func:`waypost.train.export_meta_graph`."""
        if save_debug_info:
            raise UnimplementedError("export_meta_graph: save_debug_info: there are no frames of Python to be written")
        native = _native.export_meta_graph(
            graph.native,
            saver_def,
            filename or "",
            None if collection_list is None else list(collection_list),
            as_text,
            export_scope or "",
            clear_devices,
            clear_extraneous_savers,
            strip_default_attrs,
        )
        return cls(native)

    def SerializeToString(self) -> bytes:
        """The binary message; equal graphs have equal bytes."""
        return self._native.serialize()

    @property
    def graph_def(self) -> GraphDef:
        """The graph alone."""
        return GraphDef(self._native.graph_def())

    @property
    def saver_def(self) -> _native.SaverDef | None:
        """Which of its nodes save and restore it."""
        return self._native.saver_def()

    def write(self, logdir: str, name: str, as_text: bool) -> str:
        """For ``write_graph``."""
        return self._native.write(logdir, name, as_text)

    def __str__(self) -> str:
        return self._native.text()


def import_from(
    graph: Graph,
    source: _native.MetaGraph | str,
    clear_devices: bool,
    import_scope: str | None,
    input_map: Mapping[str, Tensor],
) -> _native.Saver | None:
    """Adds a meta graph, or a file's, to a graph; its saver."""
    inputs = [(name, tensor.native) for name, tensor in input_map.items()]
    return _native.import_meta_graph(graph.native, source, clear_devices, import_scope or "", inputs)


def graph_def_of(graph: Any, what: str) -> GraphDef | MetaGraphDef:
    """A graph as a message: one of Waypost or TensorFlow, or what has such bytes.

    Raises:
        InvalidArgumentError: for anything else.
    """
    if isinstance(graph, GraphDef | MetaGraphDef):
        return graph
    if isinstance(graph, Graph):
        return graph.as_graph_def()
    if hasattr(graph, "as_graph_def"):  # of TensorFlow
        return GraphDef.FromString(message_bytes(graph.as_graph_def(), what))
    if isinstance(graph, bytes) or hasattr(graph, "SerializeToString"):
        descriptor = getattr(type(graph), "DESCRIPTOR", None)
        kind = MetaGraphDef if getattr(descriptor, "name", "") == "MetaGraphDef" else GraphDef
        return kind.FromString(message_bytes(graph, what))
    raise InvalidArgumentError(f"{what}: a {type(graph).__name__} is no graph")


def read_source(meta_graph_or_file: Any) -> _native.MetaGraph | str:
    """A meta graph, or the path of a file with one, as the engine takes it."""
    if isinstance(meta_graph_or_file, str | os.PathLike):
        return os.fspath(meta_graph_or_file)
    return _native.MetaGraph.parse(message_bytes(meta_graph_or_file, "import_meta_graph"))
