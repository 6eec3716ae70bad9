"""TensorFlow 1's ``tf.summary`` in Waypost: operations of the default graph, and FileWriter.

The operations are TensorFlow's, with TensorFlow's tags and values; ``waypost.train.Session.run`` evaluates
them.  A job without a graph fills a :class:`Summary` by hand:

    with summary.FileWriter("logs") as writer:
        values = summary.Summary()
        values.add_scalar("loss", loss)
        values.add_histogram("weights", model.weight)
        writer.add_summary(values, step)

The functions raise InvalidArgumentError for a name that TensorFlow would refuse and an input of a dtype that
cannot be shown; what only a value can show (NaN in a histogram) is raised by ``Session.run``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from . import _native
from ._leaves import refuse
from .errors import FailedPreconditionError
from .events import Audio, Event, Histogram, Image, SessionLog, Summary, SummaryMetadata, SummaryValue
from .file_writer import FileWriter, FileWriterCache
from .graph import Graph, GraphKeys, Tensor, get_default_graph
from .opened import PathLike

__all__ = [
    "Audio",
    "Event",
    "FileWriter",
    "FileWriterCache",
    "Histogram",
    "Image",
    "SessionLog",
    "Summary",
    "SummaryMetadata",
    "SummaryValue",
    "audio",
    "histogram",
    "image",
    "last_step",
    "merge",
    "merge_all",
    "scalar",
    "tensor_summary",
    "text",
]


def scalar(name: str, tensor: Any, collections: Sequence[str] | None = None, family: str | None = None) -> Tensor:
    """A real number.

    Args:
        name: of the operation and, cleaned and made unique, the tag, within the current name scope.
        tensor: a placeholder, a variable, or a value, which becomes a constant.
        collections: of the graph, that the operation is added to; None: "summaries".
        family: the group that TensorBoard shows it in.
    """
    graph, value = _of(tensor)
    return _made(graph, _native.summary_scalar(graph.native, name, value.native, _keys(collections), family or ""))


def histogram(name: str, values: Any, collections: Sequence[str] | None = None, family: str | None = None) -> Tensor:
    """Real numbers of any shape; arguments as of :func:`scalar`."""
    graph, value = _of(values)
    return _made(graph, _native.summary_histogram(graph.native, name, value.native, _keys(collections), family or ""))


def image(
    name: str,
    tensor: Any,
    max_outputs: int = 3,
    collections: Sequence[str] | None = None,
    family: str | None = None,
) -> Tensor:
    """Pictures [batch, height, width, channels] with 1, 3 or 4 channels, the first ``max_outputs`` of them.

    uint8 as it is; floats are scaled, each picture by itself.
    """
    graph, value = _of(tensor)
    output = _native.summary_image(graph.native, name, value.native, max_outputs, _keys(collections), family or "")
    return _made(graph, output)


def audio(
    name: str,
    tensor: Any,
    sample_rate: Any,
    max_outputs: int = 3,
    collections: Sequence[str] | None = None,
    family: str | None = None,
) -> Tensor:
    """Clips, float32 [batch, frames] or [batch, frames, channels] between -1 and 1; ``sample_rate`` in Hz, a
    number or a tensor.
    """
    graph, value = _of(tensor)
    rate = sample_rate.native if isinstance(sample_rate, Tensor) else None
    output = _native.summary_audio(
        graph.native,
        name,
        value.native,
        None if rate is not None else float(sample_rate),
        rate,
        max_outputs,
        _keys(collections),
        family or "",
    )
    return _made(graph, output)


def text(name: str, tensor: Any, collections: Sequence[str] | None = None) -> Tensor:
    """Strings of any shape, Markdown, for TensorBoard's plugin "text"."""
    graph, value = _of(tensor)
    return _made(graph, _native.summary_text(graph.native, name, value.native, _keys(collections)))


def tensor_summary(
    name: str,
    tensor: Any,
    summary_description: str | None = None,
    collections: Sequence[str] | None = None,
    summary_metadata: Any = None,
    family: str | None = None,
    display_name: str | None = None,
) -> Tensor:
    """Any tensor, for the plugin that ``summary_metadata`` (:class:`SummaryMetadata`, or TensorFlow's
    message) names.
    """
    graph, value = _of(tensor)
    metadata = _metadata(summary_metadata)
    output = _native.summary_tensor(
        graph.native,
        name,
        value.native,
        metadata.plugin_name,
        metadata.plugin_content,
        display_name or metadata.display_name,
        summary_description or metadata.summary_description,
        metadata.data_class,
        _keys(collections),
        family or "",
    )
    return _made(graph, output)


def merge(inputs: Sequence[Tensor], collections: Sequence[str] | None = None, name: str | None = None) -> Tensor:
    """One operation with the values of all inputs, in order.

    Raises:
        InvalidArgumentError: without inputs.
    """
    inputs = list(inputs)
    graph = inputs[0].graph if inputs else get_default_graph()
    output = _native.summary_merge(
        graph.native, [graph.as_tensor(item).native for item in inputs], name or "", list(collections or ())
    )
    return _made(graph, output)


def merge_all(key: str = GraphKeys.SUMMARIES, scope: str | None = None, name: str | None = None) -> Tensor | None:
    """One operation that merges a collection of the default graph; None when there is nothing to be merged.

    Args:
        key: of the collection.
        scope: only operations whose tensor's name begins with a match of this regular expression
            (ECMAScript's); None: all.
        name: of the operation.
    """
    graph = get_default_graph()
    try:
        return _made(graph, _native.summary_merge_all(graph.native, key, scope or "", name or ""))
    except FailedPreconditionError:
        return None


def last_step(logdir: PathLike) -> int | None:
    """The last step that TensorBoard shows of a run; None where there is none.

    A job that resumes at a step up to this one calls :meth:`FileWriter.add_session_start`.
    """
    return _native.last_step(str(logdir))


def _of(value: Any) -> tuple[Graph, Tensor]:
    graph = value.graph if isinstance(value, Tensor) else get_default_graph()
    return graph, graph.as_tensor(value)


def _made(graph: Graph, output: _native.Output) -> Tensor:
    return Tensor(graph, output, "string", ())


def _keys(collections: Sequence[str] | None) -> list[str]:
    return [GraphKeys.SUMMARIES] if collections is None else list(collections)


def _metadata(metadata: Any) -> SummaryMetadata:
    if metadata is None:
        return SummaryMetadata()
    if isinstance(metadata, SummaryMetadata):
        return metadata
    plugin = getattr(metadata, "plugin_data", None)
    if plugin is None:
        raise refuse("tensor_summary", f"a {type(metadata).__name__} is no SummaryMetadata")
    return SummaryMetadata(
        plugin.plugin_name,
        bytes(plugin.content),
        metadata.display_name,
        metadata.summary_description,
        int(metadata.data_class),
    )
