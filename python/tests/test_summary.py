"""waypost.summary: what operations evaluate to, what event files hold, and what is refused.

That TensorFlow and TensorBoard read them is proved in test_train_tensorflow.py.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import waypost
from waypost import summary, train


@pytest.fixture(autouse=True)
def graph() -> Iterator[train.Graph]:
    with train.Graph().as_default() as graph:
        yield graph


def test_every_kind_of_operation() -> None:
    loss = train.placeholder("float32", name="loss")
    weights = train.Variable(np.arange(4.0), name="weights")
    image = train.placeholder("uint8", [None, 2, 3, 1], name="image")
    clip = train.placeholder("float32", [1, None], name="clip")
    rate = train.placeholder("float32", name="rate")
    with train.name_scope("s"):
        summary.scalar("loss", loss, family="f")
        summary.histogram("weights", weights)
        summary.image("image", image, max_outputs=1)
        summary.audio("audio", clip, 8000)
        summary.audio("rated", clip, rate)
        summary.text("text", train.constant(["*a*", "b"]))
        metadata = summary.SummaryMetadata(plugin_name="p", plugin_content=b"c")
        summary.tensor_summary("tensor", weights, "about", summary_metadata=metadata, display_name="shown")
    merged = summary.merge_all()
    with train.Session() as sess:
        content = sess.run(
            merged,
            {
                loss: 2,
                image: np.zeros((2, 2, 3, 1), np.uint8),
                clip: np.zeros((1, 5), np.float32),
                "rate:0": 4000,
            },
        )
    values = {value.tag: value for value in summary.Summary.FromString(content).value}
    assert list(values) == [
        "f/s/f/loss", "s/weights", "s/image/image", "s/audio/audio/0", "s/rated/audio/0", "s/text",
        "s/tensor",
    ]  # fmt: skip
    assert values["f/s/f/loss"].simple_value == 2
    histogram = values["s/weights"].histo
    assert histogram is not None
    assert (histogram.min, histogram.max, histogram.num, histogram.sum) == (0, 3, 4, 6)
    assert values["s/image/image"].image.encoded_image_string.startswith(b"\x89PNG")  # type: ignore[union-attr]
    assert [values[f"s/{name}/audio/0"].audio.sample_rate for name in ("audio", "rated")] == [8000, 4000]  # type: ignore[union-attr]
    assert values["s/text"].tensor.tolist() == [b"*a*", b"b"]  # type: ignore[union-attr]
    assert values["s/tensor"].tensor.tolist() == [0, 1, 2, 3]  # type: ignore[union-attr]
    assert values["s/tensor"].metadata == summary.SummaryMetadata("p", b"c", "shown", "about")


def test_merge_and_merge_all() -> None:
    assert summary.merge_all() is None
    a, b = summary.scalar("a", 1.0), summary.scalar("b", 2.0, collections=["other"])
    both = summary.merge([b, a])
    with train.Session() as sess:
        tags = [value.tag for value in summary.Summary.FromString(sess.run(both)).value]
        assert tags == ["b", "a"]
        other = summary.merge_all("other")
        assert [value.tag for value in summary.Summary.FromString(sess.run(other)).value] == ["b"]
    assert summary.merge_all(scope="none") is None
    with pytest.raises(ValueError, match="merge summaries: there are none"):
        summary.merge([])


def test_what_cannot_be_shown_is_refused(graph: train.Graph) -> None:
    values = train.placeholder("float32", [None], name="values")
    shown = summary.histogram("h", values)
    with train.Session() as sess:
        for wrong in ([1, float("nan")], [float("inf")]):
            with pytest.raises(ValueError, match=r"[Nn]a[Nn]|inf|finite"):
                sess.run(shown, {values: wrong})
        with pytest.raises(ValueError, match="not fed"):
            sess.run(shown)
        with pytest.raises(ValueError, match="values"):
            sess.run(shown, {values: np.ones((2, 2), np.float32)})
    with pytest.raises(ValueError, match="string"):
        summary.scalar("s", train.placeholder("string", name="text"))
    with train.Graph().as_default(), pytest.raises(ValueError, match="another graph"):
        summary.merge([summary.scalar("x", 1.0), shown])


def test_summary_by_hand() -> None:
    torch = pytest.importorskip("torch")
    made = summary.Summary(value=[summary.Summary.Value(tag="loss", simple_value=0.5)])
    made.add_histogram("h", torch.arange(4.0, dtype=torch.bfloat16))
    made.add_image("i", np.zeros((2, 2, 3), np.uint8))
    made.add_audio("a", np.zeros((4, 1), np.float32), 8000)
    made.add_text("t", "*x*")
    made.add_tensor("n", [[1, 2]], "plugin", b"content")
    kinds = [(value.tag, value.kind) for value in made.value]
    assert kinds == [
        ("loss", "simple_value"), ("h", "histo"), ("i", "image"), ("a", "audio"), ("t", "tensor"),
        ("n", "tensor"),
    ]  # fmt: skip
    with pytest.raises(waypost.DataLossError):
        summary.Summary.FromString(b"\xff")


class Fleeting:
    """Gives an array whose values are others as soon as nobody keeps the array."""

    def __init__(self, values: np.ndarray) -> None:
        self.memory = values.copy()

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        array = self.memory[:]
        weakref.finalize(array, self.memory.fill, 0)
        return array


def test_a_value_that_is_copied_is_kept_until_it_is_read() -> None:
    # Proved: what a Summary makes of a value lives as long as the engine reads it.
    kept, fleeting = summary.Summary(), summary.Summary()
    ramp = np.linspace(0.25, 1, 4, dtype=np.float32)
    for made, of in ((kept, np.copy), (fleeting, Fleeting)):
        made.add_histogram("h", of(ramp))
        made.add_image("i", of(ramp.reshape(2, 2, 1)))
        made.add_audio("a", of(ramp.reshape(4, 1)), 8000)
        made.add_tensor("t", of(ramp))
    assert fleeting.SerializeToString() == kept.SerializeToString()


def test_file_writer_writes_what_it_is_given(tmp_path: Path, graph: train.Graph) -> None:
    train.Variable(np.ones(2), name="v")
    with summary.FileWriter(tmp_path, graph, filename_suffix=".s") as writer:
        assert writer.get_logdir() == str(tmp_path)
        writer.add_summary(summary.Summary([summary.Summary.Value("x", 1.0)]), np.int64(5))
        writer.add_graph(graph.as_graph_def(), 6)
        writer.add_session_log(summary.SessionLog(status=summary.SessionLog.CHECKPOINT, checkpoint_path="p"), 7)
        writer.add_run_metadata(b"", "tag", 8)
        writer.flush()
        writer.close()
        with pytest.raises(waypost.FailedPreconditionError):
            writer.add_summary(b"", 9)
        writer.reopen()
        writer.add_summary(summary.Summary(), 10)
    events = list(train.summary_iterator(tmp_path))
    assert [(event.kind, event.step) for event in events] == [
        ("file_version", 0), ("graph_def", 0), ("meta_graph_def", 0), ("summary", 5), ("graph_def", 6),
        ("session_log", 7), ("tagged_run_metadata", 8), ("file_version", 0), ("summary", 10),
    ]  # fmt: skip
    assert events[0].file_version == "brain.Event:2"
    assert train.GraphDef.FromString(events[4].payload).nodes() == graph.as_graph_def().nodes()
    assert events[3].summary.value[0].simple_value == 1
    assert len(list(tmp_path.glob("*.s"))) == 2
    assert summary.last_step(tmp_path) == 10


def test_negative_steps_and_wrong_arguments(tmp_path: Path) -> None:
    with summary.FileWriter(tmp_path) as writer:
        writer.add_graph(train.Graph().as_graph_def(), -3)
        for call in (writer.add_summary, writer.add_event, writer.add_session_log, writer.add_graph):
            with pytest.raises(ValueError, match="int"):
                call(7)
        with pytest.raises(ValueError, match="global_step"):
            writer.add_summary(b"", "x")  # type: ignore[arg-type]
    assert [event.step for event in train.summary_iterator(tmp_path)] == [0, -3]
    with pytest.raises(NotImplementedError, match="session"):
        summary.FileWriter(tmp_path, session=object())


def test_cache_has_one_writer_a_directory(tmp_path: Path) -> None:
    writer = summary.FileWriterCache.get(tmp_path / "a")
    assert summary.FileWriterCache.get(tmp_path / "a") is writer
    assert summary.FileWriterCache.get(tmp_path / "b") is not writer
    writer.add_summary(b"", 1)
    summary.FileWriterCache.clear()
    assert [event.step for event in train.summary_iterator(tmp_path / "a")] == [0, 1]
    assert summary.FileWriterCache.get(tmp_path / "a") is not writer
    summary.FileWriterCache.clear()
