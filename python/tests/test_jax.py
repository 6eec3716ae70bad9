"""Arrays of JAX, sharded ones among them, are saved where they are and come back bit by bit."""

from __future__ import annotations

import subprocess
import sys
import textwrap

import numpy as np
import pytest
import waypost

jax = pytest.importorskip("jax")


def test_dtypes(prefix: str) -> None:
    import jax.numpy as jnp

    tree = {
        name: jnp.arange(6).reshape(2, 3).astype(name)
        for name in ("float32", "bfloat16", "float16", "int32", "uint8", "bool", "float8_e4m3fn", "complex64")
    }
    tree["scalar"] = jnp.float32(2.5)
    tree["empty"] = jnp.zeros((0, 3))
    waypost.save(prefix, tree)
    back = waypost.load(prefix)
    for name, array in tree.items():
        assert isinstance(back[name], jax.Array)
        assert back[name].dtype == array.dtype
        assert (
            back[name].tobytes() == array.tobytes() if hasattr(array, "tobytes") else bool((back[name] == array).all())
        )


def test_what_cannot_be_saved_or_filled_is_named(prefix: str) -> None:
    with pytest.raises(waypost.InvalidArgumentError, match=r"^k: a key of jax.random"):
        waypost.save(prefix, {"k": jax.random.key(0)})
    gone = jax.numpy.ones(3) + 1
    gone.delete()
    with pytest.raises(waypost.InvalidArgumentError, match=r"^g: .*deleted"):
        waypost.save(prefix, {"g": gone})
    waypost.save(prefix, {"a": jax.numpy.ones(3)})
    with pytest.raises(waypost.InvalidArgumentError, match=r"^a: an array of JAX cannot be filled"):
        waypost.restore(prefix, {"a": jax.numpy.zeros(3)})


@pytest.mark.parametrize(
    ("dtype", "kept", "changed"),
    [
        ("int64", [2**31 - 1, -(2**31)], 2**31),
        ("uint64", [2**32 - 1], 2**63),
        ("float64", [0.5, -0.0, np.nan, np.inf], 0.1),
        ("float64", [2.0**127], 2.0**128),
        ("complex128", [complex(np.nan, 0.5)], complex(np.nan, 0.1)),
    ],
)
@pytest.mark.parametrize("mmap", [False, True])
def test_values_of_64_bits_are_kept_or_refused(
    prefix: str, dtype: str, kept: list, changed: complex, mmap: bool
) -> None:
    # Proved: JAX without 64 bits gets the values that were saved or none.
    waypost.save(prefix, {"kept": np.array(kept, dtype), "empty": np.zeros((0, 2), dtype)})
    back = waypost.load(prefix, framework="jax", mmap=mmap)
    assert isinstance(back["kept"], jax.Array)
    np.testing.assert_array_equal(np.asarray(back["kept"]).astype(dtype), np.array(kept, dtype))
    assert back["empty"].shape == (0, 2)
    waypost.save(prefix, {"a": np.array([[*kept, changed]], dtype), "b": np.array(changed, dtype)})
    for name in ("a", "b"):
        with pytest.raises(waypost.InvalidArgumentError, match=rf"tensor {name}: .*{dtype}.*enable jax_enable_x64"):
            waypost.load(prefix, [name], framework="jax", mmap=mmap)
    with jax.enable_x64(True):
        back = waypost.load(prefix, framework="jax", mmap=mmap)
        assert back["b"].dtype == dtype
        assert np.asarray(back["b"]).tobytes() == np.array(changed, dtype).tobytes()


def test_sharded_arrays_are_saved_in_their_shards(prefix: str) -> None:
    program = f"""
        import jax, jax.numpy as jnp, numpy as np, waypost
        from jax.sharding import NamedSharding, PartitionSpec as P
        mesh = jax.make_mesh((2, 2), ("x", "y"))
        value = np.arange(48.0, dtype=np.float32).reshape(8, 6)
        tree = {{"both": P("x", "y"), "one": P("x"), "none": P()}}
        arrays = {{name: jax.device_put(value, NamedSharding(mesh, spec)) for name, spec in tree.items()}}
        waypost.save({prefix!r}, arrays)
        parts = {{tensor.name: len(tensor.extents) for tensor in waypost.list({prefix!r})}}
        assert parts == {{"both": 4, "one": 2, "none": 1}}, parts
        for mmap in (False, True):
            for array in waypost.load({prefix!r}, mmap=mmap).values():
                np.testing.assert_array_equal(np.asarray(array), value)
    """
    result = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        env={**__import__("os").environ, "XLA_FLAGS": "--xla_force_host_platform_device_count=4"},
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr
