"""Modules and optimizers of PyTorch: saved, and brought back in place.

Proved: a job that is resumed computes bit by bit what one computes that was never stopped, for optimizers of several
kinds, with new and with used ones; tensors are filled in place where they are the job's own, and handed to
``load_state_dict`` where not; tied, transposed, half and 8-bit parameters are right; whatever does not fit is refused
by name and changes nothing; a guarded optimizer makes no step while a save reads its tensors.
"""

from __future__ import annotations

import copy
import os
from collections.abc import Callable
from typing import Any

import pytest

torch = pytest.importorskip("torch")

import waypost  # noqa: E402
from bits import bits  # noqa: E402
from waypost.torch import guard, restore, state_of  # noqa: E402

OPTIMIZERS: dict[str, Callable[[Any], Any]] = {
    "sgd": lambda parameters: torch.optim.SGD(parameters, lr=0.1),
    "momentum": lambda parameters: torch.optim.SGD(parameters, lr=0.1, momentum=0.9),
    "adam": lambda parameters: torch.optim.Adam(parameters, lr=0.01, amsgrad=True),
    "tensor_lr": lambda parameters: torch.optim.AdamW(parameters, lr=torch.tensor(0.01), foreach=False),
    "adafactor": lambda parameters: torch.optim.Adafactor(parameters),
    "lbfgs": lambda parameters: torch.optim.LBFGS(parameters, lr=0.1, max_iter=3),
    "groups": lambda parameters: torch.optim.Adam(
        [{"params": group, "lr": 0.1 / (i + 1)} for i, group in enumerate(zip(*[iter(parameters)] * 2, strict=False))]
    ),
}


def make_net(seed: int) -> Any:
    torch.manual_seed(seed)
    return torch.nn.Sequential(torch.nn.Linear(5, 6), torch.nn.BatchNorm1d(6), torch.nn.Tanh(), torch.nn.Linear(6, 3))


def train(net: Any, optimizer: Any, steps: range) -> None:
    for step in steps:
        x = torch.randn(8, 5, generator=torch.Generator().manual_seed(step))

        def closure(x: Any = x) -> Any:
            optimizer.zero_grad()
            loss = net(x).square().sum()
            loss.backward()
            return loss

        optimizer.step(closure)


def assert_same(found: Any, expected: Any) -> None:
    """Trees of equal structure, tensors equal bit by bit."""
    assert type(found) is type(expected)
    if isinstance(expected, torch.Tensor):
        assert (found.dtype, found.shape) == (expected.dtype, expected.shape)
        assert bits(found) == bits(expected)
    elif isinstance(expected, dict):
        assert list(found) == list(expected)
        for key, value in expected.items():
            assert_same(found[key], value)
    elif isinstance(expected, list | tuple):
        assert len(found) == len(expected)
        for one, other in zip(found, expected, strict=True):
            assert_same(one, other)
    else:
        assert found == expected


def addresses(tree: Any) -> list[int]:
    if isinstance(tree, torch.Tensor):
        return [tree.data_ptr()]
    members = tree.values() if isinstance(tree, dict) else tree if isinstance(tree, list | tuple) else ()
    return [address for member in members for address in addresses(member)]


# ---- A job that is resumed ----


@pytest.mark.parametrize("steps_before", [0, 2], ids=["new", "used"])
@pytest.mark.parametrize("kind", OPTIMIZERS)
def test_a_resumed_job_computes_what_one_does_that_was_not_stopped(prefix: str, kind: str, steps_before: int) -> None:
    net = make_net(1)
    optimizer = OPTIMIZERS[kind](net.parameters())
    train(net, optimizer, range(3))
    waypost.save(prefix, state_of(model=net, optimizer=optimizer, step=3))
    train(net, optimizer, range(3, 6))

    resumed = make_net(2)
    other = OPTIMIZERS[kind](resumed.parameters())
    train(resumed, other, range(50, 50 + steps_before))
    for group in other.param_groups:
        group["lr"] = 123.0 if not isinstance(group["lr"], torch.Tensor) else group["lr"].fill_(123.0)
    in_place = addresses(resumed.state_dict())
    found = restore(prefix, model=resumed, optimizer=other, step=0)
    assert found == {"model": resumed, "optimizer": other, "step": 3}
    assert addresses(resumed.state_dict()) == in_place
    train(resumed, other, range(3, 6))
    assert_same(resumed.state_dict(), net.state_dict())
    assert_same(other.state_dict(), optimizer.state_dict())


@pytest.mark.parametrize("kind", ["momentum", "adam"])
def test_state_dicts_alone_will_do(prefix: str, kind: str) -> None:
    net = make_net(1)
    optimizer = OPTIMIZERS[kind](net.parameters())
    train(net, optimizer, range(2))
    waypost.save(prefix, {"model": net.state_dict(), "optimizer": optimizer.state_dict(), "step": 2})

    used = make_net(2)
    other = OPTIMIZERS[kind](used.parameters())
    train(used, other, range(50, 52))
    state = {"model": used.state_dict(), "optimizer": other.state_dict(), "step": 0}
    before = addresses(state)
    assert waypost.restore(prefix, into=state) is state
    assert addresses(state) == before
    other.load_state_dict(state["optimizer"])
    assert_same(used.state_dict(), net.state_dict())
    assert_same(other.state_dict(), optimizer.state_dict())

    new = make_net(3)
    other = OPTIMIZERS[kind](new.parameters())
    loaded = waypost.load(prefix)
    new.load_state_dict(loaded["model"])
    other.load_state_dict(loaded["optimizer"])
    assert_same(other.state_dict(), optimizer.state_dict())
    assert_same(new.state_dict(), net.state_dict())


def test_an_optimizer_that_is_used_is_filled_in_place(prefix: str) -> None:
    net = make_net(1).bfloat16()
    optimizer = torch.optim.Adam(net.parameters())
    for parameter in net.parameters():
        parameter.grad = torch.ones_like(parameter)
    optimizer.step()
    # Kept more precisely than the parameters: load_state_dict would round them.
    for state in optimizer.state.values():
        state["exp_avg"] = torch.rand(state["exp_avg"].shape)
    waypost.save(prefix, state_of(optimizer=optimizer))
    expected = copy.deepcopy(optimizer.state_dict())
    before = addresses(optimizer.state_dict()["state"])
    for state in optimizer.state.values():
        state["exp_avg"].zero_()
    restore(prefix, optimizer=optimizer)
    assert addresses(optimizer.state_dict()["state"]) == before
    assert_same(optimizer.state_dict(), expected)


def test_schedulers_and_trees_beside_them(prefix: str) -> None:
    net = make_net(1)
    optimizer = torch.optim.SGD(net.parameters(), lr=1.0, momentum=0.5)

    def make_scheduler(of: Any) -> Any:
        return torch.optim.lr_scheduler.SequentialLR(
            of,
            [torch.optim.lr_scheduler.ConstantLR(of, 0.5), torch.optim.lr_scheduler.CosineAnnealingLR(of, 10)],
            milestones=[2],
        )

    scheduler = make_scheduler(optimizer)
    for step in range(4):
        train(net, optimizer, range(step, step + 1))
        scheduler.step()
    rng = torch.get_rng_state()
    waypost.save(prefix, state_of(model=net, optimizer=optimizer, scheduler=scheduler, loop={"epoch": 1, "rng": rng}))
    other_net = make_net(2)
    other = torch.optim.SGD(other_net.parameters(), lr=1.0, momentum=0.5)
    other_scheduler = make_scheduler(other)
    found = restore(
        prefix, model=other_net, optimizer=other, scheduler=other_scheduler, loop={"epoch": 0, "rng": rng.clone()}
    )
    assert found["loop"]["epoch"] == 1
    assert torch.equal(found["loop"]["rng"], rng)
    assert other_scheduler.get_last_lr() == scheduler.get_last_lr()
    scheduler.step()
    other_scheduler.step()
    assert other.param_groups[0]["lr"] == optimizer.param_groups[0]["lr"]


# ---- Parameters of all kinds ----


class Odd(torch.nn.Module):
    """Tied, frozen, half, 8-bit, transposed, and channels_last parameters; a scalar, an empty one, a buffer."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.embedding = torch.nn.Embedding(7, 4)
        self.head = torch.nn.Linear(4, 7, bias=False)
        self.head.weight = self.embedding.weight
        self.conv = torch.nn.Conv2d(3, 4, 3).to(memory_format=torch.channels_last)
        self.bf16 = torch.nn.Parameter(torch.randn(5).bfloat16())
        self.fp8 = torch.nn.Parameter(torch.randn(4, 4).to(torch.float8_e4m3fn), requires_grad=False)
        self.turned = torch.nn.Parameter(torch.randn(3, 5).t())
        self.scale = torch.nn.Parameter(torch.randn(()))
        self.none = torch.nn.Parameter(torch.empty(0, 3))
        self.phase = torch.nn.Parameter(torch.randn(2, dtype=torch.complex64))
        self.register_buffer("window", torch.randn(8)[::2])
        self.register_buffer("scratch", torch.randn(2), persistent=False)


def test_parameters_of_all_kinds(prefix: str) -> None:
    odd, other = Odd(1), Odd(2)
    scratch = other.scratch.clone()
    waypost.save(prefix, state_of(model=odd))
    before = addresses(other.state_dict())
    restore(prefix, model=other)
    assert addresses(other.state_dict()) == before
    assert_same(dict(other.state_dict()), dict(odd.state_dict()))
    assert other.head.weight is other.embedding.weight
    assert torch.equal(other.scratch, scratch)
    assert not other.fp8.requires_grad
    assert other.bf16.requires_grad
    assert other.conv.weight.is_contiguous(memory_format=torch.channels_last)


def test_a_lazy_module_is_refused_by_name(prefix: str) -> None:
    lazy = torch.nn.Sequential(torch.nn.LazyLinear(3))
    with pytest.raises(waypost.InvalidArgumentError, match=r"model/0\.weight: the parameter is not initialized yet"):
        waypost.save(prefix, state_of(model=lazy))
    made = torch.nn.Sequential(torch.nn.Linear(2, 3))
    waypost.save(prefix, state_of(model=made))
    with pytest.raises(waypost.InvalidArgumentError, match=r"model/0\.weight: the parameter is not initialized yet"):
        restore(prefix, model=lazy)
    lazy(torch.ones(1, 2))
    restore(prefix, model=lazy)
    assert torch.equal(lazy[0].weight, made[0].weight)


class Extra(torch.nn.Module):
    def __init__(self, note: str) -> None:
        super().__init__()
        self.w = torch.nn.Parameter(torch.full((2,), float(len(note))))
        self.note = note

    def get_extra_state(self) -> dict[str, str]:
        return {"note": self.note}

    def set_extra_state(self, state: dict[str, str]) -> None:
        self.note = state["note"]


def test_extra_state_is_given_to_the_module(prefix: str) -> None:
    waypost.save(prefix, state_of(model=Extra("one")))
    other = Extra("fifth")
    restore(prefix, model=other)
    assert (other.note, other.w.tolist()) == ("one", [3, 3])


def test_a_module_that_gives_copies_is_given_them_back(prefix: str) -> None:
    def double(module: Any, state: Any, *_: Any) -> None:
        state["weight"] = state["weight"] * 2

    def halve(module: Any, state: Any, *_: Any) -> None:
        state["weight"] = state["weight"] / 2

    modules = [torch.nn.Linear(2, 2) for _ in range(2)]
    for module in modules:
        module.register_state_dict_post_hook(double)
        module.register_load_state_dict_pre_hook(halve)
    waypost.save(prefix, state_of(model=modules[0]))
    restore(prefix, model=modules[1])
    assert torch.equal(modules[1].weight, modules[0].weight)


# ---- What does not fit ----


def test_what_does_not_fit_is_refused_by_name_and_changes_nothing(prefix: str) -> None:
    net = make_net(1)
    optimizer = torch.optim.Adam(net.parameters())
    train(net, optimizer, range(1))
    waypost.save(prefix, state_of(model=net, optimizer=optimizer))
    other = torch.nn.Sequential(*list(make_net(2))[:2])
    before = copy.deepcopy(other.state_dict())
    with pytest.raises(
        waypost.InvalidArgumentError, match=r"module model does not have model/3\.bias, model/3\.weight"
    ):
        restore(prefix, model=other)
    assert_same(other.state_dict(), before)
    restore(prefix, model=other, strict=False)
    assert_same(other[0].weight.data, net[0].weight.data)

    larger = torch.nn.Sequential(*make_net(2), torch.nn.Linear(3, 3))
    before = copy.deepcopy(larger.state_dict())
    with pytest.raises(waypost.NotFoundError, match=r"model/4\.weight"):
        restore(prefix, model=larger)
    assert_same(larger.state_dict(), before)

    wide = torch.nn.Sequential(torch.nn.Linear(5, 7), *list(make_net(2))[1:])
    with pytest.raises(waypost.InvalidArgumentError, match=r"model/0\.weight"):
        restore(prefix, model=wide)
    with pytest.raises(waypost.NotFoundError, match="no scheduler"):
        restore(prefix, model=net, scheduler=torch.optim.lr_scheduler.ConstantLR(optimizer))
    with pytest.raises(FileNotFoundError, match="nothing"):
        restore(f"{os.path.dirname(prefix)}/nothing", model=net)

    # The groups of another optimizer: PyTorch's own refusal, and nothing changed.
    groups = OPTIMIZERS["groups"](net.parameters())
    before = copy.deepcopy(groups.state_dict())
    with pytest.raises(ValueError, match="parameter group"):
        restore(prefix, optimizer=groups)
    assert_same(groups.state_dict(), before)


def test_damage_leaves_an_optimizer_without_state_as_it_was(prefix: str) -> None:
    net = make_net(1)
    optimizer = torch.optim.Adam(net.parameters(), lr=0.5)
    train(net, optimizer, range(1))
    waypost.save(prefix, state_of(optimizer=optimizer))
    extent = next(info for info in waypost.list(prefix) if info.name == "optimizer/state/3/exp_avg").extents[0]
    with open(f"{prefix}.data-00000-of-00001", "r+b") as file:
        file.seek(extent.offset)
        byte = file.read(1)
        file.seek(extent.offset)
        file.write(bytes([byte[0] ^ 1]))
    other = torch.optim.Adam(net.parameters(), lr=0.25)
    with pytest.raises(waypost.DataLossError, match="optimizer/state/3/exp_avg"):
        restore(prefix, optimizer=other)
    assert other.state_dict()["state"] == {}
    assert other.param_groups[0]["lr"] == 0.25


# ---- Steps while a save reads ----


def test_a_guarded_optimizer_waits_before_it_changes_anything(prefix: str) -> None:
    parameter = torch.nn.Parameter(torch.zeros(1 << 22))
    parameter.grad = torch.ones_like(parameter)
    optimizer = torch.optim.SGD([parameter], lr=1.0)
    with waypost.Engine() as engine:
        guards = [guard(optimizer, engine), guard(optimizer)]
        for step in range(4):
            save = engine.save_async(prefix, {"p": parameter, "step": step})
            optimizer.step()
            assert save.state not in ("planned", "staging")
            save.wait_committed()
            loaded = waypost.load(prefix)
            assert loaded["p"].unique().tolist() == [-loaded["step"]]
        for made in guards:
            made.remove()

    class Waited:
        count = 0

        def wait_staged(self) -> None:
            assert parameter.detach()[0] == -4 - self.count
            self.count += 1

    waited = Waited()
    handle = guard(optimizer, waited)
    optimizer.step()
    optimizer.step()
    handle.remove()
    optimizer.step()
    assert waited.count == 2


def test_a_step_raises_the_error_of_a_save_that_failed_and_changes_nothing() -> None:
    parameter = torch.nn.Parameter(torch.zeros(2))
    parameter.grad = torch.ones(2)
    optimizer = torch.optim.SGD([parameter], lr=1.0)

    class Failed:
        def wait_staged(self) -> None:
            raise waypost.UnavailableError("write: no")

    guard(optimizer, Failed())
    with pytest.raises(waypost.UnavailableError, match="write: no"):
        optimizer.step()
    assert parameter.tolist() == [0, 0]


def test_names_of_the_module() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        getattr(waypost.torch, "nothing")  # noqa: B009
