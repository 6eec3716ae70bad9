"""waypost.torch.graph_of: the nodes, scopes and shapes of a module; that the module is left as it was."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from waypost import summary, train

torch = pytest.importorskip("torch")
graph_of = pytest.importorskip("waypost.torch.graph").graph_of


class Model(torch.nn.Module):  # type: ignore[misc, name-defined]
    def __init__(self) -> None:
        super().__init__()
        self.embed = torch.nn.Embedding(10, 4)
        self.layers = torch.nn.ModuleList([torch.nn.Linear(4, 4) for _ in range(2)])
        self.norm = torch.nn.BatchNorm1d(4)
        self.drop = torch.nn.Dropout()
        self.register_buffer("scale", torch.ones(4, dtype=torch.bfloat16))
        self.offset = torch.arange(4.0)  # neither parameter nor buffer

    def forward(self, x: Any, *, index: Any) -> dict[str, Any]:
        y = self.embed(index) + self.offset
        for layer in self.layers:
            if y.sum() > -1e9:  # control flow that depends on the data
                y = torch.relu(layer(y))
        y = self.drop(self.norm(self.layers[0](y)))
        return {"y": y * self.scale.float() + x, "max": y.max(0)}


def nodes_of(graph_def: Any) -> dict[str, tuple[str, list[str]]]:
    return {name: (op, inputs) for name, op, _, inputs in graph_def.nodes()}


def test_nodes_scopes_and_inputs(tmp_path: Path) -> None:
    model = Model()
    graph_def = graph_of(model, torch.ones(3, 4), {"index": torch.tensor([1, 2, 3])})
    nodes = nodes_of(graph_def)
    for name in model.state_dict():
        assert nodes[f"Model/{name.replace('.', '/')}"][0] == "VarHandleOp"
    assert nodes["x"][0] == nodes["index"][0] == "Placeholder"
    assert nodes["Model/embed/embedding"] == (
        "aten.embedding",
        ["Model/embed/weight/Read/ReadVariableOp", "index"],
    )
    assert nodes["Model/add"][1] == ["Model/embed/embedding", "Model/constant"]
    assert "Model/layers/0/weight/Read/ReadVariableOp" in nodes["Model/layers/0/t"][1]
    assert "Model/layers/0_1/addmm" in nodes  # its second run
    assert nodes["output_2"][1] == ["Model/max:1"]
    written = train.write_graph(graph_def, tmp_path, "g.pbtxt")
    text = Path(written).read_text()
    assert "_output_shapes" in text
    assert train.GraphDef.FromString(text.encode()).SerializeToString() == graph_def.SerializeToString()
    with summary.FileWriter(tmp_path / "logs") as writer:
        writer.add_graph(graph_def)
    assert [event.kind for event in train.summary_iterator(tmp_path / "logs")] == [
        "file_version",
        "graph_def",
    ]


def test_module_is_left_as_it_was() -> None:
    model = Model()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    torch.manual_seed(7)
    expected = torch.rand(2)
    torch.manual_seed(7)
    graph_of(model, torch.ones(3, 4), {"index": torch.tensor([1, 2, 3])})
    assert torch.equal(torch.rand(2), expected)
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())


@pytest.mark.parametrize(
    ("module", "shape"),
    [
        (torch.nn.Conv2d(3, 4, 3, padding=1), (1, 3, 8, 8)),
        (torch.nn.LSTM(4, 5, num_layers=2), (2, 1, 4)),
        (torch.nn.TransformerEncoderLayer(8, 2, 16), (3, 1, 8)),
        (torch.nn.Identity(), (2,)),
    ],
)
def test_other_modules(module: Any, shape: tuple[int, ...]) -> None:
    for mode in (True, False):
        nodes = nodes_of(graph_of(module.train(mode), torch.ones(shape)))
        assert "output" in nodes


def test_what_is_wrong_is_named() -> None:
    with pytest.raises(ValueError, match=r"no torch\.nn\.Module"):
        graph_of(7, torch.ones(1))
    with pytest.raises(ValueError, match="Linear: missing a required argument"):
        graph_of(torch.nn.Linear(2, 2), ())
    with pytest.raises(ValueError, match="does not run on the example") as caught:
        graph_of(torch.nn.Linear(2, 2), torch.ones(3, 3))
    assert isinstance(caught.value.__cause__, RuntimeError)
