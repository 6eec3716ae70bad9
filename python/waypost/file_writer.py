"""FileWriter: TensorFlow 1's tf.summary.FileWriter."""

from __future__ import annotations

import os
import threading
import time
from types import TracebackType
from typing import Any, ClassVar

from . import _log, _native
from ._dtypes import message_bytes
from ._leaves import refuse
from .errors import UnimplementedError
from .events import graph_event
from .graph import Graph
from .meta_graph import MetaGraphDef, graph_def_of
from .opened import PathLike

__all__ = ["FileWriter", "FileWriterCache"]


class FileWriter:
    """Writes event files that TensorBoard reads, by a thread of its own.  Any thread may add.

    A writer that was given a graph of Waypost belongs to it: each save of that graph makes what was added
    before durable before its checkpoint is committed.  Methods that add wait while the queue is full; they
    raise FailedPreconditionError after :meth:`close`, and otherwise the error of the writing thread (a full
    disk: ResourceExhaustedError).

    Args:
        logdir: made with its parents; the file appears with the first event.
        graph: written as :meth:`add_graph` does, and one of Waypost as :meth:`add_meta_graph` too.
        max_queue: events that may wait; 0: any number.
        flush_secs: after which written events are made durable.
        graph_def: the old name of ``graph``.
        filename_suffix: the end of the file's name.
        session: must be None.
    """

    def __init__(
        self,
        logdir: PathLike,
        graph: Any = None,
        max_queue: int = 10,
        flush_secs: float = 120,
        graph_def: Any = None,
        filename_suffix: str | None = None,
        session: Any = None,
    ) -> None:
        if session is not None:
            raise UnimplementedError("FileWriter: session: a writer that a session runs is TensorFlow's only")
        self._logdir = os.fspath(logdir)
        self._native = _native.FileWriter(self._logdir, max_queue, float(flush_secs), filename_suffix or "")
        if graph is not None or graph_def is not None:
            self.add_graph(graph if graph is not None else graph_def)
        if isinstance(graph, Graph):
            self.add_meta_graph(MetaGraphDef.export(graph, None, None, None, False, None, False, False, False, False))

    def get_logdir(self) -> str:
        """As it was given."""
        return self._logdir

    def add_summary(self, summary: Any, global_step: int | None = None) -> None:
        """Adds a summary: what ``Session.run`` gives, a :class:`waypost.summary.Summary`, or TensorFlow's
        message.
        """
        self._native.add_summary(message_bytes(summary, "add_summary"), _step(global_step))

    def add_event(self, event: Any) -> None:
        """Adds a serialized Event, or TensorFlow's message, as it is."""
        self._native.add_event(message_bytes(event, "add_event"))

    def add_graph(self, graph: Any, global_step: int | None = None, graph_def: Any = None) -> None:
        """Adds a graph: of Waypost (saves of it count on this writer from now on), of TensorFlow, or a
        GraphDef, such as ``waypost.torch.graph_of(module)``."""
        graph = graph if graph is not None else graph_def
        step = _step(global_step)
        if isinstance(graph, Graph):
            self._native.add_graph(graph.native, step)
            return
        message = graph_def_of(graph, "add_graph")
        if isinstance(message, MetaGraphDef):
            message = message.graph_def
        self._native.add_event(graph_event(time.time(), step or 0, message.SerializeToString()))

    def add_meta_graph(self, meta_graph_def: Any, global_step: int | None = None) -> None:
        """Adds a MetaGraphDef, or its bytes."""
        self._native.add_meta_graph(message_bytes(meta_graph_def, "add_meta_graph"), _step(global_step))

    def add_session_log(self, session_log: Any, global_step: int | None = None) -> None:
        """Adds a :class:`waypost.summary.SessionLog`, or TensorFlow's message."""
        status = getattr(session_log, "status", None)
        if not isinstance(status, int):
            raise refuse("add_session_log", f"a {type(session_log).__name__} is no SessionLog")
        self._native.add_session_log(status, session_log.checkpoint_path, session_log.msg, _step(global_step))

    def add_session_start(self, global_step: int) -> None:
        """Says that the run goes on at a step, so that TensorBoard drops what an earlier run wrote at it and
        later.
        """
        self._native.add_session_start(int(global_step))

    def add_run_metadata(self, run_metadata: Any, tag: str, global_step: int | None = None) -> None:
        """Adds a serialized RunMetadata, or TensorFlow's message.

        Raises:
            InvalidArgumentError: for a tag that this writer has had.
        """
        self._native.add_run_metadata(message_bytes(run_metadata, "add_run_metadata"), tag, _step(global_step))

    def flush(self) -> None:
        """Returns when everything added before is durable."""
        self._native.flush()
        _log.hand_on()

    def close(self) -> None:
        """Flushes and closes; a second time does nothing."""
        self._native.close()
        _log.hand_on()

    def reopen(self) -> None:
        """After :meth:`close`: what is added from now on goes to a new file."""
        self._native.reopen()

    def __enter__(self) -> FileWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class FileWriterCache:
    """One FileWriter a directory, for the whole process."""

    _lock: ClassVar[threading.Lock] = threading.Lock()
    _writers: ClassVar[dict[str, FileWriter]] = {}  # Guarded by _lock.

    @staticmethod
    def get(logdir: PathLike) -> FileWriter:
        """The writer of this directory, made where there is none."""
        path = os.fspath(logdir)
        with FileWriterCache._lock:
            if path not in FileWriterCache._writers:
                FileWriterCache._writers[path] = FileWriter(path)
            return FileWriterCache._writers[path]

    @staticmethod
    def clear() -> None:
        """Closes all writers and forgets them.

        Raises:
            Error: the first one of closing, after the others are closed.
        """
        with FileWriterCache._lock:
            writers = list(FileWriterCache._writers.values())
            FileWriterCache._writers.clear()
        errors: list[Exception] = []
        for writer in writers:
            try:
                writer.close()
            except Exception as error:  # whatever it is, the others are closed too
                errors.append(error)
        if errors:
            raise errors[0]


def _step(global_step: Any) -> int | None:
    if global_step is None:
        return None
    try:
        return int(global_step.item() if hasattr(global_step, "item") else global_step)
    except (TypeError, ValueError):
        raise refuse("global_step", f"{global_step!r} is no integer") from None
