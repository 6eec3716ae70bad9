"""Publisher: checkpoints as directories that appear when they are committed, for the training loops of
others.

    DIR/.NAME.part/state.*  ─► commit ─► rename ─► DIR/NAME/state.*  ─► what the save replaces is removed

Lightning and Transformers take a path that is there for a checkpoint.  A save that was cut off leaves
``.NAME.part`` and ``.NAME.lock``, which the next save of that name clears away.  Where somebody has made DIR/NAME
meanwhile, the files are moved into it, the index last.
"""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
from collections.abc import Callable, Collection, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

from . import _leaves, _log, _tree
from .engine import Engine
from .errors import (
    AbortedError,
    AlreadyExistsError,
    Error,
    InvalidArgumentError,
    PermissionDeniedError,
    ResourceExhaustedError,
    UnavailableError,
)
from .handle import SaveHandle
from .opened import PathLike

PREFIX_NAME = "state"
INDEX_NAME = PREFIX_NAME + ".index"

ERRORS: dict[int | None, type[Error]] = {
    errno.EACCES: PermissionDeniedError,
    errno.EPERM: PermissionDeniedError,
    errno.EROFS: PermissionDeniedError,
    errno.EDQUOT: ResourceExhaustedError,
    errno.EMFILE: ResourceExhaustedError,
    errno.ENFILE: ResourceExhaustedError,
    errno.ENOSPC: ResourceExhaustedError,
    errno.EEXIST: AlreadyExistsError,
    errno.ENOTDIR: AlreadyExistsError,
    errno.ENOTEMPTY: AlreadyExistsError,
}


def prefix_of(path: PathLike) -> str:
    """The prefix of the checkpoint in directory `path`."""
    return os.path.join(os.fspath(path), PREFIX_NAME)


def optimizer_memory(optimizers: Iterable[Any]) -> set[int]:
    """The addresses of PyTorch tensors that change in an optimizer's step only: what it trains, and its
    state.
    """
    addresses: set[int] = set()
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            addresses.update(parameter.data_ptr() for parameter in group["params"])
        for state in optimizer.state.values():
            addresses.update(value.data_ptr() for value in state.values() if hasattr(value, "data_ptr"))
    return addresses


def flattened(tree: Any, borrowed: Collection[int] | None) -> _tree.Flattened:
    """The leaves of `tree`, with copies of the tensors that may change while the save stages.

    Args:
        borrowed: addresses of PyTorch tensors that do not; None: nothing changes.

    Raises:
        InvalidArgumentError: for what cannot be saved; its place is named.
    """
    flat = _tree.Flattened(tree)
    if borrowed is not None:
        for leaf in flat.leaves:
            is_borrowed = leaf.kind == "torch" and leaf.value.data_ptr() in borrowed
            if not leaf.is_value and not is_borrowed:
                leaf.value = _leaves.copy_of(leaf.name, leaf.value)
    return flat


class Publisher:
    """Saves trees into directories.  One thread uses it.

    Args:
        engine: that saves; None: one of its own, made with the first save, which notices also a host tensor
            that changes too early (AbortedError).
    """

    def __init__(self, engine: Engine | None = None) -> None:
        self._own_engine = engine
        self._executor: ThreadPoolExecutor | None = None
        self._save: Future[None] | None = None  # the last one, until it is settled
        self._handle: SaveHandle | None = None  # its, until its error was raised
        self._after: list[Future[None]] = []

    @property
    def engine(self) -> Engine:
        """What saves and restores."""
        if self._own_engine is None:
            self._own_engine = Engine(check_stable="all")
        return self._own_engine

    def save(
        self,
        path: PathLike,
        tree: Any,
        *,
        borrowed: Collection[int] | None = None,
        fill: Callable[[str], None] | None = None,
        wait: bool = True,
    ) -> None:
        """Saves `tree` as the checkpoint in directory `path`, replacing one that is there.

        Args:
            borrowed: see :func:`flattened`; for saves that are not waited for.
            fill: writes more files into the directory that it is given, ahead of the save.
            wait: until the checkpoint is committed and `path` is there.  Else :meth:`wait_staged` must return
                before what was borrowed changes, and :meth:`settle` tells how it ended.

        Raises:
            AbortedError: when another publisher, of this process or another, is saving to `path`.
            Error: of this save, or of an earlier one that nobody waited for.
        """
        self.settle()
        path = os.path.abspath(path)
        if os.path.lexists(path) and not os.path.isdir(path) and not os.path.islink(path):
            raise AlreadyExistsError(f"save {path}: a file is there; Waypost's checkpoint is a directory")
        flat = flattened(tree, None if wait else borrowed)
        with ExitStack() as alone:
            alone.enter_context(_PathLock(path))
            # In place where there is a directory: its checkpoint is replaced by one rename, and never missing.
            part = _hidden(path, "part")
            directory = path if os.path.isdir(path) and not os.path.islink(path) else part
            # Of a save that was cut off.
            shutil.rmtree(part, ignore_errors=True)
            with _errors_of("save", path):
                os.makedirs(directory, exist_ok=True)
            if fill is not None:
                fill(directory)
            if wait:
                self.engine.save(prefix_of(directory), flat, progress=False, update_state=False)
                _publish(directory, path)
                return
            handle = self.engine.save_async(prefix_of(directory), flat, update_state=False)
            until_published = alone.pop_all()

        def publish() -> None:
            with until_published:
                handle.wait_finished()
                _publish(directory, path)

        self._handle = handle
        try:
            self._save = self._submit(publish)
        except BaseException:
            until_published.close()
            raise

    def wait_staged(self) -> None:
        """Waits until the save under way reads no tensor any more; raises its error, once."""
        if self._handle is None:
            return
        try:
            self._handle.wait_staged()
        except Error:
            self._handle = None
            raise

    def then(self, action: Callable[[], None]) -> None:
        """Runs `action` once the last save is published, and never if it fails: a removal must not come
        before it.
        """
        save = self._save
        if save is None:
            action()
            return

        def after() -> None:
            if save.exception() is None:
                action()

        self._after.append(self._submit(after))

    def settle(self) -> None:
        """Waits until all is published and removed; raises the first error that nobody has seen."""
        pending = [] if self._save is None else [self._save, *self._after]
        for future in pending:
            future.exception()
        was_raised = self._handle is None
        self._save, self._handle, self._after = None, None, []
        if pending:
            self._shut_down()
        for future in pending[1:] if was_raised else pending:
            future.result()

    def settle_logged(self) -> None:
        """:meth:`settle`, for where a save's error must not stand in the way: it is logged."""
        try:
            self.settle()
        except Error as error:
            _log.LOGGER.error("%s", error)

    def _submit(self, action: Callable[[], None]) -> Future[None]:
        if self._executor is None:
            self._executor = ThreadPoolExecutor(1, thread_name_prefix="waypost-publish")
        return self._executor.submit(action)

    def _shut_down(self) -> None:
        # Nothing runs any more: an object without a thread can be pickled to a worker, and forked.
        if self._executor is not None:
            self._executor.shutdown()
            self._executor = None

    def __getstate__(self) -> dict[str, Any]:
        self.settle()
        return {**self.__dict__, "_own_engine": None}


def remove(path: PathLike) -> None:
    """Removes the checkpoint `path`, a directory, link or file; it is gone at once or not at all.  Nothing
    there is no error.

    Raises:
        PermissionDeniedError, UnavailableError: where the file system refuses.
    """
    path = os.path.abspath(path)
    with _errors_of("remove", path):
        if os.path.isdir(path) and not os.path.islink(path):
            hidden = _hidden(path, "removed")
            shutil.rmtree(hidden, ignore_errors=True)
            os.rename(path, hidden)
            shutil.rmtree(hidden)
        elif os.path.lexists(path):
            os.unlink(path)


def _hidden(path: str, what: str) -> str:
    directory, name = os.path.split(path)
    if not name:
        raise InvalidArgumentError(f"save {path}: no name for a checkpoint")
    # Lightning takes every name with "ckpt_" in it for a checkpoint and reads its number, whatever stands before and
    # behind: it would go on from a checkpoint that is not there.
    return os.path.join(directory, f".{name.replace('ckpt_', 'ckpt%5F')}.{what}")


class _PathLock:
    """Keeps other publishers, of whatever process, away from `path`, by the lock of a file beside it.

    Where the file system knows no locks, nobody is kept away.  Never released by being garbage: in a forked child that
    would be the parent's lock.

    Raises:
        AbortedError: on entering, when another one is there.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._name = _hidden(path, "lock")
        self._descriptor: int | None = None

    def __enter__(self) -> None:
        with _errors_of("save", self._path):
            os.makedirs(os.path.dirname(self._path), exist_ok=True)
            self._descriptor = _locked(self._name)
        if self._descriptor is None:
            raise AbortedError(f"save {self._path}: it is being saved by another ({self._name})")

    def __exit__(self, *error: object) -> None:
        assert self._descriptor is not None
        with suppress(OSError):
            os.unlink(self._name)
        # A forked child has the descriptor, too: its closing alone would not give the lock back.
        with suppress(OSError):
            fcntl.flock(self._descriptor, fcntl.LOCK_UN)
        os.close(self._descriptor)


def _locked(name: str) -> int | None:
    """A descriptor of the file, made if need be, with its lock; None where somebody else has it."""
    while True:
        descriptor = os.open(name, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
                os.close(descriptor)
                return None
        # Whoever had it may have removed it before this lock was taken.
        with suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(descriptor), os.stat(name)):
                return descriptor
        os.close(descriptor)


def _publish(directory: str, path: str) -> None:
    if directory == path:
        return
    with _errors_of("save", path, f"; its files are in {directory} until the next save to this path"):
        # The checkpoint is on the drive; what others wrote beside it is not yet.
        for entry in os.scandir(directory):
            _sync(entry.path)
        _sync(directory)
        if os.path.islink(path):
            os.unlink(path)
        try:
            os.rename(directory, path)
        except OSError as error:
            if error.errno not in (errno.EEXIST, errno.ENOTEMPTY):
                raise
            _move_into(directory, path)
        _sync(os.path.dirname(path))


def _move_into(directory: str, path: str) -> None:
    """Moves a checkpoint into a directory that others have made and written to."""
    index = os.path.join(path, INDEX_NAME)
    if os.path.lexists(index):
        raise FileExistsError(errno.EEXIST, "another checkpoint was saved there meanwhile", index)
    for name in os.listdir(directory):
        # Of a checkpoint that has no index there is nothing to be kept.
        if name.startswith(PREFIX_NAME + ".") and name != INDEX_NAME:
            os.replace(os.path.join(directory, name), os.path.join(path, name))
    _add_missing(directory, path)
    # Before the index, without which there is no checkpoint.
    _sync(path)
    os.replace(os.path.join(directory, INDEX_NAME), index)
    _sync(path)
    shutil.rmtree(directory)


def _add_missing(directory: str, path: str) -> None:
    """Moves what `path` has not; what others have written there is newer, and stays."""
    for entry in list(os.scandir(directory)):
        target = os.path.join(path, entry.name)
        if entry.name == INDEX_NAME:
            continue
        if not os.path.lexists(target):
            os.rename(entry.path, target)
        elif entry.is_dir(follow_symlinks=False) and os.path.isdir(target):
            _add_missing(entry.path, target)


@contextmanager
def _errors_of(operation: str, path: str, note: str = "") -> Iterator[None]:
    """Makes an error of the file system one of Waypost's."""
    try:
        yield
    except Error:
        raise
    except OSError as error:
        raise ERRORS.get(error.errno, UnavailableError)(f"{operation} {path}: {error}{note}") from error


def _sync(path: str) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
