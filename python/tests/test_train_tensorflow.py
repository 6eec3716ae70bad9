"""TensorFlow judges waypost.train and waypost.summary: signatures, checkpoints, graphs, events, sessions."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from waypost import summary, train

SIGNATURES = """
import inspect, json
import tensorflow.compat.v1 as tf
def described(function):
    return [[p.name, repr(p.default) if p.default is not p.empty else None, str(p.kind)]
            for p in inspect.signature(function).parameters.values()]
found = {}
for names, place in ((%r, tf.train), (%r, tf.summary), (%r, tf)):
    found |= {name: described(getattr(place, name)) for name in names}
found |= {f"Saver.{name}": described(getattr(tf.train.Saver, name)) for name in %r}
found |= {f"FileWriter.{name}": described(getattr(tf.summary.FileWriter, name)) for name in %r}
print(json.dumps(found))
"""
TRAIN = [
    "Saver",
    "get_checkpoint_state",
    "latest_checkpoint",
    "checkpoint_exists",
    "get_checkpoint_mtimes",
    "remove_checkpoint",
    "update_checkpoint_state",
    "generate_checkpoint_state_proto",
    "list_variables",
    "load_checkpoint",
    "load_variable",
    "write_graph",
    "export_meta_graph",
    "import_meta_graph",
    "summary_iterator",
    "get_global_step",
    "create_global_step",
    "get_or_create_global_step",
    "global_step",
]
SUMMARY = [
    "FileWriter",
    "scalar",
    "histogram",
    "image",
    "audio",
    "text",
    "tensor_summary",
    "merge",
    "merge_all",
]
TOP = ["name_scope", "placeholder", "Session", "constant", "get_variable"]
SAVER = [
    "save",
    "restore",
    "build",
    "export_meta_graph",
    "as_saver_def",
    "to_proto",
    "from_proto",
    "set_last_checkpoints",
    "set_last_checkpoints_with_time",
    "recover_last_checkpoints",
]
WRITER = [
    "add_summary",
    "add_event",
    "add_graph",
    "add_meta_graph",
    "add_session_log",
    "add_run_metadata",
    "flush",
    "close",
    "reopen",
    "get_logdir",
]
# Ours has a name where TensorFlow has "**kwargs", or less than an enumeration as default.
DIFFERENT = {"get_variable"}

Tensorflow = Callable[..., str]


@pytest.fixture(autouse=True)
def graph() -> Iterator[train.Graph]:
    with train.Graph().as_default() as graph:
        yield graph


def test_signatures_are_tensorflows(tensorflow: Tensorflow) -> None:
    theirs = json.loads(tensorflow(SIGNATURES % (TRAIN, SUMMARY, TOP, SAVER, WRITER)).splitlines()[-1])
    ours: dict[str, Any] = {name: getattr(train, name) for name in (*TRAIN, *TOP)}
    ours |= {name: getattr(summary, name) for name in SUMMARY}
    ours |= {f"Saver.{name}": getattr(train.Saver, name) for name in SAVER}
    ours |= {f"FileWriter.{name}": getattr(summary.FileWriter, name) for name in WRITER}
    wrong = []
    for name, function in ours.items():
        mine = [
            [p.name, repr(p.default) if p.default is not p.empty else None]
            for p in inspect.signature(function).parameters.values()
            if p.kind is not p.KEYWORD_ONLY
        ]
        expected = [[p[0], p[1]] for p in theirs[name] if p[2] != "VAR_KEYWORD" and not p[2].startswith("variadic")]
        if name in DIFFERENT:
            mine, expected = [[p[0], None] for p in mine], [[p[0], None] for p in expected]
        if mine[: len(expected)] != expected:
            wrong.append((name, mine, expected))
    assert wrong == []


def test_tensorflow_reads_what_is_saved(tmp_path: Path, tensorflow: Tensorflow) -> None:
    torch = pytest.importorskip("torch")
    graph_of = pytest.importorskip("waypost.torch.graph").graph_of
    w = np.arange(6, dtype=np.float32).reshape(2, 3)
    h = torch.arange(4, dtype=torch.bfloat16)
    train.Variable(w, name="layer/w")
    train.Variable(h, name="h")
    train.Variable(np.array([b"x", b"yy"], object), name="names")
    loss = train.placeholder("float32", name="loss")
    summary.scalar("cost", loss)
    summary.histogram("weights", train.global_variables()[0])
    merged = summary.merge_all()
    saver = train.Saver()
    with train.Session() as sess, summary.FileWriter(tmp_path / "logs", sess.graph) as writer:
        saver.save(sess, str(tmp_path / "m"), 1)
        writer.add_summary(sess.run(merged, {loss: 0.25}), 3)
    of_module = graph_of(torch.nn.Sequential(torch.nn.Linear(3, 2)), torch.ones(1, 3))
    summary.FileWriter(tmp_path / "module", of_module).close()
    train.write_graph(sess.graph, tmp_path, "g.pb", as_text=False)
    train.Saver(max_to_keep=1).save({"model": torch.nn.Linear(2, 2), "step": 5}, str(tmp_path / "tree"))
    printed = tensorflow(
        """
        import json, numpy as np, tensorflow.compat.v1 as tf
        from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
        tf.disable_eager_execution()
        directory = sys.argv[1]
        with tf.Graph().as_default(), tf.Session() as sess:
            saver = tf.train.import_meta_graph(f"{directory}/m-1.meta")
            saver.restore(sess, f"{directory}/m-1")
            values = {v.op.name: sess.run(v) for v in tf.global_variables()}
            assert values["layer/w"].tolist() == [[0, 1, 2], [3, 4, 5]], values
            assert values["h"].astype(float).tolist() == [0, 1, 2, 3]
            assert values["names"].tolist() == [b"x", b"yy"]
            merged = [n.name for n in sess.graph.as_graph_def().node if n.op == "MergeSummary"][0]
            sess.run(f"{merged}:0", {"loss:0": 1})
        with tf.Graph().as_default(), tf.Session() as sess:
            v = tf.get_variable("model/weight", [2, 2])
            tf.train.Saver([v]).restore(sess, f"{directory}/tree")
            imported = tf.train.import_meta_graph(f"{directory}/tree.meta", import_scope="x")
            imported.restore(sess, f"{directory}/tree")
        assert dict(tf.train.list_variables(f"{directory}/tree"))["step"] == []
        assert tf.train.get_checkpoint_state(directory).model_checkpoint_path == f"{directory}/tree"
        tf.import_graph_def(tf.GraphDef.FromString(open(f"{directory}/g.pb", "rb").read()))
        events = EventAccumulator(f"{directory}/logs").Reload()
        assert [(s.step, s.value) for s in events.Scalars("cost")] == [(3, 0.25)], events.Tags()
        assert events.Histograms("weights")[0].histogram_value.num == 6
        assert events.Graph().node and events.MetaGraph().saver_def is not None
        module = EventAccumulator(f"{directory}/module").Reload().Graph()
        from tensorboard.backend import process_graph
        process_graph.prepare_graph_for_ui(module)
        print(sorted(n.name for n in module.node if n.op == "VarHandleOp"), len(module.node))
        print([list(d.size for d in n.attr["_output_shapes"].list.shape[0].dim)
               for n in module.node if n.op == "aten.addmm"])
        """,
        tmp_path,
    )
    assert printed.splitlines()[-2:] == ["['Sequential/0/bias', 'Sequential/0/weight'] 12", "[[1, 2]]"]


def test_sessions_of_tensorflow(tmp_path: Path, tensorflow: Tensorflow) -> None:
    tensorflow(
        """
        import os, numpy as np, tensorflow.compat.v1 as tf
        import waypost
        from waypost import summary, train
        tf.disable_eager_execution()
        directory = sys.argv[1]
        tf.get_variable("layer/a", initializer=np.arange(6, dtype=np.float32).reshape(2, 3))
        step = tf.get_variable("step", initializer=np.int64(5))
        tf.Variable([1.0, 2.0], name="reference", use_resource=False)
        tf.Variable([b"x", b"yy"], name="strings")
        tf.Variable(tf.constant([1.5], tf.bfloat16), name="half")
        with tf.variable_scope("p"):
            tf.get_variable("table", [10, 2], partitioner=tf.fixed_size_partitioner(3))
        variables = tf.global_variables()
        scramble = [v.assign(tf.zeros_like(v)) for v in variables if v.dtype.base_dtype != tf.string]
        ours, theirs = train.Saver(max_to_keep=2), tf.train.Saver()

        def same(values):
            return all(np.array_equal(x, y) for x, y in zip(expected, values, strict=True))

        with tf.Session() as sess:
            sess.run(tf.global_variables_initializer())
            expected = sess.run(variables)
            for i in range(4):
                ours.save(sess, f"{directory}/m", global_step=i)
            path = ours.save(sess, f"{directory}/m", global_step=step)
            assert path == f"{directory}/m-5"
            assert [os.path.basename(p) for p in ours.last_checkpoints] == ["m-3", "m-5"]
            sess.run(scramble)
            theirs.restore(sess, path)
            assert same(sess.run(variables))
            theirs.save(sess, f"{directory}/theirs")
            sess.run(scramble)
            ours.restore(sess, f"{directory}/theirs")
            assert same(sess.run(variables))
            with summary.FileWriter(f"{directory}/logs", sess.graph) as writer:
                writer.add_summary(tf.Summary(value=[tf.Summary.Value(tag="t", simple_value=1)]), 1)
                writer.add_session_log(tf.SessionLog(status=tf.SessionLog.START), 1)
            assert train.write_graph(sess.graph, directory, "g.pbtxt")
        with tf.Graph().as_default(), tf.Session() as sess:  # not initialised
            tf.train.import_meta_graph(f"{path}.meta")
            some = {"renamed": [v for v in tf.global_variables() if v.op.name == "layer/a"][0]}
            named = train.Saver(some)
            try:
                named.restore(sess, path)
            except waypost.NotFoundError as error:
                assert "renamed" in str(error)
            else:
                raise AssertionError("a name that is not there was restored")
            train.Saver().restore(sess, path)
            assert same(sess.run(tf.global_variables()))
            tf.get_default_graph().finalize()
            train.Saver().save(sess, f"{directory}/final")
            assert os.path.exists(f"{directory}/final.meta")
        with tf.Graph().as_default(), tf.Session() as sess:
            tf.get_variable("layer/a", [3, 2])
            try:
                train.Saver().restore(sess, path)
            except ValueError as error:
                assert "layer/a" in str(error)
            else:
                raise AssertionError("another shape was restored")
        kinds = [e.WhichOneof("what") for f in os.listdir(f"{directory}/logs")
                 for e in tf.train.summary_iterator(f"{directory}/logs/{f}")]
        assert kinds == ["file_version", "graph_def", "summary", "session_log"], kinds
        """,
        tmp_path,
    )
