"""TensorFlow 1's ``tf.train`` in Waypost: Saver, the checkpoint state file, graphs, sessions.

    from waypost import summary, train

    weights = train.Variable(model.weight, name="weights")       # stands for the parameter itself
    loss = train.placeholder("float32", [], name="loss")
    summary.scalar("loss", loss)
    merged = summary.merge_all()
    saver = train.Saver(max_to_keep=3)
    with train.Session() as sess, summary.FileWriter("logs", sess.graph) as writer:
        for step in range(1000):
            ...
            writer.add_summary(sess.run(merged, {loss: value}), step)
            if step % 100 == 0:
                saver.save(sess, "ckpt/model.ckpt", global_step=step)

Signatures and behaviour are TensorFlow's; what differs on purpose is in docs/tensorflow.md.  Waypost does
not compute: a session evaluates summaries.  ``import waypost.compat as tf`` has the names as
``tf.train.Saver``, ``tf.summary.scalar``, ``tf.Session``.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from . import _log
from ._dtypes import dtype_name
from ._leaves import refuse
from ._state import (
    CheckpointReader,
    CheckpointState,
    checkpoint_exists,
    generate_checkpoint_state_proto,
    get_checkpoint_mtimes,
    get_checkpoint_state,
    latest_checkpoint,
    list_variables,
    load_checkpoint,
    load_variable,
    remove_checkpoint,
    update_checkpoint_state,
)
from .errors import UnimplementedError
from .events import Event, events_of
from .graph import (
    Graph,
    GraphDef,
    GraphKeys,
    Operation,
    Tensor,
    constant_in,
    get_default_graph,
    name_scope,
    reset_default_graph,
)
from .handle import SaveHandle
from .meta_graph import MetaGraphDef, graph_def_of, import_from, read_source
from .opened import PathLike
from .saver import Saver, SaverDef
from .session import Session, get_default_session
from .variables import (
    Variable,
    constant_initializer,
    get_variable,
    global_variables,
    global_variables_initializer,
    local_variables,
    ones_initializer,
    trainable_variables,
    variables_initializer,
    zeros_initializer,
)

__all__ = [
    "CheckpointReader",
    "CheckpointState",
    "Event",
    "Graph",
    "GraphDef",
    "GraphKeys",
    "MetaGraphDef",
    "Operation",
    "SaveHandle",
    "Saver",
    "SaverDef",
    "Session",
    "Tensor",
    "Variable",
    "add_to_collection",
    "checkpoint_exists",
    "constant",
    "constant_initializer",
    "create_global_step",
    "device",
    "export_meta_graph",
    "generate_checkpoint_state_proto",
    "get_checkpoint_mtimes",
    "get_checkpoint_state",
    "get_collection",
    "get_default_graph",
    "get_default_session",
    "get_global_step",
    "get_or_create_global_step",
    "get_variable",
    "global_step",
    "global_variables",
    "global_variables_initializer",
    "import_meta_graph",
    "latest_checkpoint",
    "list_variables",
    "load_checkpoint",
    "load_variable",
    "local_variables",
    "name_scope",
    "ones_initializer",
    "placeholder",
    "remove_checkpoint",
    "reset_default_graph",
    "summary_iterator",
    "trainable_variables",
    "update_checkpoint_state",
    "variables_initializer",
    "write_graph",
    "zeros_initializer",
]


# ---- Graphs ----


def placeholder(dtype: Any, shape: Sequence[int | None] | None = None, name: str | None = None) -> Tensor:
    """A tensor of the default graph that ``Session.run`` is fed with.

    Args:
        dtype: TensorFlow's name, or NumPy's, PyTorch's or TensorFlow's own dtype.
        shape: None or -1 for a dimension of any size; None as a whole is a scalar's.
        name: made unique; None: "Placeholder".
    """
    kind = dtype_name(dtype)
    sizes = tuple(-1 if size is None else int(size) for size in shape or ())
    graph = get_default_graph()
    return Tensor(graph, graph.native.add_placeholder(name or "Placeholder", kind, list(sizes)), kind, sizes)


def constant(
    value: Any,
    dtype: Any = None,
    shape: Sequence[int] | None = None,
    name: str = "Const",
    verify_shape: bool = False,
) -> Tensor:
    """A small tensor that stands in the default graph itself.

    Args:
        value: a number, a string, an array, or a list of such.
        dtype: None: float32 and int32 for Python's numbers, else the value's.
        shape: that a single value fills, or that other values are put into; None: the value's.
        name: made unique.
        verify_shape: refuses a value of another shape.
    """
    if verify_shape and shape is not None and np.shape(value) != tuple(shape):
        raise refuse(name, f"its shape is {np.shape(value)}, and not {tuple(shape)}")
    return constant_in(get_default_graph(), value, dtype, shape, name)


def device(device_name: str | None) -> Any:
    """``with device("/gpu:0"):`` of the default graph."""
    return get_default_graph().device(device_name)


def add_to_collection(name: str, value: Any) -> None:
    """:meth:`Graph.add_to_collection` of the default graph."""
    get_default_graph().add_to_collection(name, value)


def get_collection(key: str) -> list[Any]:
    """:meth:`Graph.get_collection` of the default graph."""
    return get_default_graph().get_collection(key)


def write_graph(graph_or_graph_def: Any, logdir: PathLike, name: str, as_text: bool = True) -> str:
    """Writes a graph to LOGDIR/NAME, by a temporary file and a rename, and returns the path.

    Args:
        graph_or_graph_def: a Graph, GraphDef or MetaGraphDef of Waypost or TensorFlow,
            ``waypost.torch.graph_of(module)``.
        logdir: made with its parents.
        name: of the file.
        as_text: as protobuf text; else binary.
    """
    return graph_def_of(graph_or_graph_def, "write_graph").write(os.fspath(logdir), name, as_text)


def export_meta_graph(
    filename: str | None = None,
    meta_info_def: Any = None,
    graph_def: Any = None,
    saver_def: SaverDef | None = None,
    collection_list: Sequence[str] | None = None,
    as_text: bool = False,
    graph: Graph | None = None,
    export_scope: str | None = None,
    clear_devices: bool = False,
    clear_extraneous_savers: bool = False,
    strip_default_attrs: bool = False,
    save_debug_info: bool = False,
) -> MetaGraphDef:
    """A graph with its collections, and written to ``filename`` where one is given.

    Args:
        filename: None: no file.
        meta_info_def, graph_def: must be None.
        saver_def: which nodes are its saver.
        collection_list: only these; None: all.
        as_text: of the file.
        graph: None: the default graph.
        export_scope: only what lies in it, without it in the names.
        clear_devices: without devices.
        clear_extraneous_savers: without the nodes of other savers.
        strip_default_attrs: without attributes that have their operation's default.
        save_debug_info: must be False.

    Raises:
        InvalidArgumentError: for a scope that has no nodes.
    """
    if meta_info_def is not None or graph_def is not None:
        raise UnimplementedError("export_meta_graph: meta_info_def and graph_def: a graph only can be exported")
    return MetaGraphDef.export(
        graph or get_default_graph(),
        saver_def,
        filename,
        collection_list,
        as_text,
        export_scope,
        clear_devices,
        clear_extraneous_savers,
        strip_default_attrs,
        save_debug_info,
    )


def import_meta_graph(
    meta_graph_or_file: Any,
    clear_devices: bool = False,
    import_scope: str | None = None,
    input_map: Mapping[str, Tensor] | None = None,
) -> Saver | None:
    """Adds a meta graph to the default graph and returns its saver.

    Args:
        meta_graph_or_file: a MetaGraphDef of Waypost or TensorFlow, or the path of a file, binary or text.
        clear_devices: without devices.
        import_scope: before all names, made unique.
        input_map: for inputs that an exported scope has left open.

    Returns:
        One of all variables where the meta graph has no saver; None where there are none either.

    Raises:
        NotFoundError: for a file that is not there.
        AlreadyExistsError: for a name that the graph has.
        DataLossError, InvalidArgumentError: for what is no meta graph.
    """
    graph = get_default_graph()
    native = import_from(graph, read_source(meta_graph_or_file), clear_devices, import_scope, input_map or {})
    _log.hand_on()
    return None if native is None else Saver.of_native(graph, native)


# ---- The global step ----


def get_global_step(graph: Graph | None = None) -> Variable | None:
    """The graph's variable ``global_step``; None where it has none."""
    graph = graph or get_default_graph()
    found = [v for v in graph.get_collection(GraphKeys.GLOBAL_VARIABLES) if v.op.name == GraphKeys.GLOBAL_STEP]
    return found[0] if found else None


def create_global_step(graph: Graph | None = None) -> Variable:
    """A variable ``global_step`` of int64, 0 at first; the job counts it by :meth:`Variable.load`.

    Raises:
        AlreadyExistsError: when the graph has one.
    """
    with (graph or get_default_graph()).as_default():
        return get_variable(GraphKeys.GLOBAL_STEP, [], np.int64, zeros_initializer(), trainable=False)


def get_or_create_global_step(graph: Graph | None = None) -> Variable:
    """The graph's global step, made where there is none."""
    return get_global_step(graph) or create_global_step(graph)


def global_step(sess: Session, global_step_tensor: Variable) -> int:
    """Its value in a session."""
    return int(sess.run(global_step_tensor))


def summary_iterator(path: PathLike) -> Iterator[Event]:
    """The events of an event file, or of all event files of a directory.

    Raises:
        DataLossError: for a record that is damaged.
    """
    if not isinstance(path, str | os.PathLike):
        raise refuse("summary_iterator", f"a {type(path).__name__} is no path")
    return events_of(os.fspath(path))
