"""Tensors of PyTorch in GPU memory are saved where they are, behind the work of their stream, and filled in place.

Skipped where PyTorch sees no GPU."""

from __future__ import annotations

from typing import Any

import pytest
import waypost
from bits import bits

torch = pytest.importorskip("torch")
if not torch.cuda.is_available():
    pytest.skip("PyTorch sees no GPU here", allow_module_level=True)

DTYPES = (torch.float32, torch.bfloat16, torch.float16, torch.int64, torch.bool, torch.complex64, torch.float8_e4m3fn)


def tensors() -> dict[str, Any]:
    """One of each dtype, beside views and tied ones."""
    tree = {str(dtype): (torch.randn(300, 40, device="cuda") > 0).to(dtype) for dtype in DTYPES}
    base = torch.randn(64, 32, 16, device="cuda")
    return tree | {"view": base.permute(2, 0, 1), "part": base[::2], "tied": base, "again": base, "host": base.cpu()}


def same(a: dict[str, Any], b: dict[str, Any]) -> bool:
    return all(bits(a[name]) == bits(b[name]) for name in a)


@pytest.mark.parametrize("staging", ["lazy", "full_copy", "device_copy"])
def test_round_trip(staging: str, prefix: str) -> None:
    tree = tensors()
    waypost.save(prefix, tree, staging=staging)
    into = {name: torch.zeros_like(tensor) for name, tensor in tree.items()}
    into["again"] = into["tied"]
    waypost.restore(prefix, into)
    assert same(into, tree)
    assert same(waypost.load(prefix), tree)


def test_what_the_stream_holds_is_saved(prefix: str) -> None:
    stream = torch.cuda.Stream()
    tensor = torch.zeros(1 << 22, device="cuda")
    torch.cuda.synchronize()
    with torch.cuda.stream(stream):
        for _ in range(200):
            tensor += 1
        waypost.save(prefix, {"a": tensor})
    assert bool((waypost.load(prefix)["a"] == 200).all())


def test_an_optimizer_on_the_gpu_goes_on_where_it_was(prefix: str) -> None:
    import waypost.torch

    def step(model: Any, optimizer: Any) -> None:
        optimizer.zero_grad()
        model(torch.ones(4, 8, device="cuda")).sum().backward()
        optimizer.step()

    torch.manual_seed(0)
    model = torch.nn.Linear(8, 3, device="cuda")
    optimizer = torch.optim.Adam(model.parameters())
    step(model, optimizer)
    waypost.save(prefix, waypost.torch.state_of(model=model, optimizer=optimizer))
    step(model, optimizer)
    other = torch.nn.Linear(8, 3, device="cuda")
    other_optimizer = torch.optim.Adam(other.parameters())
    waypost.torch.restore(prefix, model=other, optimizer=other_optimizer)
    step(other, other_optimizer)
    assert torch.equal(other.weight, model.weight)


def test_a_change_before_staging_is_found(prefix: str) -> None:
    with waypost.Engine(staging_bytes=16 << 20, write_bytes_per_second_max=16 << 20) as engine:
        tensor = torch.zeros(1 << 24, device="cuda")
        save = engine.save_async(prefix, {"a": tensor})
        while save.progress.bytes_staged == 0:
            pass
        tensor += 1
        with pytest.raises(waypost.AbortedError, match=r"\ba\b"):
            save.wait_committed()
