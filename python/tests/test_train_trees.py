"""waypost.train.Saver over trees, modules, optimizers: names, restore in place, retention, meta graph."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import waypost
from waypost import train


@pytest.fixture(autouse=True)
def graph() -> Iterator[train.Graph]:
    with train.Graph().as_default() as graph:
        yield graph


def new_tree() -> dict[str, Any]:
    return {
        "w": np.arange(6.0).reshape(2, 3),
        "step": 3,
        "names": ["a", b"b"],
        "pair": (np.ones(2, np.int8), 0.5),
    }


def test_tree_is_saved_with_state_file_and_meta_graph(tmp_path: Path) -> None:
    saver = train.Saver(max_to_keep=2)
    tree = new_tree()
    for step in range(3):
        tree["step"] = step
        assert saver.save(tree, str(tmp_path / "m"), global_step=step) == str(tmp_path / f"m-{step}")
    assert saver.last_checkpoints == [str(tmp_path / "m-1"), str(tmp_path / "m-2")]
    assert not train.checkpoint_exists(tmp_path / "m-0")
    assert train.list_variables(tmp_path) == [
        ("names/0", []),
        ("names/1", []),
        ("pair/0", [2]),
        ("pair/1", []),
        ("step", []),
        ("w", [2, 3]),
    ]
    loaded = waypost.load(train.latest_checkpoint(tmp_path))  # type: ignore[arg-type]
    assert (loaded["step"], loaded["names"], loaded["pair"][1]) == (2, ["a", b"b"], 0.5)
    imported = train.import_meta_graph(str(tmp_path / "m-2.meta"))
    assert imported is not None
    with train.Session() as sess:
        imported.restore(sess, str(tmp_path / "m-2"))
        values = {v.op.name: sess.run(v) for v in train.global_variables()}
    assert values["w"].tolist() == tree["w"].tolist()
    assert values["step"] == 2


def test_tree_is_restored_in_place(tmp_path: Path) -> None:
    path = train.Saver().save(new_tree(), str(tmp_path / "m"))
    target = new_tree()
    array = target["w"]
    array[:] = 0
    target |= {"step": 0, "names": ["", b""], "pair": (np.zeros(2, np.int8), 0.0)}
    restored = train.Saver().restore(target, path)
    assert restored is target
    assert target["w"] is array
    assert array.tolist() == new_tree()["w"].tolist()
    assert (target["step"], target["names"], target["pair"][1]) == (3, ["a", b"b"], 0.5)


def test_a_tree_that_changes_keeps_what_retention_counts(tmp_path: Path) -> None:
    saver = train.Saver(max_to_keep=2)
    saver.save({"a": np.ones(2)}, str(tmp_path / "m"), 1)
    saver.save({"a": np.ones(3)}, str(tmp_path / "m"), 2)
    saver.save({"b": np.ones(3)}, str(tmp_path / "m"), 3)
    assert saver.last_checkpoints == [str(tmp_path / "m-2"), str(tmp_path / "m-3")]
    assert not train.checkpoint_exists(tmp_path / "m-1")


def test_saves_that_are_over_keep_no_state(tmp_path: Path) -> None:
    # Proved: once a Saver's save is over and the next one starts, nothing of it is kept, though nobody waited for it.
    with waypost.Engine() as engine:
        saver = train.Saver(engine=engine)
        states = []
        for step in range(8):
            array = np.full(1 << 16, step)
            states.append(weakref.ref(array))
            saver.save_async({"a": array}, str(tmp_path / "m"), step)
            del array
        gc.collect()
        assert all(state() is None for state in states[:-1])
        # The last one, and one before it that may still have removed old files.
        assert len(engine._handles) <= 3
        saver.wait_committed()
        gc.collect()
        assert states[-1]() is None


def test_names_that_no_node_can_have(tmp_path: Path) -> None:
    tree = {"a b": np.ones(1), "a_b": np.ones(2), "_x": np.ones(3), "größe": np.ones(4)}
    path = train.Saver().save(tree, str(tmp_path / "m"))
    assert dict(train.list_variables(path)) == {name: [size + 1] for size, name in enumerate(tree)}
    assert train.import_meta_graph(f"{path}.meta") is not None


def test_what_cannot_be_saved_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"tree\['x'\].*object"):
        train.Saver().save({"x": object()}, str(tmp_path / "m"))
    train.Variable(np.ones(1), name="v")
    with pytest.raises(ValueError, match="graph's variables"):
        train.Saver(train.global_variables()).save({"x": np.ones(1)}, str(tmp_path / "m"))
    assert list(tmp_path.iterdir()) == []
    # One of all variables may be used with others' tensors, too.
    assert train.Saver().save({"x": np.ones(1)}, str(tmp_path / "m")) == str(tmp_path / "m")


def test_module_and_optimizer(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")

    def made(seed: int) -> dict[str, Any]:
        torch.manual_seed(seed)
        model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4))
        optimizer = torch.optim.Adam(model.parameters())
        return {"model": model, "optimizer": optimizer, "epoch": seed}

    trained = made(1)
    trained["model"](torch.randn(5, 3)).sum().backward()
    trained["optimizer"].step()
    saver = train.Saver()
    path = saver.save(trained, str(tmp_path / "m"), 1)
    fresh = made(2)
    pointers = [parameter.data_ptr() for parameter in fresh["model"].parameters()]
    saver.restore(fresh, path)
    assert [parameter.data_ptr() for parameter in fresh["model"].parameters()] == pointers
    assert fresh["epoch"] == 1
    for name, tensor in trained["model"].state_dict().items():
        assert torch.equal(tensor, fresh["model"].state_dict()[name])
    state, expected = fresh["optimizer"].state_dict(), trained["optimizer"].state_dict()
    assert state["param_groups"] == expected["param_groups"]
    for i, moments in expected["state"].items():
        assert all(torch.equal(tensor, state["state"][i][name]) for name, tensor in moments.items())

    alone = train.Saver()
    path = alone.save(trained["model"], str(tmp_path / "model"))
    assert dict(train.list_variables(path))["0.weight"] == [4, 3]
    with torch.no_grad():
        fresh["model"][0].weight.zero_()
    alone.restore(fresh["model"], path)
    assert torch.equal(fresh["model"][0].weight, trained["model"][0].weight)
    path = alone.save(trained["optimizer"], str(tmp_path / "optimizer"))
    other = made(3)["optimizer"]
    alone.restore(other, path)
    assert torch.equal(other.state_dict()["state"][0]["exp_avg"], expected["state"][0]["exp_avg"])
