"""DcpReader: what torch.distributed.checkpoint loads through."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.distributed.checkpoint._traverse import set_element
from torch.distributed.checkpoint.default_planner import DefaultLoadPlanner
from torch.distributed.checkpoint.metadata import Metadata, StorageMeta
from torch.distributed.checkpoint.planner import LoadItemType, LoadPlan, LoadPlanner, ReadItem
from torch.distributed.checkpoint.storage import StorageReader
from torch.futures import Future

from ..checkpoint import CopyLoader, assembled, maker
from ..engine import Engine
from ..errors import AbortedError, FailedPreconditionError, NotFoundError, UnimplementedError
from ..opened import PathLike
from ._dcp_items import add_target, joined
from ._dcp_names import Contents
from ._dcp_path import CheckpointPath

__all__ = ["DcpReader"]


class DcpReader(CheckpointPath, StorageReader):
    """Loads a checkpoint of Waypost into a state of ``dcp.load``, every byte checked, sharded as the state is.

        dcp.load(state, storage_reader=DcpReader("ckpt/m-7"))

    Any checkpoint will do: one of :class:`DcpWriter` or of :func:`waypost.save`, and TensorFlow's by the names of its
    tensors.  Each rank reads the slices that its shards need, straight into their memory.  A failure on any rank is
    raised on every rank, as DCP's ``CheckpointException``; what the state holds then must not be used.

    A planner that overrides ``load_bytes`` cannot be given what torch.save would have written; it has a method
    ``load_object(read_item, value)`` instead.

    Args:
        path: as of :class:`DcpWriter`.
        engine: None: the default engine.
        verify_first: everything is read and checked before anything is changed, on this rank; reads twice.
    """

    def __init__(
        self, path: PathLike | None = None, *, engine: Engine | None = None, verify_first: bool = False
    ) -> None:
        super().__init__(path)
        self._engine = engine
        self._verify_first = verify_first
        self._contents: Contents | None = None

    def reset(self, checkpoint_id: PathLike | None = None) -> None:
        """A new load begins, of another path if one is given."""
        self._contents = None
        if checkpoint_id is not None:
            self._path = checkpoint_id

    def read_metadata(self) -> Metadata:
        """What is in the checkpoint, as DCP knows it.

        Raises:
            NotFoundError: when there is no such checkpoint.
            DataLossError: for a damaged index.
        """
        metadata = Contents(self.prefix).metadata()
        metadata.storage_meta = StorageMeta(checkpoint_id=self.checkpoint_id)
        return metadata

    def set_up_storage_reader(self, metadata: Metadata, is_coordinator: bool, *args: Any, **kwargs: Any) -> None:
        """The rank's part in a load.

        Raises:
            FailedPreconditionError: for the metadata of another reader.
        """
        if not isinstance(metadata.storage_data, Contents):
            raise FailedPreconditionError("DcpReader: the metadata is not its own")
        self._contents = metadata.storage_data

    def prepare_local_plan(self, plan: LoadPlan) -> LoadPlan:
        """The plan with the reads of a shard put together."""
        plan.items = joined(plan.items)
        return plan

    def prepare_global_plan(self, plans: list[LoadPlan]) -> list[LoadPlan]:
        """The plans as they are."""
        return plans

    def read_data(self, plan: LoadPlan, planner: LoadPlanner) -> Future[None]:
        """Reads the plan's items into the planner's state.

        Raises:
            InvalidArgumentError: for targets that cannot be filled, named.
            UnimplementedError: for a planner that cannot be given objects.
            DataLossError: for damage; names file, tensor and offset.
            AbortedError: when another checkpoint has taken its place meanwhile: other ranks may have read the older
                one.
        """
        assert self._contents is not None
        contents, self._contents = self._contents, None  # its files are not held longer than the load takes
        loader = CopyLoader(contents.checkpoint, self._engine)
        objects: list[tuple[ReadItem, Callable[[], Any]]] = []
        tensors: list[tuple[ReadItem, torch.Tensor]] = []
        put = _putter(planner) if any(item.type == LoadItemType.BYTE_IO for item in plan.items) else None
        for item in plan.items:
            fqn = item.storage_index.fqn
            if fqn not in contents.nodes:
                raise NotFoundError(f"load {contents.prefix}: no item {fqn}")
            if item.type == LoadItemType.BYTE_IO:
                objects.append((item, _object(contents, fqn, loader)))
            else:
                info = contents.info(fqn)
                target = planner.resolve_tensor(item)
                add_target(loader.request, info.name, info.dtype, info.shape, item, target)
                tensors.append((item, target))
        loader.run(None, verify_first=self._verify_first)
        if contents.is_replaced():
            raise AbortedError(f"load {contents.prefix}: the checkpoint was replaced meanwhile; load it again")
        for item, target in tensors:
            planner.commit_tensor(item, target)
        for item, make in objects:
            assert put is not None
            put(item, make())
        future: Future[None] = Future()
        future.set_result(None)
        return future


def _object(contents: Contents, fqn: str, loader: CopyLoader) -> Callable[[], Any]:
    """Asks the loader for what an item consists of; the function returned puts it together."""
    makers = {
        name: maker(contents.checkpoint, contents.infos[name], contents.kinds.get(name, ""), None, loader)
        for name in contents.leaf_names(fqn)
    }
    return lambda: assembled(contents.nodes[fqn], {name: make() for name, make in makers.items()})


def _putter(planner: LoadPlanner) -> Callable[[ReadItem, Any], None]:
    """What puts an object into the planner's state."""
    own = getattr(planner, "load_object", None)
    if own is not None:
        return lambda item, value: own(item, value)
    if not isinstance(planner, DefaultLoadPlanner) or type(planner).load_bytes is not DefaultLoadPlanner.load_bytes:
        raise UnimplementedError(
            f"load: {type(planner).__name__} takes objects by load_bytes only, as what torch.save writes, which "
            "Waypost does not; give it a method load_object(read_item, value)"
        )
    if planner.flatten_state_dict:
        return lambda item, value: set_element(
            planner.original_state_dict, planner.mappings[item.dest_index.fqn], value
        )
    return lambda item, value: planner.original_state_dict.__setitem__(item.dest_index.fqn, value)
