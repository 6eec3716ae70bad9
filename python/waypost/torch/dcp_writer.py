"""DcpWriter: what torch.distributed.checkpoint saves through.

Every rank saves its items as slices into a part of its own (write_data).  The coordinator adds the structure and merges
all parts to the one checkpoint (finish); the rename that ends the merge is the commit.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import Future as StagingFuture
from typing import Any

from torch.distributed.checkpoint.metadata import Metadata
from torch.distributed.checkpoint.planner import SavePlan, SavePlanner
from torch.distributed.checkpoint.staging import AsyncStager
from torch.distributed.checkpoint.storage import StorageWriter, WriteResult
from torch.futures import Future

from .. import _tree
from .._leaves import refuse
from .._request import Request
from ..engine import Engine, complete, default_engine
from ..errors import InvalidArgumentError, UnimplementedError
from ..opened import PathLike
from ._dcp_items import add_items
from ._dcp_names import Written, tree_text
from ._dcp_parts import Parts, remove_left, remove_of_failed_saves
from ._dcp_path import CheckpointPath
from ._dcp_staging import LazyStaging, copied

__all__ = ["DcpWriter"]

StateDict = dict[str, Any]


class DcpWriter(CheckpointPath, StorageWriter, AsyncStager):
    """Saves a state of ``dcp.save`` or ``dcp.async_save`` as one checkpoint of Waypost, whatever the number of ranks.

        dcp.save(state, storage_writer=DcpWriter("ckpt/m-7"))

    The checkpoint is like one of :func:`waypost.save`: ``waypost.load`` and ``waypost.restore`` read it in one process,
    and TensorFlow does.  All ranks write into one directory, which they share.  The commit is one rename, on the
    coordinator, when every rank's part is durable; until then ``path`` is what it was before, whatever fails or is
    killed.

    A failure on any rank is raised on every rank, as DCP's ``CheckpointException``.  DCP does not tell the writers of
    the other ranks of it: the parts that those have written are removed at the end of a block ``with DcpWriter(...) as
    writer:``, with the process's next save through any writer, or when the process ends.  What killed processes have
    left is removed by the next save to the path.

    A writer has one save at a time.  The group that ``dcp.async_save`` is given must be none that the job uses
    meanwhile (``process_group=dist.new_group(backend="gloo")``): DCP gathers and scatters on it from a thread.

    With ``dcp.async_save`` the writer stages, too.  By default the state is copied to host memory before ``async_save``
    returns, and may change from then on.  With ``lazy=True`` nothing is copied: before the state changes,
    ``response.staging_completion.result()``, :meth:`wait_staged`, or ``waypost.torch.guard(optimizer, writer)``, must
    have come back.

    Objects that are no tensors are kept as values (numbers, strings, bytes, bools, None, arrays, and lists, tuples and
    dicts of them); others are refused by name.  ``use_collectives=False`` is refused.

    Args:
        path: the checkpoint's prefix (files ``PREFIX.index``, ``PREFIX.data-...``), or a directory, for ``DIR/state``:
            a path that ends with a slash, or where a directory is already.  None: ``checkpoint_id`` says it.
        engine: None: the default engine.
        lazy: for ``async_save``, see above.
        update_state: the file ``checkpoint`` in the directory names it as the latest (:func:`waypost.latest`).
        max_to_keep: how many checkpoints that the file names stay; 0: all.
        shard_bytes, storage_dirs, verify_before_delete: as for :meth:`waypost.Engine.save_async`, for each rank's part.
    """

    def __init__(
        self,
        path: PathLike | None = None,
        *,
        engine: Engine | None = None,
        lazy: bool = False,
        update_state: bool = True,
        max_to_keep: int = 0,
        shard_bytes: int = 0,
        storage_dirs: Sequence[PathLike] = (),
        verify_before_delete: bool = False,
    ) -> None:
        if max_to_keep < 0:
            raise InvalidArgumentError(f"DcpWriter: max_to_keep {max_to_keep} is negative")
        super().__init__(path)
        self._engine = engine
        self._lazy = lazy
        self._update_state = update_state
        self._max_to_keep = max_to_keep
        self._options: dict[str, Any] = {
            "shard_bytes": shard_bytes,
            "storage_dirs": [os.fspath(directory) for directory in storage_dirs],
            "verify_before_delete": verify_before_delete,
        }
        self._rank = 0
        self._saving = ""  # the prefix of the save under way
        self._parts = Parts(self)
        self._staging: LazyStaging | None = None
        self._stage_error: Exception | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        # For the process of AsyncCheckpointerType.PROCESS, which gets the state staged, and an engine of its own.
        if self._lazy:
            raise UnimplementedError("DcpWriter: lazy staging is for AsyncCheckpointerType.THREAD")
        return _made, (self._path, self._update_state, self._max_to_keep, self._options)

    def wait_staged(self) -> None:
        """Waits until the tensors of a lazy ``async_save`` may change; raises the save's error."""
        staging = self._staging
        if staging is None:
            return
        try:
            staging.wait()
        finally:
            # An error is raised once, not with each step from then on.
            if self._staging is staging:
                self._staging = None

    # ---- AsyncStager ----

    @property
    def should_synchronize_after_execute(self) -> bool:
        """False: what :meth:`stage` returns needs no further call."""
        return False

    def stage(self, state_dict: StateDict) -> StagingFuture[StateDict] | StateDict:
        """A copy of the state; with ``lazy`` the state itself, and a future that is done when it may change."""
        try:
            if not self._lazy:
                return copied(state_dict)
            self._staging = LazyStaging(state_dict)
            return self._staging
        except Exception as error:
            # Raised here it would be seen on this rank only, and the others would wait for it.
            self._stage_error = error
            return state_dict

    def synchronize_staging(self) -> None:
        """As :meth:`wait_staged`."""
        self.wait_staged()

    def close(self) -> None:
        """Removes the part of a save that failed on another rank; the writer can still be used."""
        self._parts.remove()

    def __enter__(self) -> DcpWriter:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    # ---- StorageWriter ----

    def reset(self, checkpoint_id: PathLike | None = None) -> None:
        """A new save begins, of another path if one is given."""
        self.close()
        if checkpoint_id is not None:
            self._path = checkpoint_id

    def set_up_storage_writer(self, is_coordinator: bool, *args: Any, **kwargs: Any) -> None:
        """The rank's part in a save; on the coordinator what a killed one has left is removed.

        Raises:
            FailedPreconditionError: where no path was given.
            UnimplementedError: for ``use_collectives=False``.
            AbortedError: when the path is being saved by others.
        """
        self.close()
        remove_of_failed_saves()
        if self._stage_error is not None:
            error, self._stage_error = self._stage_error, None
            raise error
        prefix = self.prefix
        if not kwargs.get("use_collectives", True):
            raise UnimplementedError(f"save {prefix}: use_collectives=False has no commit of all ranks")
        self._rank = int(kwargs.get("rank", 0))
        # Once: a directory of this name may be made meanwhile.
        self._saving = prefix
        if is_coordinator:
            remove_left(prefix)

    def prepare_local_plan(self, plan: SavePlan) -> SavePlan:
        """The plan as it is."""
        return plan

    def prepare_global_plan(self, plans: list[SavePlan]) -> list[SavePlan]:
        """The plans as they are."""
        return plans

    def write_data(self, plan: SavePlan, planner: SavePlanner) -> Future[list[WriteResult]]:
        """Saves the plan's items into this rank's part, durably.

        Raises:
            InvalidArgumentError: for an item that cannot be saved, named.
            Error: whatever a save fails with.
        """
        engine = self._engine or default_engine()
        request = engine.new_request()
        part = self._parts.new(self._saving, f"{self._rank:05d}")
        results = add_items(request, plan, planner, part)
        staging = self._staging
        if request.references:
            self._save(engine, part, request, staging)
        if staging is not None:
            staging.finish()
        future: Future[list[WriteResult]] = Future()
        future.set_result(results)
        return future

    def finish(self, metadata: Metadata, results: list[list[WriteResult]]) -> None:
        """Merges the parts of all ranks into the checkpoint: the commit.

        Raises:
            InvalidArgumentError: for two items of one name, named.
            Error: whatever the merge fails with; its message says where it came after the commit.
        """
        prefix = self._saving
        engine = self._engine or default_engine()
        parts = list(
            dict.fromkeys(result.storage_data.part for rank in results for result in rank if result.storage_data.part)
        )
        for part in parts:
            self._parts.add(part)
        try:
            text = tree_text(_items(metadata, results))
            request = engine.new_request()
            request.add_strings(_tree.ENTRY, (), [text])
            parts.append(self._parts.new(prefix, "tree"))
            self._save(engine, parts[-1], request)
            engine.merge(parts, prefix)
            if self._update_state:
                engine.list_checkpoint(prefix, max_to_keep=self._max_to_keep)
        finally:
            self.close()

    def _save(self, engine: Engine, part: str, request: Request, staging: LazyStaging | None = None) -> None:
        handle = engine.save_tensors(part, request.references, request.owners, stream=request.stream(), **self._options)
        if staging is not None:
            handle.wait_staged()
            staging.finish()
        complete(handle)


def _items(metadata: Metadata, results: list[list[WriteResult]]) -> dict[str, Written]:
    """What was written of each item that the planner tells of."""
    written: dict[str, Written] = {}
    for result in (result for rank in results for result in rank):
        fqn, item = result.index.fqn, result.storage_data
        if written.setdefault(fqn, item).path != item.path:
            raise refuse(fqn, f"it stands at {item.path} on one rank, and at {written[fqn].path} on another")
    missing = [fqn for fqn in metadata.state_dict_metadata if fqn not in written]
    if missing:
        raise refuse(missing[0], "no rank has written it")
    return {fqn: written[fqn] for fqn in metadata.state_dict_metadata}


def _made(path: PathLike | None, update_state: bool, max_to_keep: int, options: dict[str, Any]) -> DcpWriter:
    return DcpWriter(path, update_state=update_state, max_to_keep=max_to_keep, **options)
