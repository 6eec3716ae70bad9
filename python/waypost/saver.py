"""Saver: TensorFlow 1's tf.train.Saver, over variables, trees, modules and TensorFlow's own sessions."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from . import _log, _native
from ._arguments import path_of, step_of
from ._leaves import refuse
from ._mirror import TreeContent
from ._objects import restore_into, with_states
from ._savers import Savers
from ._tensorflow import is_session
from .engine import Engine, Staging, complete, default_engine, finish_restore
from .errors import InvalidArgumentError, UnimplementedError
from .graph import Graph, get_default_graph
from .handle import LOOK_SECONDS, SaveHandle
from .meta_graph import MetaGraphDef
from .opened import PathLike
from .session import Session

__all__ = ["Saver", "SaverDef"]

SaverDef = _native.SaverDef


class Saver:
    """Saves and restores under TensorFlow's names, with its state file, retention and meta graph.

    What is saved is given to :meth:`save` as ``sess``:

    * a :class:`waypost.train.Session`: the variables of its graph, or those of ``var_list``;
    * a ``torch.nn.Module``, an optimizer, or a tree (:func:`waypost.save`) that may hold such: its tensors
      under their names in the tree, numbers and other values as scalars, and what they were under
      ``_WAYPOST_TREE``.  Nothing is copied, and a module is restored in place;
    * a ``tf.compat.v1.Session``: its variables' values, under the names that TensorFlow's Saver gives them,
      with TensorFlow's own graph as ``.meta``.

    A saver that is made where the default graph has no variables, and is given none, is one of whatever it
    is first used with. For one thread at a time.

    Args:
        var_list: None: all; a list of variables, or a dict from names in the checkpoint to them (of a
            partitioned one a list of its slices), of Waypost or of TensorFlow.
        reshape: restores also where the checkpoint's shape differs, if it has as many elements.
        sharded: one data file for each device.
        max_to_keep: how many checkpoints stay; None or 0: all.
        keep_checkpoint_every_n_hours: one for each such interval stays for ever.
        name: scope of the saver's nodes in the graph; None: "save".
        restore_sequentially: one tensor is read after the other.
        saver_def: uses the nodes that it names, which the graph has.
        builder: must be None.
        defer_build: :meth:`build` makes the saver, of all variables of the graph then.
        allow_empty: a graph without variables is no error: only the meta graph is written.
        write_version: 2, or 1 for TensorFlow's old format.
        pad_step_number: the step has at least eight digits.
        save_relative_paths: the state file's paths are relative to its directory.
        filename: default of the node that is fed the path; None: "model".
        shard_bytes, storage_dirs, verify_before_delete, staging: as for :meth:`waypost.Engine.save_async`.
        engine: None: the session's, or the process's.

    Raises:
        InvalidArgumentError: (a ValueError) for what TensorFlow refuses: nothing to save, two variables of
        one name, slices
            mixed with whole variables; for a negative ``max_to_keep``.
    """

    def __init__(
        self,
        var_list: Any = None,
        reshape: bool = False,
        sharded: bool = False,
        max_to_keep: int | None = 5,
        keep_checkpoint_every_n_hours: float = 10000.0,
        name: str | None = None,
        restore_sequentially: bool = False,
        saver_def: SaverDef | None = None,
        builder: Any = None,
        defer_build: bool = False,
        allow_empty: bool = False,
        write_version: int = 2,
        pad_step_number: bool = False,
        save_relative_paths: bool = False,
        filename: str | None = None,
        *,
        shard_bytes: int = 0,
        storage_dirs: Sequence[PathLike] = (),
        verify_before_delete: bool = False,
        staging: Staging = "lazy",
        engine: Engine | None = None,
    ) -> None:
        if builder is not None:
            raise UnimplementedError("Saver: builder: only C++ has builders of a saver's nodes")
        if max_to_keep is not None and max_to_keep < 0:
            raise refuse("Saver", f"max_to_keep {max_to_keep}: it is negative")
        self._reshape = reshape
        self._sequentially = restore_sequentially
        self._engine = engine
        self._options: dict[str, Any] = {
            "reshape": reshape,
            "sharded": sharded,
            "max_to_keep": max_to_keep or 0,
            "keep_checkpoint_every_n_hours": keep_checkpoint_every_n_hours,
            "name": name or "",
            "restore_sequentially": restore_sequentially,
            "saver_def": saver_def,
            "defer_build": defer_build,
            "allow_empty": allow_empty,
            "write_version": int(write_version),
            "pad_step_number": pad_step_number,
            "save_relative_paths": save_relative_paths,
            "filename": filename or "",
            "shard_bytes": shard_bytes,
            "storage_dirs": [os.fspath(directory) for directory in storage_dirs],
            "verify_before_delete": verify_before_delete,
            "staging": staging,
        }
        if defer_build and var_list:
            raise refuse("Saver", "defer_build: a saver of a var_list is built at once")
        self._last: SaveHandle | None = None
        self._savers = Savers(var_list, self._options)
        if self._savers.builds_at_once(get_default_graph()):
            self._savers.build_in(get_default_graph())

    # ---- TensorFlow's methods ----

    def build(self) -> None:
        """What ``defer_build`` put off."""
        self._savers.build_in(get_default_graph())

    def save(
        self,
        sess: Any,
        save_path: str | bytes,
        global_step: Any = None,
        latest_filename: str | None = None,
        meta_graph_suffix: str = "meta",
        write_meta_graph: bool = True,
        write_state: bool = True,
        strip_default_attrs: bool = False,
        save_debug_info: bool = False,
    ) -> str | None:
        """Saves and waits until the checkpoint is durable and old ones are gone; returns its path.

        Args:
            sess: what is saved, see the class.
            save_path: the files' prefix.
            global_step: appended as "-STEP": an integer, or a variable of an integer.
            latest_filename: name of the state file in the checkpoint's directory; None: "checkpoint".
            meta_graph_suffix: of ``PREFIX.meta``.
            write_meta_graph: whether that is written.
            write_state: False: the state file is not written, and the checkpoint is never counted or deleted.
            strip_default_attrs: the graph's nodes leave out attributes that have their default.
            save_debug_info: must be False.

        Returns:
            What :meth:`restore` takes; None for a saver of nothing.

        Raises:
            InvalidArgumentError: for a path, step or ``latest_filename`` that TensorFlow refuses, and for
            what cannot be saved. FailedPreconditionError: for a variable that is not initialised, or
            undefined since a failed restore. Error: of the save; of an earlier one that failed and nobody
            waited for.
        """
        handle = self.save_async(
            sess,
            save_path,
            global_step,
            latest_filename,
            meta_graph_suffix,
            write_meta_graph,
            write_state,
            strip_default_attrs,
            save_debug_info,
        )
        complete(handle, progress=False)
        return handle.prefix or None

    def save_async(
        self,
        sess: Any,
        save_path: str | bytes,
        global_step: Any = None,
        latest_filename: str | None = None,
        meta_graph_suffix: str = "meta",
        write_meta_graph: bool = True,
        write_state: bool = True,
        strip_default_attrs: bool = False,
        save_debug_info: bool = False,
    ) -> SaveHandle:
        """:meth:`save` that returns at once, after the save before it is committed.

        The tensors must not change before the handle's, or this saver's, ``wait_staged`` has returned.
        """
        if save_debug_info:
            raise UnimplementedError("save: save_debug_info: there are no frames of Python to be written")
        path = path_of(save_path)
        self._settle()
        arguments = (
            step_of(sess, global_step),
            latest_filename or "",
            meta_graph_suffix,
            write_meta_graph,
            write_state,
            strip_default_attrs,
        )
        if isinstance(sess, Session):
            saver = self._savers.of_graph(sess.graph)
            native = saver.save_async(sess.ready(), path, sess.stream(), *arguments, b"")
            return self._track(sess.engine, native, sess)
        engine = self._engine or default_engine()
        if is_session(sess):
            variables = self._savers.variables_of(sess.graph)
            request, meta = variables.values(engine, sess), b""
            if write_meta_graph:
                meta = variables.meta_graph(self._options_of_tensorflow(), strip_default_attrs)
            specs = variables.specs
        else:
            content = TreeContent(engine, with_states(sess))
            request, specs, meta = content.request, content.specs, b""
        mirror = self._savers.of_specs(specs)
        session = mirror.bound(engine, request.references, request)
        native = mirror.saver.save_async(session, path, request.stream(), *arguments, meta)
        return self._track(engine, native, [session, request])

    def wait_staged(self) -> None:
        """Returns when no save of this saver reads its tensors any more; raises the last one's error."""
        if self._last is not None:
            self._last.wait_staged()

    def wait_committed(self) -> None:
        """Returns when the last save is durable; raises its error."""
        if self._last is not None:
            self._last.wait_committed()

    def restore(self, sess: Any, save_path: str | bytes | None) -> Any:
        """Fills what ``sess`` holds from a checkpoint, every byte checked.

        Args:
            sess: a session of Waypost or TensorFlow, whose variables need not be initialised; a module, an
                optimizer or a tree: tensors are filled in place, and values in dicts and lists replaced.
            save_path: of a checkpoint of either format, TensorFlow's too.

        Returns:
            None for a session; else ``sess``, in which tuples that hold values are made anew.

        Raises:
            InvalidArgumentError: for None as path, for a path of something else, and for other dtypes or shapes.
            NotFoundError: for a path that names no checkpoint, and for names that it does not have, all
            named. DataLossError: for a damaged checkpoint.
        """
        if save_path is None:
            raise InvalidArgumentError("restore: save_path is None")
        path = path_of(save_path)
        self.wait_staged()
        try:
            return self._restore(sess, path)
        finally:
            _log.hand_on()

    def export_meta_graph(
        self,
        filename: str | None = None,
        collection_list: Sequence[str] | None = None,
        as_text: bool = False,
        export_scope: str | None = None,
        clear_devices: bool = False,
        clear_extraneous_savers: bool = False,
        strip_default_attrs: bool = False,
        save_debug_info: bool = False,
    ) -> MetaGraphDef:
        """The graph with this saver; see :func:`waypost.train.export_meta_graph`."""
        graph = self._savers.graph or get_default_graph()
        return MetaGraphDef.export(
            graph,
            self.to_proto(export_scope),
            filename,
            collection_list,
            as_text,
            export_scope,
            clear_devices,
            clear_extraneous_savers,
            strip_default_attrs,
            save_debug_info,
        )

    def as_saver_def(self) -> SaverDef | None:
        """Which nodes of the graph are the saver's; None while there are none."""
        return self.to_proto()

    @property
    def saver_def(self) -> SaverDef | None:
        """The same."""
        return self.to_proto()

    def to_proto(self, export_scope: str | None = None) -> SaverDef | None:
        """The same for a graph that is exported from a scope: names without it; None unless they are all in
        it.
        """
        native = self._savers.used
        return None if native is None else native.to_proto(export_scope or "")

    @staticmethod
    def from_proto(saver_def: SaverDef, import_scope: str | None = None) -> Saver:
        """A saver by nodes that the default graph has, below ``import_scope``."""
        return Saver(saver_def=saver_def, name=import_scope)

    @property
    def last_checkpoints(self) -> list[str]:
        """Prefixes that retention counts, oldest first."""
        native = self._savers.used
        return [] if native is None else native.last_checkpoints()

    def set_last_checkpoints(self, last_checkpoints: Sequence[str]) -> None:
        """Replaces what retention counts; these are never deleted."""
        if not isinstance(last_checkpoints, list):
            raise refuse("set_last_checkpoints", f"a {type(last_checkpoints).__name__} is no list")
        self._savers.remember(lambda native: native.set_last_checkpoints(list(last_checkpoints)))

    def set_last_checkpoints_with_time(self, last_checkpoints_with_time: Sequence[tuple[str, float]]) -> None:
        """Replaces what retention counts: pairs of a prefix and the seconds since 1970 of its save, oldest
        first.
        """
        if not isinstance(last_checkpoints_with_time, list):
            raise refuse("set_last_checkpoints_with_time", f"a {type(last_checkpoints_with_time).__name__} is no list")
        self._savers.remember(lambda native: native.set_last_checkpoints_with_time(list(last_checkpoints_with_time)))

    def recover_last_checkpoints(self, checkpoint_paths: Sequence[str]) -> None:
        """After a restart: takes up those that exist, so that retention counts them again."""
        self._savers.remember(lambda native: native.recover_last_checkpoints(list(checkpoint_paths)))

    # ---- Inside ----

    @classmethod
    def of_native(cls, graph: Graph, native: _native.Saver) -> Saver:
        """That of an imported meta graph, for the package's own use."""
        saver = cls.__new__(cls)
        with Graph().as_default():
            saver.__init__()  # type: ignore[misc]
        saver._savers.take(graph, native)
        return saver

    def _options_of_tensorflow(self) -> dict[str, Any]:
        names = (
            "reshape",
            "sharded",
            "max_to_keep",
            "keep_checkpoint_every_n_hours",
            "restore_sequentially",
            "pad_step_number",
            "save_relative_paths",
            "write_version",
        )
        return {name: self._options[name] for name in names} | {"name": self._options["name"] or None}

    def _restore(self, sess: Any, path: str) -> Any:
        if isinstance(sess, Session):
            saver = self._savers.of_graph(sess.graph)
            finish_restore(saver.start_restore(sess.to_restore(), path, sess.stream()), path)
            sess.pull_strings()
            return None
        engine = self._engine or default_engine()
        if not is_session(sess):
            return restore_into(engine, path, sess, reshape=self._reshape, restore_sequentially=self._sequentially)
        variables = self._savers.variables_of(sess.graph)
        mirror = self._savers.of_specs(variables.specs)
        arrays, request = variables.empty(engine)
        finish_restore(mirror.saver.start_restore(mirror.bound(engine, request.references, request), path, 0), path)
        request.finish()
        variables.assign(sess, arrays)
        return None

    def _track(self, engine: Engine, native: _native.SaveHandle, owners: Any) -> SaveHandle:
        self._last = engine.track(native, [owners])
        return self._last

    def _settle(self) -> None:
        """Waits for the save before, in a wait that Ctrl-C ends; raises its error if nobody has seen it."""
        if self._last is None:
            return
        while not self._last.poll_committed(LOOK_SECONDS):
            continue
        self._last.raise_unseen_error()
