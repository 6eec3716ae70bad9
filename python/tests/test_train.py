"""waypost.train over sessions: the classic loop, names of files, retention, the state file, refusals.

TensorFlow's side of it is in test_train_tensorflow.py.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import waypost
import waypost.compat as tf
from waypost import train
from waypost.engine import finish_restore


@pytest.fixture(autouse=True)
def graph() -> Iterator[train.Graph]:
    with train.Graph().as_default() as graph:
        yield graph


def files(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def test_classic_loop_saves_logs_and_resumes(tmp_path: Path) -> None:
    weights = np.zeros(4, np.float32)
    w = tf.Variable(weights, name="w")
    step = tf.train.get_or_create_global_step()
    loss = tf.placeholder(tf.float32, [], name="loss")
    with tf.name_scope("model"):
        tf.summary.scalar("loss", loss)
        tf.summary.histogram("weights", w)
    merged = tf.summary.merge_all()
    saver = tf.train.Saver(max_to_keep=2)
    with tf.Session() as sess, tf.summary.FileWriter(tmp_path / "logs", sess.graph) as writer:
        sess.run(tf.global_variables_initializer())
        for i in range(4):
            weights += 1
            step.load(i)
            summary, seen = sess.run([merged, w], {loss: np.float64(1 / (i + 1))})
            assert seen.tolist() == weights.tolist()
            writer.add_summary(summary, i)
            assert saver.save(sess, str(tmp_path / "m"), global_step=step) == str(tmp_path / f"m-{i}")
    kept = [name for i in (2, 3) for name in (f"m-{i}.data-00000-of-00001", f"m-{i}.index", f"m-{i}.meta")]
    assert files(tmp_path) == ["checkpoint", "logs", *kept]
    scalars = [
        (event.step, value.tag, value.simple_value)
        for event in tf.train.summary_iterator(tmp_path / "logs")
        for value in event.summary.value
        if value.kind == "simple_value"
    ]
    assert scalars == [(i, "model/loss", pytest.approx(1 / (i + 1))) for i in range(4)]

    with tf.Graph().as_default():
        resumed = tf.train.import_meta_graph(str(tmp_path / "m-3.meta"))
        assert resumed is not None
        with tf.Session() as sess:
            resumed.restore(sess, tf.train.latest_checkpoint(tmp_path))
            values = {v.op.name: sess.run(v).tolist() for v in tf.global_variables()}
    assert values == {"w": [4.0] * 4, "global_step": 3}


def test_variable_stands_for_the_memory_it_was_given() -> None:
    array = np.arange(3.0)
    v = train.Variable(array, name="v")
    with train.Session() as sess:
        assert sess.value(v) is array
        array += 1
        assert sess.run(v).tolist() == [1, 2, 3]
        assert sess.run(v) is not array
        sess.run(train.global_variables_initializer())  # what the job has there stays
        assert array.tolist() == [1, 2, 3]


def test_torch_parameter_is_restored_in_place(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    layer = torch.nn.Linear(2, 3, dtype=torch.bfloat16)
    train.Variable(layer.weight, name="kernel")
    saver = train.Saver()
    expected = layer.weight.detach().clone()
    with train.Session() as sess:
        path = saver.save(sess, str(tmp_path / "m"))
        with torch.no_grad():
            layer.weight.zero_()
        saver.restore(sess, path)
    assert torch.equal(layer.weight, expected)


def test_initializers_make_values_anew_each_run() -> None:
    a = train.get_variable("a", [2, 2], initializer=train.ones_initializer())
    b = train.get_variable("b", initializer=[1, 2])
    c = train.get_variable("c", [3], "int64", train.constant_initializer(7))
    s = train.get_variable("s", [2], "string")
    with train.Session() as sess:
        with pytest.raises(waypost.FailedPreconditionError, match="variable a: it is neither bound nor initialised"):
            sess.run(a)
        for _ in range(2):
            sess.run(train.global_variables_initializer())
            assert sess.run(a).tolist() == [[1, 1], [1, 1]]
            assert (sess.run(b).tolist(), sess.run(b).dtype) == ([1, 2], np.int32)
            assert sess.run(c).tolist() == [7, 7, 7]
            assert sess.run(s).tolist() == [b"", b""]
            a.load(np.zeros((2, 2)), sess)


def test_a_restore_that_is_to_stop_says_so(tmp_path: Path) -> None:
    values = np.arange(1 << 24)
    train.Variable(values, name="w")
    saver = train.Saver()
    with train.Session() as sess:
        sess.run(train.global_variables_initializer())
        saver.save(sess, str(tmp_path / "m"))
        job = saver._savers.of_graph(sess.graph).start_restore(sess.to_restore(), str(tmp_path / "m"), 0)
        job.stop()
        with pytest.raises(waypost.CancelledError, match=r"restore .*m: "):
            finish_restore(job, "m")
        saver.restore(sess, str(tmp_path / "m"))
    assert np.array_equal(values, np.arange(1 << 24))


def test_strings_are_saved_and_restored(tmp_path: Path) -> None:
    names = np.array([b"a", b"long " * 40], object)
    train.Variable(names, name="names")
    saver = train.Saver()
    with train.Session() as sess:
        path = saver.save(sess, str(tmp_path / "m"))
        names[:] = [b"", b"?"]
        saver.restore(sess, path)
    assert names.tolist() == [b"a", b"long " * 40]


def test_save_async_and_its_waits(tmp_path: Path) -> None:
    array = np.ones(1 << 16, np.float32)
    train.Variable(array, name="v")
    saver = train.Saver()
    with train.Session() as sess:
        handle = saver.save_async(sess, str(tmp_path / "m"), global_step=1)
        saver.wait_staged()
        array[:] = 2
        second = saver.save_async(sess, str(tmp_path / "m"), global_step=2)
        saver.wait_committed()
    assert (handle.done, second.done) == (True, True)
    assert [float(train.load_variable(tmp_path / f"m-{i}", "v").mean()) for i in (1, 2)] == [1, 2]


def test_error_of_an_unwatched_save_is_raised_by_the_next(tmp_path: Path) -> None:
    train.Variable(np.ones(4), name="v")
    saver = train.Saver()
    (tmp_path / "file").write_text("")
    with train.Session() as sess:
        with pytest.raises(waypost.Error, match="file"):
            saver.save(sess, str(tmp_path / "file" / "m"))
        assert saver.save(sess, str(tmp_path / "m")) == str(tmp_path / "m")


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, "m-7"),
        ({"pad_step_number": True}, "m-00000007"),
    ],
)
def test_step_in_the_name(tmp_path: Path, options: dict[str, Any], expected: str) -> None:
    train.Variable(np.ones(2), name="v")
    saver = train.Saver(**options)
    with train.Session() as sess:
        for step in (7, np.int64(7), np.array(7, np.int16)):
            assert saver.save(sess, str(tmp_path / "m"), step) == str(tmp_path / expected)
        for wrong in (7.0, "7", True, 2**63, np.array([7])):
            with pytest.raises(ValueError, match="global_step"):
                saver.save(sess, str(tmp_path / "m"), wrong)


def test_var_list_names_what_is_saved(tmp_path: Path) -> None:
    a, b = train.Variable(np.zeros(2), name="a"), train.Variable(np.ones(3), name="b")
    train.Variable(np.ones(1), name="c")
    with train.Session() as sess:
        train.Saver([a, b]).save(sess, str(tmp_path / "list"))
        train.Saver({"x/y": a, "z": b}).save(sess, str(tmp_path / "dict"))
    assert train.list_variables(tmp_path / "list") == [("a", [2]), ("b", [3])]
    assert train.list_variables(tmp_path / "dict") == [("x/y", [2]), ("z", [3])]
    for wrong, what in (
        ([a, a], "a"),
        ({"k": a, "l": a}, "a"),
        ({1: a}, "1"),
        ([3], "int"),
        (7, "int"),
        ({}, "variables"),
    ):
        with pytest.raises(ValueError, match=what):
            train.Saver(wrong)
    with pytest.raises(ValueError, match="variables"):
        train.Saver([])


def test_write_state_and_meta_graph_are_optional(tmp_path: Path) -> None:
    train.Variable(np.ones(2), name="v")
    saver = train.Saver()
    with train.Session() as sess:
        saver.save(sess, str(tmp_path / "m"), write_state=False, write_meta_graph=False)
        assert files(tmp_path) == ["m.data-00000-of-00001", "m.index"]
        assert saver.last_checkpoints == []
        saver.save(sess, str(tmp_path / "n"), latest_filename="latest", meta_graph_suffix="graph")
    assert {"latest", "n.graph"} <= set(files(tmp_path))
    assert train.latest_checkpoint(tmp_path, "latest") == str(tmp_path / "n")


def test_retention_is_taken_up_after_a_restart(tmp_path: Path) -> None:
    train.Variable(np.ones(2), name="v")
    with train.Session() as sess:
        first = train.Saver(max_to_keep=2)
        for i in range(3):
            first.save(sess, str(tmp_path / "m"), i)
        state = train.get_checkpoint_state(tmp_path)
        assert state is not None
        second = train.Saver(max_to_keep=2)
        second.recover_last_checkpoints(state.all_model_checkpoint_paths)
        assert second.last_checkpoints == [str(tmp_path / "m-1"), str(tmp_path / "m-2")]
        second.save(sess, str(tmp_path / "m"), 3)
    assert not train.checkpoint_exists(tmp_path / "m-1")
    assert train.checkpoint_exists(tmp_path / "m-2")
    second.set_last_checkpoints([str(tmp_path / "m-3")])
    assert second.last_checkpoints == [str(tmp_path / "m-3")]
    second.set_last_checkpoints_with_time([(str(tmp_path / "m-2"), 1.0)])
    assert second.last_checkpoints == [str(tmp_path / "m-2")]


def test_format_v1_and_shards_of_devices(tmp_path: Path) -> None:
    with train.device("/cpu:0"):
        train.get_variable("a", [2])
    with train.device("/cpu:1"):
        train.get_variable("b", [2])
    with train.Session() as sess:
        sess.run(train.global_variables_initializer())
        for version in (1, 2):
            saver = train.Saver(write_version=version, sharded=True)
            path = saver.save(sess, str(tmp_path / f"v{version}"))
            saver.restore(sess, path)
    assert {"v2.data-00000-of-00002", "v2.data-00001-of-00002", "v1-00000-of-00002"} <= set(files(tmp_path))


def test_deferred_and_empty_savers(tmp_path: Path, graph: train.Graph) -> None:
    deferred, empty = train.Saver(defer_build=True), train.Saver(allow_empty=True)
    with train.Session() as sess:
        assert empty.save(sess, str(tmp_path / "e")) is None
        assert files(tmp_path) == ["e.meta"]
        with pytest.raises(waypost.FailedPreconditionError):
            deferred.save(sess, str(tmp_path / "d"))
        v = train.Variable(np.ones(1), name="v")
        deferred.build()
        assert deferred.as_saver_def() is not None
        assert deferred.save(sess, str(tmp_path / "d")) == str(tmp_path / "d")
    with pytest.raises(ValueError, match="defer_build"):
        train.Saver([v], defer_build=True)


def test_savers_nodes_travel(tmp_path: Path) -> None:
    train.Variable(np.arange(3.0), name="v")
    saver = train.Saver(name="mine", max_to_keep=7)
    definition = saver.as_saver_def()
    assert definition is not None
    assert (definition.save_tensor_name, definition.max_to_keep) == ("mine/control_dependency:0", 7)
    again = train.SaverDef.FromString(definition.SerializeToString())
    assert train.Saver.from_proto(again).as_saver_def().restore_op_name == definition.restore_op_name  # type: ignore[union-attr]
    meta = saver.export_meta_graph(str(tmp_path / "g.meta"))
    assert train.MetaGraphDef.FromString((tmp_path / "g.meta").read_bytes()).saver_def.max_to_keep == 7  # type: ignore[union-attr]
    with train.Graph().as_default():
        imported = train.import_meta_graph(meta, import_scope="imp")
        assert imported is not None
        assert [v.name for v in train.global_variables()] == ["imp/v:0"]


def test_what_is_wrong_is_named(tmp_path: Path) -> None:
    v = train.Variable(np.ones(2), name="v")
    saver = train.Saver()
    with train.Session() as sess:
        path = saver.save(sess, str(tmp_path / "m"))
        with pytest.raises(ValueError, match="None"):
            saver.restore(sess, None)
        with pytest.raises(FileNotFoundError, match="no such checkpoint"):
            saver.restore(sess, str(tmp_path / "other"))
        with pytest.raises(ValueError, match="latest_filename"):
            saver.save(sess, str(tmp_path / "m"), latest_filename="a/b")
        with pytest.raises(ValueError, match="save_path"):
            saver.save(sess, 7)  # type: ignore[arg-type]
        with pytest.raises(NotImplementedError, match="save_debug_info"):
            saver.save(sess, str(tmp_path / "m"), save_debug_info=True)
        with pytest.raises(waypost.AlreadyExistsError, match="bind v"):
            sess.bind(v, np.ones(2))
        with train.Graph().as_default():
            train.Variable(np.ones(2), name="v")
            of_another = train.Saver()
        with pytest.raises(ValueError, match="another graph"):
            of_another.save(sess, str(tmp_path / "m"))
        with pytest.raises(FileNotFoundError, match="loss:0"):
            sess.run("loss:0", {"loss:0": 1})
    with pytest.raises(waypost.FailedPreconditionError, match="closed"):
        saver.restore(sess, path)
    with pytest.raises(ValueError, match="not contiguous"):
        train.Variable(np.ones((4, 4))[:, :2], name="view")
    with pytest.raises(waypost.AlreadyExistsError):
        train.get_variable("v", [2])
    with pytest.raises(NotImplementedError, match="partitioner"):
        train.get_variable("p", [2], partitioner=object())
    with pytest.raises(ValueError, match="max_to_keep"):
        train.Saver(max_to_keep=-1)


def test_damage_is_found_and_what_it_left_is_not_saved(tmp_path: Path) -> None:
    train.Variable(np.ones(100000), name="v")
    saver = train.Saver()
    with train.Session() as sess:
        path = saver.save(sess, str(tmp_path / "m"))
        with open(f"{path}.data-00000-of-00001", "r+b") as data:
            data.seek(5000)
            data.write(b"\xff")
        with pytest.raises(waypost.DataLossError) as caught:
            saver.restore(sess, path)
        assert caught.value.undefined == ("v",)
        with pytest.raises(waypost.FailedPreconditionError, match="undefined"):
            saver.save(sess, str(tmp_path / "n"))


# ---- The state file and its functions ----


def test_state_file_functions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert train.get_checkpoint_state(tmp_path) is None
    assert train.latest_checkpoint(tmp_path) is None
    train.update_checkpoint_state(tmp_path, str(tmp_path / "b"), ["a", str(tmp_path / "b")], None, [1.0, 2.5], 0.5)
    state = train.get_checkpoint_state(tmp_path)
    assert state == train.CheckpointState(
        str(tmp_path / "b"), [str(tmp_path / "a"), str(tmp_path / "b")], [1.0, 2.5], 0.5
    )
    assert train.latest_checkpoint(tmp_path) is None  # its files are not there
    generated = train.generate_checkpoint_state_proto(tmp_path, "x", ["w"])
    assert generated.all_model_checkpoint_paths == ["w", "x"]
    with pytest.raises(ValueError, match="timestamps"):
        train.update_checkpoint_state(tmp_path, "a", ["a"], None, [1.0, 2.0])


def test_functions_of_checkpoints(tmp_path: Path) -> None:
    waypost.save(tmp_path / "m", {"a": np.arange(3, dtype=np.int16), "s": np.array([b"x", b"yy"], object)})
    assert train.checkpoint_exists(tmp_path / "m")
    (mtime,) = train.get_checkpoint_mtimes([tmp_path / "m", tmp_path / "none"])
    assert mtime == int(os.stat(tmp_path / "m.index").st_mtime)
    reader = train.load_checkpoint(tmp_path)
    assert reader.get_variable_to_shape_map() == {"a": [3], "s": [2]}
    assert reader.get_variable_to_dtype_map() == {"a": "int16", "s": "string"}
    assert (reader.has_tensor("a"), reader.has_tensor("b")) == (True, False)
    assert reader.get_tensor("s").tolist() == [b"x", b"yy"]
    with pytest.raises(FileNotFoundError, match="no tensor b"):
        reader.get_tensor("b")
    train.remove_checkpoint(tmp_path / "m")
    assert not train.checkpoint_exists(tmp_path / "m")
    with pytest.raises(ValueError, match="no checkpoint in this directory"):
        train.load_checkpoint(tmp_path)


def test_strings_of_a_tree_are_read_as_they_are_stored(tmp_path: Path) -> None:
    # Proved: the reader gives bytes, str and large integers of a tree as arrays of bytes objects, to the last byte.
    stored = {"bytes": b"a\0b\0\0", "str": "größe\0".encode(), "large": str(2**70).encode(), "empty": b""}
    waypost.save(tmp_path / "m", stored | {"str": "größe\0", "large": 2**70, "names": np.array([b"\0"], object)})
    reader = train.load_checkpoint(tmp_path / "m")
    for name, value in stored.items():
        found = reader.get_tensor(name)
        assert (found.dtype, found.shape, found.item()) == (np.dtype(object), (), value)
    assert train.load_variable(tmp_path / "m", "names").tolist() == [b"\0"]


# ---- Graphs ----


def test_write_graph_as_text_and_binary(tmp_path: Path, graph: train.Graph) -> None:
    train.placeholder("float32", [None, 3], name="x")
    text = train.write_graph(graph, tmp_path / "new" / "dir", "g.pbtxt")
    binary = train.write_graph(graph.as_graph_def(), tmp_path, "g.pb", as_text=False)
    assert train.GraphDef.FromString(Path(text).read_bytes()).SerializeToString() == Path(binary).read_bytes()
    assert 'name: "x"' in Path(text).read_text()
    with pytest.raises(ValueError, match="int"):
        train.write_graph(7, tmp_path, "g")


def test_names_scopes_devices_and_collections(graph: train.Graph) -> None:
    with train.name_scope("a") as outer:
        first = train.placeholder("float32", name="x")
        with train.name_scope(None, "default"):
            second = train.placeholder("float32", name="x")
    with train.name_scope("a"), train.device("/gpu:1"):
        third = train.Variable(1.0, name="v")
    with train.name_scope(outer):
        fourth = train.placeholder("float32", name="x")
    names = [tensor.name for tensor in (first, second, third, fourth)]
    assert (outer, names) == ("a/", ["a/x:0", "a/default/x:0", "a_1/v:0", "a/x_1:0"])
    assert third.device == "/device:GPU:1"
    train.add_to_collection("losses", first)
    train.add_to_collection("numbers", 7)
    assert train.get_collection("losses") == [first]
    assert train.get_collection("numbers") == [7]
    assert train.get_collection("nothing") == []
    assert graph.get_tensor_by_name("a/x:0") == first
    assert {"losses", "numbers", "variables"} <= set(graph.get_all_collection_keys())
    with pytest.raises(FileNotFoundError):
        graph.get_tensor_by_name("b:0")


def test_default_graphs_and_sessions_are_each_threads_own(graph: train.Graph) -> None:
    import threading

    seen: list[Any] = []
    with train.Session() as sess:
        thread = threading.Thread(target=lambda: seen.extend([train.get_default_graph(), train.get_default_session()]))
        thread.start()
        thread.join()
        assert (train.get_default_graph(), train.get_default_session()) == (graph, sess)
    assert seen[0] is not graph
    assert seen[1] is None


def test_threads_share_a_graph(graph: train.Graph) -> None:
    from concurrent.futures import ThreadPoolExecutor

    def add(i: int) -> str:
        with graph.as_default():
            train.placeholder("float32", name=f"t{i}")
            return train.constant(i, name="same").name

    with ThreadPoolExecutor(8) as pool:
        names = set(pool.map(add, range(64)))
    assert len(names) == 64
    assert len(graph.as_graph_def().nodes()) == 128
