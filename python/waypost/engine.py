"""Engine: saves and restores trees of tensors."""

from __future__ import annotations

import atexit
import inspect
import os
import threading
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Literal, TypeVar

from . import _log, _native, _tree
from ._request import Request, RestorePlan, replaced
from .errors import Error
from .handle import LOOK_SECONDS, SaveHandle
from .opened import OpenCheckpoint, PathLike, Source, opened
from .progress import bar

__all__ = ["Engine", "default_engine", "restore", "save", "save_async", "settle", "updating"]

Tree = TypeVar("Tree")
F = TypeVar("F", bound=Callable[..., Any])
Staging = Literal["lazy", "full_copy", "device_copy"]
CheckStable = Literal["devices", "all", "none"]


class Engine:
    """Owns the staging ring and the threads that do its I/O.  One per process is usual (:func:`default_engine`).

    Any thread may use it.  One save at a time has the data path; restores share the ring with it.  After ``fork`` a
    child cannot use its parent's engine (FailedPreconditionError); the functions of the package make it one of its own.

    Args:
        staging_bytes: memory of the ring, at least 16 MiB; what a save or restore takes beside the tensors.
        io_threads: I/O threads for each drive that is written to, 1 to 64.
        write_bytes_per_second_max: the most bytes a second that saves write; 0: no cap.
        check_stable: whose tensors are summed once more after the last was staged, so that a job that changes one too
            early
            gets AbortedError instead of a mixture: those of accelerators ("devices"), "all", or "none".

    Raises:
        InvalidArgumentError: for values out of range.
        ResourceExhaustedError: when memory is short.
    """

    def __init__(
        self,
        *,
        staging_bytes: int = 64 << 20,
        io_threads: int = 1,
        write_bytes_per_second_max: int = 0,
        check_stable: CheckStable = "devices",
    ) -> None:
        self.native = _native.Engine(staging_bytes, io_threads, write_bytes_per_second_max, check_stable)
        self.accelerators = frozenset(self.native.accelerators())
        self._lock = threading.Lock()
        self._handles: list[SaveHandle] = []  # Guarded by _lock: those that were not committed when last looked at
        self._pid = os.getpid()
        _engines.add(self)
        _log.hand_on()

    def close(self) -> None:
        """Waits until its saves have finished, and gives ring and threads back.

        Raises:
            Error: of a save that failed and nobody waited for.
        """
        try:
            self.settle()
        finally:
            self.native.close()
            _log.hand_on()

    def __enter__(self) -> Engine:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    # ---- Saving ----

    def save_async(
        self,
        prefix: PathLike,
        tree: Any,
        *,
        sharded: bool = False,
        shard_bytes: int = 0,
        storage_dirs: Sequence[PathLike] = (),
        staging: Staging = "lazy",
        verify_before_delete: bool = False,
        update_state: bool = True,
        max_to_keep: int = 0,
        meta_graph: bytes = b"",
    ) -> SaveHandle:
        """Starts a save of ``tree`` as checkpoint ``prefix`` and returns at once; missing directories are made.

        The tensors are borrowed, whether on the host or on a GPU, and must not change before the handle's
        ``wait_staged`` has returned.  Numbers, strings and small host tensors are copied here.  The work that is on
        PyTorch's current stream is part of what is saved.

        Waits for an earlier save of this engine to be committed, and raises its error if it failed and nobody waited.

        Args:
            prefix: a path; the files are ``PREFIX.index`` and ``PREFIX.data-SSSSS-of-NNNNN``.
            tree: nested dicts (keys ``str`` or ``int``), lists and tuples of tensors (PyTorch, NumPy, JAX, any DLPack
                array), ``int``, ``float``, ``complex``, ``bool``, ``str``, ``bytes`` and None.
            sharded: one data file for each device.
            shard_bytes: a data file with more bytes is cut between tensors; 0: none is.
            storage_dirs: directories on other drives that the data files are spread over.  They must exist.
            staging: "lazy": through the ring at the drive's pace; "full_copy": into memory of the state's size, at
                memory speed; "device_copy": within the GPU's own memory, where there is as much.
            verify_before_delete: everything is read back and checked before the commit.
            update_state: the file ``checkpoint`` in the prefix's directory names it as the latest
                (:func:`waypost.latest`).
            max_to_keep: how many checkpoints that the file names stay, those of earlier runs among them; 0: all.
            meta_graph: a serialized MetaGraphDef, written as ``PREFIX.meta`` and committed with the checkpoint.

        Raises:
            InvalidArgumentError: for what cannot be saved (the place in the tree is named), two leaves of one name.
            AbortedError: when another process or engine is saving this prefix.
            ResourceExhaustedError: for a full copy that memory has no room for.
        """
        request = self.request_of(tree)
        return self.save_tensors(
            prefix,
            request.references,
            request.owners,
            stream=request.stream(),
            sharded=sharded,
            shard_bytes=shard_bytes,
            storage_dirs=storage_dirs,
            staging=staging,
            verify_before_delete=verify_before_delete,
            latest_filename="" if update_state else None,
            max_to_keep=max_to_keep,
            meta_graph=meta_graph,
        )

    def request_of(self, tree: Any) -> Request:
        """What a save of ``tree`` takes, its values as of now, its tensors borrowed; for the package's own use.

        Args:
            tree: as :meth:`save_async` takes it, or the leaves of one that were gone over.
        """
        flat = tree if isinstance(tree, _tree.Flattened) else _tree.Flattened(tree)
        request = self.new_request()
        for leaf in flat.leaves:
            request.add_leaf(leaf)
        request.add_strings(_tree.ENTRY, (), [flat.text()])
        return request

    def new_request(self) -> Request:
        """An empty request to this engine, for the package's own use."""
        return Request(self.accelerators)

    def save_tensors(
        self,
        prefix: PathLike,
        tensors: list[_native.TensorRef],
        owners: list[Any],
        *,
        stream: int = 0,
        sharded: bool = False,
        shard_bytes: int = 0,
        storage_dirs: Sequence[PathLike] = (),
        staging: Staging = "lazy",
        verify_before_delete: bool = False,
        latest_filename: str | None = None,
        max_to_keep: int = 0,
        meta_graph: bytes = b"",
    ) -> SaveHandle:
        """:meth:`save_async` of tensors as the engine takes them, for the package's own use.

        ``owners`` keep the memory until the save is staged.
        """
        self.settle()
        slot, kept = _native.SaveSlot(), [tensors, owners]
        try:
            self.native.save_async(
                slot,
                os.fspath(prefix),
                tensors,
                stream,
                sharded,
                shard_bytes,
                [os.fspath(directory) for directory in storage_dirs],
                staging,
                verify_before_delete,
                meta_graph,
                latest_filename,
                max_to_keep,
            )
            return self.track(_started(slot), kept)
        except BaseException:
            # Ctrl-C when the save had been started: nobody has its handle, and its memory must stay until it is let go.
            if slot.save is not None:
                slot.save.cancel()
                self.track(slot.save, kept)
            raise

    def track(self, native: _native.SaveHandle, owners: list[Any]) -> SaveHandle:
        """The handle of a save that was started on this engine, for the package's own use."""
        handle = SaveHandle(native, owners)
        with self._lock:
            self._handles.append(handle)
            handles = list(self._handles)
        # A Saver's saves are not settled here.  Not under the lock: memory that goes may run anything.
        settled = {each for each in handles if each.is_settled()}
        with self._lock:
            self._handles = [each for each in self._handles if each not in settled]
        _log.hand_on()
        return handle

    def save(self, prefix: PathLike, tree: Any, *, progress: bool | None = None, **options: Any) -> SaveHandle:
        """:meth:`save_async`, and waits until the checkpoint is committed and old files are gone.

        Args:
            progress: a bar: None where standard error is a terminal, True always, False never.
            options: those of :meth:`save_async`.
        """
        handle = self.save_async(prefix, tree, **options)
        complete(handle, progress)
        return handle

    def merge(self, parts: Sequence[PathLike], prefix: PathLike) -> None:
        """Makes checkpoint ``prefix`` of the checkpoints ``parts``, which several processes have saved.

        No tensor is read or copied.  The parts lie in the directory of ``prefix`` and are gone when this returns; an
        older checkpoint of ``prefix`` is replaced, by one rename.  Slices of one tensor may come from several parts.

        Raises:
            InvalidArgumentError: for tensors of two parts that do not go together, all named.
            NotFoundError: for a part that is not there.
            AbortedError: when another process or engine saves to one of these prefixes.
            DataLossError: for a part that is damaged.
        """
        self.native.merge([os.fspath(part) for part in parts], os.fspath(prefix))
        _log.hand_on()

    def list_checkpoint(self, prefix: PathLike, *, max_to_keep: int = 0) -> None:
        """Names a checkpoint that is there as the latest of its directory (:func:`waypost.latest`), as a save does.

        Args:
            max_to_keep: how many checkpoints that the file names stay; 0: all.

        Raises:
            NotFoundError: when there is no such checkpoint.
        """
        self.native.list_checkpoint(os.fspath(prefix), max_to_keep)
        _log.hand_on()

    def settle(self) -> None:
        """Waits until the saves under way are committed; raises the error of one that failed and nobody waited for."""
        with self._lock:
            handles = list(self._handles)
        for handle in handles:
            # Errors are raised below; the wait itself is one that Ctrl-C ends.
            while not handle.poll_committed(LOOK_SECONDS):
                continue
        with self._lock:
            self._handles = [handle for handle in self._handles if not handle.done]
        for handle in handles:
            handle.raise_unseen_error()

    def wait_staged(self) -> None:
        """Waits until no save under way reads its tensors any more, so that they may change.

        Call it before ``optimizer.step()``, and before a forward pass that writes buffers of the state in place, or
        let :meth:`updating` do it.

        Raises:
            Error: of a save that failed and whose error nobody has seen yet.
        """
        self._let_go()
        with self._lock:
            handles = list(self._handles)
        for handle in handles:
            handle.raise_unseen_error()

    def _let_go(self) -> None:
        """Waits until no save reads its tensors."""
        with self._lock:
            handles = list(self._handles)
        for handle in handles:
            while not handle.poll_staged(LOOK_SECONDS):
                continue

    @contextmanager
    def updating(self) -> Iterator[None]:
        """``with engine.updating(): optimizer.step()``: :meth:`wait_staged` comes first.

        Where a forward pass writes buffers of the state in place (BatchNorm's statistics, codebooks), it belongs in
        such a block, too, unless copies of them were saved.
        """
        self.wait_staged()
        yield

    # ---- Restoring ----

    def restore(
        self,
        prefix: Source,
        into: Tree,
        *,
        verify_first: bool = False,
        restore_sequentially: bool = False,
        reshape: bool = False,
        threads_max: int = 0,
        progress: bool | None = None,
    ) -> Tree:
        """Fills the tensors of ``into`` in place from checkpoint ``prefix``, every byte checked; returns ``into``.

        Numbers, strings and other values in its dicts and lists are replaced by the checkpoint's; tuples that hold
        some are made anew, which shows in what is returned.  ``into`` may be a part of the saved tree, at its place.
        It works for any TensorFlow checkpoint too, by the names of its tensors.

        Args:
            prefix: of a checkpoint, or one that is open (:class:`waypost.OpenCheckpoint`).
            verify_first: everything is read and checked before anything is changed; reads twice.
            restore_sequentially: a tensor is read only when the one before it is assigned; takes less memory.
            reshape: a tensor may have another shape in the checkpoint, if it has as many elements.
            threads_max: threads that read at once; 0: as makes sense.
            progress: a bar: None where standard error is a terminal, True always, False never.

        Raises:
            NotFoundError: for a checkpoint or tensors that are not there, all named.
            InvalidArgumentError: for dtypes or shapes that differ, all named, and for targets that cannot be filled.
            DataLossError: for a damaged checkpoint; names file, tensor and offset.  What was changed by then is in its
                ``assigned`` and ``undefined``.
        """
        checkpoint = opened(prefix)
        plan = RestorePlan(self.accelerators, checkpoint, _tree.Flattened(into))
        self.restore_tensors(
            checkpoint,
            plan.request,
            verify_first=verify_first,
            restore_sequentially=restore_sequentially,
            reshape=reshape,
            threads_max=threads_max,
            progress=progress,
        )
        values = plan.values()
        filled: Tree = replaced(into, (), values)
        return filled

    def restore_tensors(
        self,
        checkpoint: OpenCheckpoint,
        request: Request,
        *,
        verify_first: bool = False,
        restore_sequentially: bool = False,
        reshape: bool = False,
        threads_max: int = 0,
        progress: bool | None = False,
    ) -> None:
        """:meth:`restore` of what a request holds, for the package's own use."""
        self._let_go()
        job = self.native.start_restore(
            checkpoint.reader,
            request.references,
            request.stream(),
            restore_sequentially,
            reshape,
            verify_first,
            threads_max,
        )
        finish_restore(job, checkpoint.prefix, request.bytes_total * (2 if verify_first else 1), progress)
        request.finish()


def finish_restore(job: _native.RestoreJob, prefix: str, total: int = 0, progress: bool | None = False) -> None:
    """Waits until a restore has ended; Ctrl-C stops it.  For the package's own use."""
    shown = bar(f"restore {prefix}", progress)
    try:
        while not job.wait(LOOK_SECONDS):
            shown.update(min(job.bytes_done, total), total)
    except Error:
        raise
    except BaseException as interrupt:
        # It goes on writing until it has ended; what it has changed by then is the interrupt's cause.
        job.stop()
        raise interrupt from _end_of(job)
    finally:
        shown.close()
        _log.hand_on()


def complete(handle: SaveHandle, progress: bool | None = False) -> None:
    """Waits until the save has finished; where the wait is broken off, as by Ctrl-C, the save is cancelled if possible.

    The caller is free to change the tensors once the exception is raised.
    """
    try:
        handle.wait_committed(progress=progress)
    except BaseException:
        handle.cancel()
        while handle.state in ("planned", "staging"):
            try:
                handle.wait_staged()
            except (Error, KeyboardInterrupt):
                continue
        raise
    handle.wait_finished()


def _end_of(job: _native.RestoreJob) -> Error | None:
    while True:
        try:
            if job.wait(LOOK_SECONDS):
                return None
        except Error as error:
            return error
        except KeyboardInterrupt:
            continue  # it is ending already


def _started(slot: _native.SaveSlot) -> _native.SaveHandle:
    assert slot.save is not None
    return slot.save


# ---- The end of the process ----

_engines: weakref.WeakSet[Engine] = weakref.WeakSet()


@atexit.register
def _close_all() -> None:
    """Waits for the saves under way; errors that nobody has waited for are logged: nobody is left to raise them to."""
    for engine in list(_engines):
        if engine._pid != os.getpid():
            continue
        try:
            engine.close()
        except Error as error:
            _log.LOGGER.error("%s", error)


# ---- The engine of those who make none ----

_default_lock = threading.Lock()


def _unlock_in_child() -> None:
    """The thread that held the lock is not in a forked child."""
    global _default_lock
    _default_lock = threading.Lock()


os.register_at_fork(after_in_child=_unlock_in_child)
_default: tuple[int, Engine] | None = None


def default_engine() -> Engine:
    """The engine that the functions of the package use; made with the first call, in a forked child anew."""
    global _default
    with _default_lock:
        if _default is None or _default[0] != os.getpid():
            _default = (os.getpid(), Engine())
        return _default[1]


def _of_default_engine(method: Callable[..., Any], *options_of: Callable[..., Any]) -> Callable[[F], F]:
    """Gives a function the docstring of an engine's method and, for ``help()``, its parameters by name."""

    def describe(function: F) -> F:
        own = [item for item in inspect.signature(method).parameters.values() if item.kind is not item.VAR_KEYWORD]
        for other in options_of:
            own += [item for item in inspect.signature(other).parameters.values() if item.kind is item.KEYWORD_ONLY]
        function.__doc__ = f"{method.__doc__}\n\n    Of the default engine (:func:`default_engine`)."
        function.__signature__ = inspect.Signature(own[1:])  # type: ignore[attr-defined]
        return function

    return describe


@_of_default_engine(Engine.save_async)
def save_async(prefix: PathLike, tree: Any, **options: Any) -> SaveHandle:
    return default_engine().save_async(prefix, tree, **options)


@_of_default_engine(Engine.save, Engine.save_async)
def save(prefix: PathLike, tree: Any, **options: Any) -> SaveHandle:
    return default_engine().save(prefix, tree, **options)


@_of_default_engine(Engine.restore)
def restore(prefix: Source, into: Tree, **options: Any) -> Tree:
    return default_engine().restore(prefix, into, **options)


@_of_default_engine(Engine.updating)
def updating() -> AbstractContextManager[None]:
    return default_engine().updating()


@_of_default_engine(Engine.settle)
def settle() -> None:
    default_engine().settle()
