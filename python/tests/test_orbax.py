"""Orbax with Waypost's handlers: arrays of every kind come back, also into other shardings, and Orbax stays atomic."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
import waypost

jax = pytest.importorskip("jax", reason="needs JAX")
ocp = pytest.importorskip("orbax.checkpoint", reason="needs Orbax")

import waypost.orbax  # noqa: E402


@pytest.fixture(autouse=True)
def _registered() -> Iterator[None]:
    kinds = (jax.Array, np.ndarray, np.number, int, float)
    before = [ocp.type_handlers.get_type_handler(kind) for kind in kinds]
    waypost.orbax.register()
    yield
    for kind, handler in zip(kinds, before, strict=True):
        ocp.type_handlers.register_type_handler(kind, handler, override=True)


def tree() -> dict[str, Any]:
    return {
        "layers": [{"w": jax.numpy.arange(12.0).reshape(3, 4), "b": jax.numpy.ones(4, jax.numpy.bfloat16)}],
        "scalar": jax.numpy.int32(7),
        "empty": jax.numpy.zeros((0, 3)),
        "numpy": np.arange(6, dtype=np.int64).reshape(2, 3),
        "step": 3,
        "rate": 0.5,
        "name": "left to Orbax",
    }


def assert_equal(one: Any, other: Any) -> None:
    jax.tree.map(np.testing.assert_array_equal, one, other)
    assert jax.tree.structure(one) == jax.tree.structure(other)
    for left, right in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
        assert type(left) is type(right)
        assert getattr(left, "dtype", None) == getattr(right, "dtype", None)


def test_a_tree_comes_back(tmp_path: Path) -> None:
    with ocp.PyTreeCheckpointer() as checkpointer:
        checkpointer.save(tmp_path / "1", tree())
        assert_equal(checkpointer.restore(tmp_path / "1"), tree())
        metadata = checkpointer.metadata(tmp_path / "1").item_metadata.tree
    assert metadata["layers"][0]["w"].shape == (3, 4)
    assert metadata["layers"][0]["b"].dtype == ml_dtypes.bfloat16
    assert isinstance(metadata["step"], ocp.metadata.ScalarMetadata)
    for findings in waypost.verify(tmp_path / "1" / "waypost_jax"):
        assert findings.damage == []
    loaded = waypost.load(tmp_path / "1" / "waypost_jax")
    np.testing.assert_array_equal(loaded["arrays"]["layers.0.w"], tree()["layers"][0]["w"])


def test_a_target_says_types_and_dtypes(tmp_path: Path) -> None:
    with ocp.StandardCheckpointer() as checkpointer:
        checkpointer.save(tmp_path / "1", {"a": jax.numpy.arange(4.0), "b": np.arange(3.0)})
        checkpointer.wait_until_finished()
        target = {
            "a": jax.ShapeDtypeStruct(
                (4,), jax.numpy.bfloat16, sharding=jax.sharding.SingleDeviceSharding(jax.devices()[0])
            ),
            "b": np.zeros(3, np.float32),
        }
        restored = checkpointer.restore(tmp_path / "1", target)
    assert restored["a"].dtype == jax.numpy.bfloat16
    assert restored["b"].dtype == np.float32
    np.testing.assert_array_equal(restored["b"], [0, 1, 2])


def test_arrays_are_read_as_another_kind(tmp_path: Path) -> None:
    with ocp.PyTreeCheckpointer() as checkpointer:
        checkpointer.save(tmp_path / "1", {"jax": jax.numpy.arange(3), "numpy": np.ones(2), "number": 4})
        args = {
            "jax": ocp.RestoreArgs(restore_type=np.ndarray),
            "numpy": ocp.ArrayRestoreArgs(sharding=jax.sharding.SingleDeviceSharding(jax.devices()[0])),
            "number": ocp.RestoreArgs(restore_type=float),
        }
        restored = checkpointer.restore(tmp_path / "1", restore_args=args)
    assert isinstance(restored["jax"], np.ndarray)
    assert isinstance(restored["numpy"], jax.Array)
    assert restored["number"] == 4.0
    assert type(restored["number"]) is float


def test_values_of_64_bits_are_kept_or_refused(tmp_path: Path) -> None:
    # Proved: JAX without 64 bits gets the values that were saved or none, but where another dtype is asked for.
    one = jax.sharding.SingleDeviceSharding(jax.devices()[0])
    with ocp.PyTreeCheckpointer() as checkpointer:
        checkpointer.save(tmp_path / "1", {"count": np.array([7, -7]), "large": np.array([2**40 + 1])})

        def restored(name: str, **options: Any) -> Any:
            args = {"count": ocp.RestoreArgs(), "large": ocp.RestoreArgs()}
            args[name] = ocp.ArrayRestoreArgs(sharding=one, **options)
            return checkpointer.restore(tmp_path / "1", restore_args=args)[name]

        assert restored("count").tolist() == [7, -7]
        for options in ({}, {"dtype": np.int64}):
            with pytest.raises(waypost.InvalidArgumentError, match=r"arrays/large: .*enable jax_enable_x64"):
                restored("large", **options)
        assert restored("large", dtype=np.int32).tolist() == [1]
        assert restored("large", dtype=np.float32).tolist() == [2.0**40]


def test_random_keys_come_back(tmp_path: Path) -> None:
    keys = jax.random.split(jax.random.key(1), 3)
    with ocp.PyTreeCheckpointer() as checkpointer:
        checkpointer.save(tmp_path / "1", {"key": keys})
        restored = checkpointer.restore(tmp_path / "1")["key"]
    assert restored.dtype == keys.dtype
    np.testing.assert_array_equal(jax.random.normal(restored[2]), jax.random.normal(keys[2]))


def test_an_asynchronous_save_keeps_what_it_was_given(tmp_path: Path) -> None:
    array, numpy = jax.numpy.zeros(1 << 20), np.zeros(1 << 20)
    with ocp.StandardCheckpointer() as checkpointer:
        checkpointer.save(tmp_path / "1", {"a": array, "n": numpy})
        donated = jax.jit(lambda value: value + 1, donate_argnums=0)(array)
        numpy.fill(1)
        donated.block_until_ready()
        checkpointer.wait_until_finished()
        restored = checkpointer.restore(tmp_path / "1")
    assert not np.any(restored["a"])
    assert not np.any(restored["n"])


def test_retention_is_orbax_s(tmp_path: Path) -> None:
    with ocp.CheckpointManager(tmp_path, options=ocp.CheckpointManagerOptions(max_to_keep=2)) as manager:
        for step in range(4):
            manager.save(step, args=ocp.args.StandardSave({"a": jax.numpy.full(3, step)}))
        manager.wait_until_finished()
        assert manager.all_steps() == [2, 3]
        assert manager.restore(3)["a"].tolist() == [3, 3, 3]


def test_what_orbax_wrote_by_itself_is_read(tmp_path: Path) -> None:
    kinds = {jax.Array: "ArrayHandler", np.ndarray: "NumpyHandler", int: "ScalarHandler"}
    for kind, name in kinds.items():
        handler = getattr(ocp.type_handlers, name)()
        ocp.type_handlers.register_type_handler(kind, handler, override=True)
    saved = {"a": jax.numpy.arange(3), "b": np.arange(2), "c": 1}
    with ocp.PyTreeCheckpointer() as checkpointer:
        checkpointer.save(tmp_path / "1", saved)
    waypost.orbax.register()
    with ocp.PyTreeCheckpointer() as checkpointer:
        assert_equal(checkpointer.restore(tmp_path / "1"), saved)


def test_damage_is_found(tmp_path: Path) -> None:
    with ocp.PyTreeCheckpointer() as checkpointer:
        checkpointer.save(tmp_path / "1", {"a": jax.numpy.arange(4000.0)})
        file = next((tmp_path / "1").glob("waypost_jax.data-*"))
        content = bytearray(file.read_bytes())
        content[5000] ^= 1
        file.write_bytes(content)
        with pytest.raises(waypost.DataLossError, match="arrays/a"):
            checkpointer.restore(tmp_path / "1")


def test_a_save_that_fails_leaves_nothing(tmp_path: Path) -> None:
    with ocp.PyTreeCheckpointer() as checkpointer:
        with pytest.raises(waypost.InvalidArgumentError, match=r"arrays/a|\['a'\]"):
            checkpointer.save(tmp_path / "1", {"a": np.array([object()])})
        assert not (tmp_path / "1").exists()


def test_shapes_are_checked(tmp_path: Path) -> None:
    with ocp.PyTreeCheckpointer() as checkpointer:
        checkpointer.save(tmp_path / "1", {"a": jax.numpy.arange(6.0).reshape(2, 3)})
        one = jax.sharding.SingleDeviceSharding(jax.devices()[0])

        def restored(strict: bool) -> Any:
            args = {"a": ocp.ArrayRestoreArgs(sharding=one, global_shape=(3, 2), strict=strict)}
            return checkpointer.restore(tmp_path / "1", restore_args=args)["a"]

        with pytest.raises(waypost.InvalidArgumentError, match=r"of shape \(2, 3\), and \(3, 2\)"):
            restored(strict=True)
        assert restored(strict=False).tolist() == [[0, 1], [3, 4], [0, 0]]


def test_shards_go_to_other_shardings(tmp_path: Path) -> None:
    flags = {"XLA_FLAGS": "--xla_force_host_platform_device_count=4", "JAX_PLATFORMS": "cpu"}
    job = [sys.executable, __file__, str(tmp_path)]
    done = subprocess.run(job, env=os.environ | flags, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr[-3000:]


def on_four_devices(root: Path) -> None:
    """What the process with four devices does."""
    waypost.orbax.register()
    devices = np.array(jax.devices())
    assert len(devices) == 4
    spec, named = jax.sharding.PartitionSpec, jax.sharding.NamedSharding
    line, grid = jax.sharding.Mesh(devices, "x"), jax.sharding.Mesh(devices.reshape(2, 2), ("x", "y"))
    values = np.arange(32 * 8, dtype=np.float32).reshape(32, 8)
    shardings = [
        named(line, spec("x")),
        named(line, spec(None, "x")),
        named(line, spec()),
        named(grid, spec("x", "y")),
        named(grid, spec("y")),
        named(grid, spec(("x", "y"), None)),
        jax.sharding.SingleDeviceSharding(devices[2]),
    ]
    saved = {str(i): jax.device_put(values, sharding) for i, sharding in enumerate(shardings)}
    with ocp.StandardCheckpointer() as checkpointer:
        checkpointer.save(root / "1", saved)
        checkpointer.wait_until_finished()
        for sharding in shardings:
            wanted = jax.ShapeDtypeStruct(values.shape, values.dtype, sharding=sharding)
            restored = checkpointer.restore(root / "1", dict.fromkeys(saved, wanted))
            for array in restored.values():
                assert array.sharding.is_equivalent_to(sharding, 2)
                np.testing.assert_array_equal(array, values)
                for shard in array.addressable_shards:
                    np.testing.assert_array_equal(shard.data, values[shard.index])
        # Without a target each comes back as it was.
        for name, array in checkpointer.restore(root / "1").items():
            assert array.sharding.is_equivalent_to(saved[name].sharding, 2), name


if __name__ == "__main__":
    on_four_devices(Path(sys.argv[1]))
