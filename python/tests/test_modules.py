"""Modules whose state dict holds more than their live tensors come back whole, whichever way they are restored."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import waypost
from waypost import Engine, _modules, train

torch = pytest.importorskip("torch", reason="needs PyTorch")

import waypost.torch  # noqa: E402


class Extra(torch.nn.Linear):  # type: ignore[misc, name-defined]
    """Has extra state of some type."""

    def __init__(self, extra: Any) -> None:
        super().__init__(3, 2)
        self.extra = extra

    def get_extra_state(self) -> Any:
        return self.extra.clone() if isinstance(self.extra, torch.Tensor) else self.extra

    def set_extra_state(self, state: Any) -> None:
        self.extra = state


class Copies(torch.nn.Linear):  # type: ignore[misc, name-defined]
    """Its state dict has copies of its tensors."""

    def __init__(self, value: float) -> None:
        super().__init__(3, 2)
        self.weight.data.fill_(value)
        self.register_state_dict_post_hook(self._copy)

    @staticmethod
    def _copy(module: Any, state: dict[str, Any], prefix: str, metadata: Any) -> None:
        for name in list(state):
            state[name] = state[name].detach().clone()


MAKERS: dict[str, tuple[Callable[[], Any], Callable[[], Any]]] = {
    "int": (lambda: Extra(5), lambda: Extra(0)),
    "tensor": (lambda: Extra(torch.ones(4)), lambda: Extra(torch.zeros(4))),
    "dict": (lambda: Extra({"step": 7, "name": "x"}), lambda: Extra({"step": 0, "name": ""})),
    "copies": (lambda: Copies(1.0), lambda: Copies(0.0)),
}


def through_engine(path: Path, saved: Any, into: Any) -> None:
    waypost.save(path / "m", {"models": [saved.state_dict()]})
    with Engine() as engine:
        _modules.restore(engine, waypost.OpenCheckpoint(path / "m"), "models/0", into)


def through_saver(path: Path, saved: Any, into: Any) -> None:
    with train.Graph().as_default():
        name = train.Saver().save({"model": saved, "step": 3}, str(path / "m"))
        train.Saver().restore({"model": into, "step": 0}, name)


def through_torch(path: Path, saved: Any, into: Any) -> None:
    waypost.save(path / "m", waypost.torch.state_of(model=saved))
    waypost.torch.restore(path / "m", model=into)


def through_accelerate(path: Path, saved: Any, into: Any) -> None:
    accelerate = pytest.importorskip("accelerate", reason="needs Accelerate")
    from waypost.accelerate import load_state, save_state

    for run, model in ((save_state, saved), (load_state, into)):
        accelerator = accelerate.Accelerator(cpu=True)
        accelerator.prepare(model)
        run(accelerator, path / "state")
    accelerate.state.AcceleratorState._reset_state(reset_partial_state=True)


@pytest.mark.parametrize("through", [through_engine, through_saver, through_torch, through_accelerate])
@pytest.mark.parametrize("kind", MAKERS)
def test_all_of_a_module_comes_back(tmp_path: Path, through: Callable[[Path, Any, Any], None], kind: str) -> None:
    make_saved, make_into = MAKERS[kind]
    saved, into = make_saved(), make_into()
    through(tmp_path, saved, into)
    assert torch.equal(into.weight, saved.weight)
    assert torch.equal(into.bias, saved.bias)
    if kind == "tensor":
        assert torch.equal(into.extra, saved.extra)
    elif kind != "copies":
        assert into.extra == saved.extra
