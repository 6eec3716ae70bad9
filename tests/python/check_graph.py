#!/usr/bin/env python3
"""The real TensorFlow and TensorBoard judge what graph_sample wrote.

    build/dev/tests/graph_sample DIR && python check_graph.py DIR

Imports both .meta files, initialises, saves and restores with the nodes in them; parses the graph
in both forms; reads the event file as TensorBoard does.  Prints one line per check; any difference
is an AssertionError.
"""
import glob
import os
import sys
import tempfile

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")
import numpy as np
import tensorflow as tf
from google.protobuf import text_format
from tensorboard.backend.event_processing import event_accumulator, plugin_event_accumulator

tf1 = tf.compat.v1


def value_of(variable):
    """A value that is not the initial one."""
    shape = variable.shape.as_list()
    if variable.dtype.base_dtype == tf.string:
        return np.full(shape, b"text", dtype=object)
    return np.ones(shape, variable.dtype.base_dtype.as_numpy_dtype)


def zero_of(variable):
    shape = variable.shape.as_list()
    if variable.dtype.base_dtype == tf.string:
        return np.full(shape, b"", dtype=object)
    return np.zeros(shape, variable.dtype.base_dtype.as_numpy_dtype)


def check_meta(path, sharded):
    """Import, initialise, save and restore by our nodes alone."""
    with tf1.Graph().as_default(), tf1.Session() as session:
        saver = tf1.train.import_meta_graph(path)
        variables = tf1.global_variables()
        assert len(variables) == 21, len(variables)
        assert [v.op.name for v in tf1.trainable_variables()] == ["v/float32"]
        session.run(tf1.global_variables_initializer())
        for v in variables:
            np.testing.assert_array_equal(session.run(v), zero_of(v), v.name)
        for v in variables:
            v.load(value_of(v), session)
        with tempfile.TemporaryDirectory() as folder:
            prefix = saver.save(session, os.path.join(folder, "m"), global_step=7)
            assert prefix.endswith("m-7"), prefix
            shards = glob.glob(prefix + ".data-*")
            assert len(shards) == (2 if sharded else 1), shards
            session.run(tf1.global_variables_initializer())
            saver.restore(session, prefix)
        for v in variables:
            np.testing.assert_array_equal(session.run(v), value_of(v), v.name)
        merged = session.run("summaries/Merge/MergeSummary:0",
                             {"loss:0": 0.5, "weights:0": [1.0, 2.0]})
        tags = [v.tag for v in tf1.Summary.FromString(merged).value]
        assert tags == ["summaries/loss", "summaries/weights"], tags
        collection = [t.name for t in tf1.get_collection("summaries")]
        assert collection == ["summaries/loss:0", "summaries/weights:0"], collection
    print(f"check_graph: TensorFlow imports, saves and restores {os.path.basename(path)}")


def check_graph_files(folder):
    with open(os.path.join(folder, "graph.pbtxt"), encoding="utf-8") as file:
        from_text = text_format.Parse(file.read(), tf1.GraphDef())
    with open(os.path.join(folder, "graph.pb"), "rb") as file:
        from_binary = tf1.GraphDef.FromString(file.read())
    assert from_text == from_binary
    with tf1.Graph().as_default() as graph:
        tf1.import_graph_def(from_text, name="")
        assert graph.get_tensor_by_name("weights:0").shape.as_list() == [None]
        assert graph.get_tensor_by_name("v/float16/Read/ReadVariableOp:0").dtype == tf.float16
    print(f"check_graph: TensorFlow parses text and binary, {len(from_text.node)} nodes each")


def check_events(logdir):
    accumulator = event_accumulator.EventAccumulator(
        logdir, size_guidance={event_accumulator.SCALARS: 0, event_accumulator.HISTOGRAMS: 0})
    accumulator.Reload()
    assert accumulator.Tags()["scalars"] == ["summaries/loss"], accumulator.Tags()
    assert accumulator.Tags()["histograms"] == ["summaries/weights"], accumulator.Tags()
    # Steps 5 to 7 of the first run are gone: the second one said where it started.
    expected = [(s, 0.25 * s) for s in range(5)] + [(s, 0.5 * s) for s in range(5, 10)]
    scalars = [(e.step, e.value) for e in accumulator.Scalars("summaries/loss")]
    assert scalars == expected, scalars
    # TensorBoard's own server reads otherwise where it does without its data server.
    slow = plugin_event_accumulator.EventAccumulator(logdir, size_guidance={event_accumulator.TENSORS: 0})
    slow.Reload()
    scalars = [(e.step, tf.make_ndarray(e.tensor_proto).item()) for e in slow.Tensors("summaries/loss")]
    assert scalars == expected, scalars
    histograms = accumulator.Histograms("summaries/weights")
    assert len(histograms) == len(expected)
    for event, (step, value) in zip(histograms, expected):
        assert event.step == step
        histogram = event.histogram_value
        numbers = [value, 1.5, -2.5]
        assert (histogram.min, histogram.max, histogram.num) == (min(numbers), max(numbers), 3)
        assert histogram.sum == sum(numbers)
        assert histogram.sum_squares == sum(n * n for n in numbers)
        assert sum(histogram.bucket) == 3
    graph = accumulator.Graph()
    assert any(n.name == "summaries/loss" and n.op == "ScalarSummary" for n in graph.node)
    print(f"check_graph: TensorBoard reads {len(scalars)} scalars, the histograms and the graph")


def main():
    folder = sys.argv[1]
    check_meta(os.path.join(folder, "plain.meta"), sharded=False)
    check_meta(os.path.join(folder, "sharded.meta"), sharded=True)
    check_graph_files(folder)
    check_events(os.path.join(folder, "logs"))


if __name__ == "__main__":
    main()
