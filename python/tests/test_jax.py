"""Arrays of JAX, sharded ones among them, are saved where they are and come back bit by bit."""

from __future__ import annotations

import subprocess
import sys
import textwrap

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
