"""Tensors of every framework and dtype, however they lie in memory, come back bit by bit: into new arrays, into
mapped ones and in place; what cannot be filled in place is refused by name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
import waypost
from bits import bits
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tensorflow_python import run_in_tensorflow
from waypost import _native
from waypost._leaves import NUMPY_DTYPES, STORED_AS, TORCH_DTYPES

torch = pytest.importorskip("torch")

SUB_BYTE = {"int4": 4, "uint4": 4, "int2": 2, "uint2": 2, "float4_e2m1fn": 4}


def random_array(dtype: str, shape: tuple[int, ...], seed: int) -> np.ndarray[Any, Any]:
    """Any bits that the dtype can have."""
    dt = NUMPY_DTYPES[dtype]
    count = int(np.prod(shape))
    raw = np.random.default_rng(seed).integers(0, 256, count * dt.itemsize, np.uint8)
    if dtype == "bool":
        raw &= 1
    if dtype in SUB_BYTE:
        raw &= (1 << SUB_BYTE[dtype]) - 1
    return raw.view(dt).reshape(shape)


def random_torch(dtype: str, shape: tuple[int, ...], seed: int) -> Any:
    array = random_array(dtype, shape, seed)
    return torch.from_numpy(array.reshape(-1).view(np.uint8)).view(getattr(torch, dtype)).reshape(shape).clone()


SHAPES = [(), (0,), (3, 0, 2), (7,), (5, 3), (2, 3, 4), (33_000,)]


@pytest.mark.parametrize("dtype", list(NUMPY_DTYPES))
def test_numpy_dtypes(dtype: str, prefix: str, seed: int) -> None:
    tree = [random_array(dtype, shape, seed) for shape in SHAPES]
    waypost.save(prefix, tree)
    into = [np.ones_like(array) for array in tree]
    waypost.restore(prefix, into)
    for loaded in (waypost.load(prefix), waypost.load(prefix, mmap=True), into):
        for array, other in zip(tree, loaded, strict=True):
            assert (other.dtype, other.shape, bits(other)) == (array.dtype, array.shape, bits(array))


@pytest.mark.parametrize("dtype", sorted(TORCH_DTYPES))
def test_torch_dtypes(dtype: str, prefix: str, seed: int) -> None:
    tree = [random_torch(dtype, shape, seed) for shape in SHAPES]
    waypost.save(prefix, tree)
    into = [torch.empty_like(tensor) for tensor in tree]
    waypost.restore(prefix, into)
    for loaded in (waypost.load(prefix), waypost.load(prefix, mmap=True), into):
        for tensor, other in zip(tree, loaded, strict=True):
            assert (other.dtype, other.shape, bits(other)) == (tensor.dtype, tensor.shape, bits(tensor))


def views_of(tensor: Any) -> dict[str, Any]:
    """Ways to lie in memory, of one of 3 dimensions."""
    return {
        "whole": tensor,
        "transposed": tensor.permute(2, 0, 1),
        "strided": tensor[::2, 1:, ::3],
        "row": tensor[1],
        "column": tensor[:, :, 1],
        "channels": tensor[None].to(memory_format=torch.channels_last),
        "required": torch.nn.Parameter(tensor.clone()),
    }


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(shape=st.tuples(*[st.integers(2, 9)] * 3), seed=st.integers(0, 2**32 - 1))
def test_views_in_any_layout(shape: tuple[int, ...], seed: int, tmp_path: Path) -> None:
    prefix = str(tmp_path / "m")
    tree = views_of(random_torch("float32", shape, seed))
    waypost.save(prefix, tree)
    back = waypost.load(prefix)
    into = {name: torch.empty_like(view) for name, view in tree.items()}  # keeps the strides of a dense one
    sparse = torch.zeros(20, 20, 20)
    into["strided"] = sparse[: tree["strided"].shape[0] * 2 : 2, : tree["strided"].shape[1], : tree["strided"].shape[2]]
    waypost.restore(prefix, into)
    for name, view in tree.items():
        assert bits(back[name]) == bits(view) == bits(into[name]), name


def test_numpy_views_and_byte_orders(prefix: str) -> None:
    base = np.arange(60.0).reshape(3, 4, 5)
    tree = {"t": base.T, "s": base[::2, ::-1, 1:], "big": base.astype(">f8"), "f": np.asfortranarray(base)}
    waypost.save(prefix, tree)
    into = {
        "t": np.zeros((3, 4, 5)).T,
        "s": np.zeros((4, 8, 8))[::2, ::2, ::2],
        "big": np.zeros((3, 4, 5), ">f8"),
        "f": np.zeros((3, 4, 5), order="F"),
    }
    waypost.restore(prefix, into)
    for name, array in tree.items():
        np.testing.assert_array_equal(into[name], array)
        np.testing.assert_array_equal(waypost.load(prefix)[name], array)


def test_conjugated_and_negated_views(prefix: str) -> None:
    base = torch.randn(4, 3, dtype=torch.complex64)
    tree = {"conj": base.conj(), "imag": base.conj().imag}
    waypost.save(prefix, tree)
    back = waypost.load(prefix)
    assert torch.equal(back["conj"], base.conj().resolve_conj())
    assert torch.equal(back["imag"], base.conj().imag.resolve_neg())


def test_tied_tensors_are_stored_once(prefix: str) -> None:
    weight = torch.randn(300, 300)
    waypost.save(prefix, {"a": weight, "b": weight})
    a, b = (tensor.extents[0] for tensor in waypost.list(prefix))
    assert a.offset == b.offset
    into = torch.zeros(300, 300)
    waypost.restore(prefix, {"a": into, "b": into})
    assert torch.equal(into, weight)
    other = torch.randn(300, 300)
    waypost.save(prefix, {"a": weight, "b": other})
    with pytest.raises(waypost.InvalidArgumentError, match=r"\ba\b.*\bb\b"):
        waypost.restore(prefix, {"a": into, "b": into})


def test_a_mapped_torch_tensor_may_be_written_and_the_file_stays(prefix: str) -> None:
    tensor = torch.randn(100_000)
    waypost.save(prefix, {"large": tensor, "small": tensor[:10].clone()})
    mapped = waypost.load(prefix, mmap=True)
    mapped["large"].zero_()
    mapped["small"].add_(1)
    assert torch.equal(waypost.load(prefix)["large"], tensor)
    assert torch.equal(waypost.load(prefix, mmap=True)["small"], tensor[:10])
    assert waypost.verify(prefix)[0].damage == []


def test_mapped_tied_torch_tensors_are_written_one_by_one(prefix: str) -> None:
    weight = torch.randn(300, 300)
    array = np.arange(5000)
    # The same memory as tensors and as arrays: an array of NumPy on it sees no write, either.
    seen = torch.from_numpy(array)
    waypost.save(prefix, {"a": weight, "b": weight, "c": weight, "x": seen, "y": array, "z": array})
    extents = {info.name: info.extents for info in waypost.list(prefix)}
    assert extents["a"] == extents["b"] == extents["c"]
    assert extents["x"] == extents["y"] == extents["z"]
    mapped = waypost.load(prefix, mmap=True)
    for name in ("a", "b", "c"):
        mapped[name].fill_(ord(name))
    assert [mapped[name].unique().tolist() for name in ("a", "b", "c")] == [[97.0], [98.0], [99.0]]
    mapped["x"].zero_()
    np.testing.assert_array_equal(mapped["y"], array)
    assert np.shares_memory(mapped["y"], mapped["z"])
    assert torch.equal(waypost.load(prefix, ["a", "a"], mmap=True, framework="torch")["a"], weight)


def test_a_mapped_numpy_array_is_read_only_and_outlives_the_checkpoint(prefix: str) -> None:
    array = np.arange(100_000)
    waypost.save(prefix, {"a": array})
    mapped = waypost.load(prefix, mmap=True)["a"]
    with pytest.raises(ValueError, match=r"read-only"):
        mapped[0] = 1
    waypost.remove(prefix)
    waypost.save(prefix, {"a": array[::-1]})
    np.testing.assert_array_equal(mapped, array)


@pytest.mark.parametrize("name", list(STORED_AS))
def test_quantized_tensors_are_loaded_as_integers(name: str, prefix: str) -> None:
    array = np.arange(6, dtype=STORED_AS[name]).reshape(2, 3)
    reference = _native.TensorRef(b"q", name, [2, 3], array.ctypes.data)
    waypost.default_engine().save_tensors(prefix, [reference], [array]).wait_finished()
    assert [info.dtype for info in waypost.list(prefix)] == [name]
    for loaded in (waypost.load(prefix), waypost.load(prefix, mmap=True), waypost.load(prefix, ["q"])):
        assert loaded["q"].dtype == STORED_AS[name]
        np.testing.assert_array_equal(loaded["q"], array)


def test_a_quantized_tensor_of_tensorflow_is_loaded(prefix: str) -> None:
    run_in_tensorflow(f"""
        import json
        import tensorflow as tf
        values = tf.bitcast(tf.constant([-128, 0, 127], tf.int8), tf.qint8)
        tf.raw_ops.SaveV2(prefix={prefix!r}, tensor_names=["q"], shape_and_slices=[""], tensors=[values])
        print(json.dumps("saved"))
    """)
    assert waypost.load(prefix)["q"].tolist() == [-128, 0, 127]


def test_mapping_makes_no_copy(prefix: str) -> None:
    waypost.save(prefix, {"a": torch.randn(2**24)})
    before = peak_anonymous()
    loaded = waypost.load(prefix, mmap=True)
    assert loaded["a"].numel() == 2**24
    assert peak_anonymous() - before < 2**24  # the tensor has 64 MiB


def peak_anonymous() -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) * 1024
    raise AssertionError


def test_strings(prefix: str) -> None:
    tree = {
        "s": np.array([b"a", b"\xff\x00b"]),
        "u": np.array([["ä", "bcd"]]),
        "o": np.array(["long" * 1000, ""], object),
        "e": np.array([], "U1"),
    }
    waypost.save(prefix, tree)
    assert waypost.load(prefix)["u"].tolist() == [["ä".encode(), b"bcd"]]
    into = {
        "s": np.zeros(2, "S3"),
        "u": np.zeros((1, 2), "U3"),
        "o": np.array([b"", b""], object),
        "e": np.array([], "U1"),
    }
    waypost.restore(prefix, into)
    assert into["s"].tolist() == tree["s"].tolist()
    assert into["u"].tolist() == tree["u"].tolist()
    assert into["o"].tolist() == [b"long" * 1000, b""]
    with pytest.raises(waypost.InvalidArgumentError, match=r"^u: .*longer"):
        waypost.restore(prefix, {"u": np.zeros((1, 2), "U1")})


def test_numpy_scalars(prefix: str) -> None:
    tree = {"f": np.float32(1.5), "b": np.bool_(True), "h": ml_dtypes.bfloat16(2)}
    waypost.save(prefix, tree)
    back = waypost.load(prefix)
    assert back == tree
    assert {name: type(value) for name, value in back.items()} == {name: type(value) for name, value in tree.items()}
    assert waypost.restore(prefix, {"f": np.float32(0)}) == {"f": np.float32(1.5)}


def read_only() -> np.ndarray[Any, Any]:
    array = np.zeros(3)
    array.flags.writeable = False
    return array


@pytest.mark.parametrize(
    ("target", "why"),
    [
        (read_only(), "^a: the array is read-only"),
        (np.broadcast_to(np.zeros(1), (3,)), "^a: the array is read-only"),
        (torch.zeros(1, dtype=torch.float64).expand(3), "^a: an expanded tensor"),
        (np.zeros(4), r"tensor a: shape \[4\] was asked for, the checkpoint has \[3\]"),
        (np.zeros(3, np.float32), "tensor a: .*float32.*float64"),
        (torch.zeros(3, dtype=torch.float64, device="meta"), "^a: .*meta"),
        (torch.zeros(3, dtype=torch.float64).to_sparse(), "^a: layout"),
    ],
)
def test_targets_that_cannot_be_filled_are_named(target: Any, why: str, prefix: str) -> None:
    waypost.save(prefix, {"a": np.arange(3.0), "z": np.ones(2)})
    other = np.zeros(2)
    with pytest.raises(waypost.InvalidArgumentError, match=why):
        waypost.restore(prefix, {"a": target, "z": other})
    assert other.tolist() == [0, 0]


@pytest.mark.parametrize(
    ("tensor", "why"),
    [
        (torch.zeros(3).to_sparse(), "^a: layout"),
        (torch.zeros(3, device="meta"), "^a: .*meta"),
        (torch.empty(3, dtype=torch.complex32), "^a: dtype torch.complex32"),
        (torch.nn.UninitializedParameter(), "^a: .*not initialized"),
    ],
)
@pytest.mark.filterwarnings("ignore:ComplexHalf")
def test_tensors_that_cannot_be_saved_are_named(tensor: Any, why: str, prefix: str) -> None:
    with pytest.raises(waypost.InvalidArgumentError, match=why):
        waypost.save(prefix, {"a": tensor})
    assert not list(Path(prefix).parent.iterdir())


class Speaker:
    """Speaks DLPack and nothing else."""

    def __init__(self, array: Any) -> None:
        self.array = array

    def __dlpack__(self, **options: Any) -> Any:
        return self.array.__dlpack__(**options)

    def __dlpack_device__(self) -> Any:
        return self.array.__dlpack_device__()


def test_dlpack(prefix: str) -> None:
    tree = {
        "t": Speaker(torch.arange(5.0)),
        "n": Speaker(np.arange(6).reshape(2, 3)),
        "h": Speaker(torch.ones(2).bfloat16()),
    }
    waypost.save(prefix, tree)
    back = waypost.load(prefix)
    assert back["t"].tolist() == [0, 1, 2, 3, 4]
    assert back["n"].tolist() == [[0, 1, 2], [3, 4, 5]]
    assert back["h"].dtype == ml_dtypes.bfloat16
    target = torch.zeros(5)
    waypost.restore(prefix, {"t": Speaker(target)})
    assert target.tolist() == [0, 1, 2, 3, 4]
    with pytest.raises(waypost.InvalidArgumentError, match=r"^t: .*Speaker.*contiguous"):
        waypost.save(prefix, {"t": Speaker(torch.ones(4, 4).T[1:])})


def test_a_framework_can_be_asked_for(prefix: str) -> None:
    waypost.save(prefix, {"a": np.arange(3), "t": torch.ones(2).bfloat16()})
    assert isinstance(waypost.load(prefix, framework="torch")["a"], torch.Tensor)
    assert waypost.load(prefix, framework="numpy")["t"].dtype == ml_dtypes.bfloat16
    assert waypost.load(prefix, ["t"])["t"].dtype == torch.bfloat16
    with pytest.raises(waypost.NotFoundError, match=r"nope, no more"):
        waypost.load(prefix, ["a", "nope", "no more"])
    with pytest.raises(waypost.InvalidArgumentError, match=r"one string"):
        waypost.load(prefix, "a")
