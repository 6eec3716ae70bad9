"""DcpWriter and DcpReader in one process: every dtype, shape and kind of value, and tensors cut in any way.

Proved: slices of random grids, written by several ranks, come back in the boxes of other random grids, into contiguous
and other memory; values keep their types; checkpoints of Waypost and of TensorFlow's kind are loaded by DCP; what
cannot be saved or loaded is refused by name; a directory, a path and a checkpoint_id name the same checkpoint.  The
ranks are writers that are called in the order in which DCP calls those of several processes.
"""

from __future__ import annotations

import itertools
import os
import pickle
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import torch.distributed.checkpoint as dcp  # noqa: E402
import waypost  # noqa: E402
from bits import bits  # noqa: E402
from hypothesis import HealthCheck, given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402
from torch.distributed.checkpoint import CheckpointException  # noqa: E402
from torch.distributed.checkpoint.default_planner import (  # noqa: E402
    DefaultLoadPlanner,
    DefaultSavePlanner,
    create_default_global_save_plan,
)
from torch.distributed.checkpoint.metadata import (  # noqa: E402
    ChunkStorageMetadata,
    MetadataIndex,
    TensorProperties,
)
from torch.distributed.checkpoint.planner import (  # noqa: E402
    LoadPlan,
    SavePlan,
    TensorWriteData,
    WriteItem,
    WriteItemType,
)
from torch.distributed.checkpoint.planner_helpers import create_read_items_for_chunk_list  # noqa: E402
from torch.distributed.checkpoint.state_dict_loader import _load_state_dict_from_keys  # noqa: E402
from waypost import _leaves  # noqa: E402
from waypost.engine import complete  # noqa: E402
from waypost.torch import DcpReader, DcpWriter  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore:torch.distributed is", "ignore:TypedStorage")

Box = tuple[tuple[int, int], ...]  # start and length for each dimension


# ---- Slices ----


@st.composite
def grids(draw: st.DrawFn) -> tuple[tuple[int, ...], list[Box], list[Box]]:
    """A shape, and two ways to cut it."""
    shape = tuple(draw(st.lists(st.integers(0, 6), max_size=3)))

    def boxes() -> list[Box]:
        axes = []
        for size in shape:
            cuts = sorted(draw(st.sets(st.integers(0, size), max_size=2)) | {0, size})
            axes.append([(a, b - a) for a, b in itertools.pairwise(cuts)] or [(0, 0)])
        return list(itertools.product(*axes))

    return shape, boxes(), boxes()


def part_of(tensor: torch.Tensor, box: Box) -> torch.Tensor:
    for dim, (start, length) in enumerate(box):
        tensor = tensor.narrow(dim, start, length)
    return tensor


def chunk_of(box: Box) -> ChunkStorageMetadata:
    return ChunkStorageMetadata(
        offsets=torch.Size([start for start, _ in box]), sizes=torch.Size([length for _, length in box])
    )


class Planner(DefaultSavePlanner):
    """Resolves slices of one tensor."""

    def __init__(self, tensor: torch.Tensor) -> None:
        super().__init__()
        self.tensor = tensor

    def resolve_data(self, write_item: WriteItem) -> torch.Tensor:
        chunk = write_item.tensor_data.chunk
        return part_of(self.tensor, tuple(zip(chunk.offsets, chunk.sizes, strict=True)))


class LoadingPlanner(DefaultLoadPlanner):
    """Has a tensor for each box of it."""

    def __init__(self, targets: dict[torch.Size, torch.Tensor]) -> None:
        super().__init__()
        self.targets = targets
        self.committed = 0

    def lookup_tensor(self, index: MetadataIndex) -> torch.Tensor:
        return self.targets[index.offset]

    def commit_tensor(self, read_item: Any, tensor: torch.Tensor) -> None:
        self.committed += 1


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(grid=grids(), ranks=st.integers(1, 3), seed=st.integers(0, 99), is_transposed=st.booleans())
def test_any_slices_come_back_in_any_others(
    tmp_path: Path, grid: tuple[tuple[int, ...], list[Box], list[Box]], ranks: int, seed: int, is_transposed: bool
) -> None:
    shape, stored, wanted = grid
    generator = torch.Generator().manual_seed(seed)
    tensor = torch.randint(0, 2**31, shape, dtype=torch.int32, generator=generator)
    items: list[list[WriteItem]] = [[] for _ in range(ranks)]
    for i, box in enumerate(stored):
        chunk = chunk_of(box)
        data = TensorWriteData(chunk=chunk, properties=TensorProperties(dtype=torch.int32), size=torch.Size(shape))
        items[i % ranks].append(WriteItem(MetadataIndex("a.t", chunk.offsets), WriteItemType.SHARD, tensor_data=data))
    plans, metadata = create_default_global_save_plan([SavePlan(list(of_rank)) for of_rank in items])
    planner = Planner(tensor)
    writers = [DcpWriter(tmp_path / "p") for _ in range(ranks)]
    for rank, writer in enumerate(writers):
        writer.set_up_storage_writer(rank == 0, rank=rank, use_collectives=True)
    results = [writer.write_data(plan, planner).wait() for writer, plan in zip(writers, plans, strict=True)]
    writers[0].finish(metadata, results)
    assert sorted({name.split(".")[0] for name in os.listdir(tmp_path)}) == ["checkpoint", "p"]
    assert not [name for name in os.listdir(tmp_path) if ".rank-" in name]
    assert torch.equal(torch.from_numpy(waypost.load(tmp_path / "p", ["a.t"], framework="numpy")["a.t"]), tensor)

    reader = DcpReader(tmp_path / "p")
    read = reader.read_metadata()
    stored_metadata = read.state_dict_metadata["a.t"]
    assert stored_metadata.size == tensor.shape
    reader.set_up_storage_reader(read, True)
    targets = {}
    for box in wanted:
        target = torch.zeros([length for _, length in box], dtype=torch.int32)
        if is_transposed and target.dim() > 1:
            target = torch.zeros(target.shape[::-1], dtype=torch.int32).permute(*reversed(range(target.dim())))
        targets[chunk_of(box).offsets] = target
    load_planner = LoadingPlanner(targets)
    plan = LoadPlan(create_read_items_for_chunk_list("a.t", stored_metadata, [chunk_of(box) for box in wanted]))
    plan = reader.prepare_local_plan(plan)
    assert len(plan.items) <= len(wanted), "the reads of a shard are one"
    reader.read_data(plan, load_planner).wait()
    assert load_planner.committed == len(plan.items)
    for box in wanted:
        if tensor.numel() > 0:
            assert torch.equal(targets[chunk_of(box).offsets], part_of(tensor, box)), box


# ---- Types ----

DTYPES = [getattr(torch, name) for name in sorted(_leaves.TORCH_DTYPES)]


def save(state: dict[str, Any], path: Any, **options: Any) -> None:
    dcp.save(state, storage_writer=DcpWriter(path), **options)


def load(state: dict[str, Any], path: Any, **options: Any) -> dict[str, Any]:
    dcp.load(state, storage_reader=DcpReader(path), **options)
    return state


def failure(call: Any) -> BaseException:
    with pytest.raises(CheckpointException) as raised:
        call()
    ((cause, _),) = raised.value.failures.values()
    assert type(pickle.loads(pickle.dumps(cause))) is type(cause), "DCP sends it to the other ranks"
    return cause


def test_every_dtype_and_shape(prefix: str) -> None:
    state = {
        str(dtype): {
            str(shape): torch.arange(int(np.prod(shape)) * 16, dtype=torch.uint8)
            .view(dtype if dtype is not torch.bool else torch.uint8)[: int(np.prod(shape))]
            .reshape(shape)
            .to(dtype)
            for shape in ((), (3,), (2, 3), (0, 2))
        }
        for dtype in DTYPES
    }
    save(state, prefix)
    into = {dtype: {shape: torch.zeros_like(t) for shape, t in shapes.items()} for dtype, shapes in state.items()}
    load(into, prefix)
    for dtype, shapes in state.items():
        for shape, tensor in shapes.items():
            found = into[dtype][shape]
            assert (found.dtype, found.shape, bits(found)) == (tensor.dtype, tensor.shape, bits(tensor))


def test_views_and_other_layouts(prefix: str) -> None:
    base = torch.arange(24.0).reshape(4, 6)
    image = torch.randn(2, 3, 4, 5).contiguous(memory_format=torch.channels_last)
    save({"t": base.t(), "step": base[:, ::2], "image": image, "conj": torch.tensor([1 + 2j]).conj()}, prefix)
    into = {
        "t": torch.zeros(6, 4),
        "step": torch.zeros(3, 4).t(),
        "image": torch.zeros(2, 3, 4, 5),
        "conj": torch.zeros(1, dtype=torch.complex64),
    }
    into["image"] = into["image"].contiguous(memory_format=torch.channels_last)
    load(into, prefix)
    assert torch.equal(into["t"], base.t())
    assert torch.equal(into["step"], base[:, ::2])
    assert torch.equal(into["image"], image)
    assert into["image"].is_contiguous(memory_format=torch.channels_last)
    assert into["conj"].tolist() == [1 - 2j]


def test_another_dtype_is_converted_as_dcp_does(prefix: str) -> None:
    save({"w": torch.tensor([1.5, 2.25, 1e-3])}, prefix)
    into = load({"w": torch.zeros(3, dtype=torch.bfloat16)}, prefix)
    assert torch.equal(into["w"], torch.tensor([1.5, 2.25, 1e-3]).bfloat16())


# ---- Values ----

leaves = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False),
    st.text(),
    st.binary(),
    st.complex_numbers(allow_nan=False),
)
# DCP takes dicts apart, and leaves out those that are empty.
objects = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.lists(inner, max_size=3).map(tuple),
        st.dictionaries(st.text("abc", min_size=1, max_size=2), inner, min_size=1, max_size=3),
    ),
    max_leaves=8,
)


def assert_same(found: Any, expected: Any) -> None:
    assert type(found) is type(expected)
    if isinstance(expected, dict):
        assert list(found) == list(expected)
    if isinstance(expected, dict | list | tuple):
        assert len(found) == len(expected)
        for key in expected if isinstance(expected, dict) else range(len(expected)):
            assert_same(found[key], expected[key])
    else:
        assert found == expected


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(state=st.dictionaries(st.text("xyz", min_size=1, max_size=2), objects, min_size=1, max_size=3))
def test_values_keep_their_types(tmp_path: Path, state: dict[str, Any]) -> None:
    path = tmp_path / "v"
    save(state, path)
    found = _load_state_dict_from_keys(storage_reader=DcpReader(path))
    assert_same(found, state)
    assert_same(waypost.load(path, progress=False), state)


def test_arrays_and_tensors_within_tuples_are_values(prefix: str) -> None:
    state = {"a": np.arange(3), "s": np.float32(2), "t": (torch.ones(2), 3), "names": np.array(["x", "yz"], object)}
    save(state, prefix)
    found = load(dict.fromkeys(state), prefix)
    assert found["a"].tolist() == [0, 1, 2]
    assert found["a"].dtype == np.int64
    assert (found["s"], type(found["s"])) == (2, np.float32)
    assert found["t"][0].tolist() == [1, 1]
    assert found["t"][1] == 3
    assert found["names"].tolist() == [b"x", b"yz"]


class Refused:
    pass


def test_what_cannot_be_saved_is_refused_by_name(prefix: str) -> None:
    save({"step": 1}, prefix)
    files = sorted(os.listdir(Path(prefix).parent))
    for state, what in (
        ({"optim": {"state": Refused()}}, "optim/state"),
        ({"x": [1, (2, {3})]}, "x"),
        ({"a/b": torch.ones(1), "a": {"b": torch.ones(1)}}, "a/b"),
        ({"a": [1, 2], "a/0": torch.ones(1)}, "a/0"),
        ({"s": torch.ones(2).to_sparse()}, "s"),
    ):
        error = failure(lambda state=state: save(state, prefix))
        assert what in str(error), error
        assert sorted(os.listdir(Path(prefix).parent)) == files
    assert load({"step": 0}, prefix)["step"] == 1


# ---- Planners ----


def test_planners_that_do_not_flatten(prefix: str) -> None:
    state = {"a.b": torch.ones(2), "n": {"x": 1, "l": [{"y": (2,)}]}}
    save(state, prefix, planner=DefaultSavePlanner(flatten_state_dict=False))
    into = load({"a.b": torch.zeros(2), "n": None}, prefix, planner=DefaultLoadPlanner(flatten_state_dict=False))
    assert into["a.b"].tolist() == [1, 1]
    assert into["n"] == {"x": 1, "l": [{"y": (2,)}]}
    assert waypost.load(prefix, progress=False)["n"] == into["n"]


def test_planners_of_others(prefix: str) -> None:
    class Half(DefaultSavePlanner):
        def resolve_data(self, write_item: Any) -> Any:
            found = super().resolve_data(write_item)
            return found.half() if isinstance(found, torch.Tensor) else found

    save({"w": torch.tensor([1.5]), "n": 3}, prefix, planner=Half())
    assert waypost.load(prefix)["w"].dtype == torch.float16

    class Bytes(DefaultLoadPlanner):
        def load_bytes(self, read_item: Any, value: Any) -> None:
            raise AssertionError

    error = failure(lambda: load({"n": 0}, prefix, planner=Bytes()))
    assert "Bytes takes objects by load_bytes only" in str(error)

    class Objects(Bytes):
        def load_object(self, read_item: Any, value: Any) -> None:
            self.original_state_dict[read_item.dest_index.fqn] = f"got {value}"

    assert load({"n": 0}, prefix, planner=Objects())["n"] == "got 3"
    into = {"w": torch.zeros(1, dtype=torch.float16), "more": torch.zeros(1)}
    assert load(into, prefix, planner=DefaultLoadPlanner(allow_partial_load=True))["w"].tolist() == [1.5]


# ---- Paths and other checkpoints ----


def test_a_path_a_checkpoint_id_and_a_directory(tmp_path: Path) -> None:
    state = {"n": 1}
    save(state, tmp_path / "m-1")
    assert (tmp_path / "m-1.index").exists()
    dcp.save(state, checkpoint_id=str(tmp_path / "m-2"), storage_writer=DcpWriter())
    assert waypost.latest(tmp_path) == str(tmp_path / "m-2")
    (tmp_path / "m-3").mkdir()
    save(state, tmp_path / "m-3")
    assert (tmp_path / "m-3" / "state.index").exists()
    save(state, f"{tmp_path}/m-4/")
    assert (tmp_path / "m-4" / "state.index").exists()
    # A directory beside a checkpoint does not hide it.
    (tmp_path / "m-1").mkdir()
    for name in ("m-1", "m-2", "m-3", "m-4"):
        assert load({"n": 0}, tmp_path / name)["n"] == 1
        into = {"n": 0}
        dcp.load(into, checkpoint_id=tmp_path / name, storage_reader=DcpReader())
        assert into["n"] == 1
    assert "no path and no checkpoint_id" in str(failure(lambda: dcp.save(state, storage_writer=DcpWriter())))
    assert "m-9" in str(failure(lambda: load({"n": 0}, tmp_path / "m-9")))
    assert DcpWriter.validate_checkpoint_id(tmp_path)
    assert not DcpReader.validate_checkpoint_id("s3://bucket/x")
    with pytest.raises(ValueError, match="max_to_keep -1"):
        DcpWriter(max_to_keep=-1)


def test_no_collectives_is_refused(prefix: str) -> None:
    with pytest.raises(waypost.UnimplementedError, match="use_collectives"):
        DcpWriter(prefix).set_up_storage_writer(True, rank=0, use_collectives=False)


def test_a_checkpoint_without_a_tree_is_loaded_by_its_names(prefix: str) -> None:
    save({"dense": {"kernel": torch.ones(2, 2)}}, prefix)
    plain = f"{prefix}-plain"
    engine = waypost.default_engine()
    request = engine.new_request()
    tensor = torch.full((2, 2), 3.0)
    for memory in _leaves.to_save("dense/kernel", tensor):
        request.add("dense/kernel", memory)
    complete(engine.save_tensors(plain, request.references, request.owners))
    assert load({"dense/kernel": torch.zeros(2, 2)}, plain)["dense/kernel"].tolist() == [[3, 3], [3, 3]]


def test_a_checkpoint_that_is_replaced_meanwhile_is_not_mixed(prefix: str) -> None:
    save({"w": torch.zeros(3)}, prefix)

    class Replacing(DefaultLoadPlanner):
        def finish_plan(self, new_plan: LoadPlan) -> LoadPlan:
            save({"w": torch.ones(3)}, prefix)
            return new_plan

    error = failure(lambda: load({"w": torch.zeros(3)}, prefix, planner=Replacing()))
    assert isinstance(error, waypost.AbortedError)


# ---- Staging ----


@pytest.fixture
def quiet() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@pytest.mark.usefixtures("quiet")
def test_staging_copies_tensors_of_the_host_too(prefix: str) -> None:
    shared = torch.ones(4)
    state = {
        "w": shared,
        "v": shared[1:3],
        "zero": torch.tensor(5.0),
        "list": [1, 2],
        "f8": torch.ones(2).to(torch.float8_e5m2),
    }
    future = dcp.async_save(state, storage_writer=DcpWriter(prefix))
    shared.zero_()
    state["zero"].zero_()
    state["list"].append(3)
    state["f8"].zero_()
    future.result(300)
    found = waypost.load(prefix, progress=False)
    assert [found["w"].tolist(), found["v"].tolist(), found["zero"].item(), found["list"]] == [
        [1] * 4,
        [1, 1],
        5,
        [1, 2],
    ]
    assert found["f8"].float().tolist() == [1, 1]


@pytest.mark.usefixtures("quiet")
def test_lazy_staging_is_done_when_the_tensors_were_read(prefix: str) -> None:
    writer = DcpWriter(prefix, lazy=True)
    w = torch.ones(1 << 20)
    for step in range(3):
        response = dcp.async_save({"w": w}, storage_writer=writer)
        response.staging_completion.result(300)
        w.add_(1)
        response.upload_completion.result(300)
        assert waypost.load(prefix, progress=False)["w"].unique().tolist() == [step + 1]
    with pytest.raises(waypost.UnimplementedError, match="THREAD"):
        pickle.dumps(writer)
    assert pickle.loads(pickle.dumps(DcpWriter(prefix, shard_bytes=5))).prefix == prefix
