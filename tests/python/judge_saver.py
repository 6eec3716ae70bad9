"""TensorFlow restores and saves by the nodes that a Saver put into .meta: V1 and V2, sharded and not, with resource
and reference variables, partitioned or whole; Waypost reads what they saved."""
import unittest

import numpy as np
from tf_values import tf

from judge_common import digest, fresh, listing, run

v1 = tf.compat.v1
WHOLE = {"text": ("string", [2]), "step": ("int64", []), "a": ("float64", [3]), "r": ("float32", [2, 2]),
         "p": ("float32", [5, 2]), "q": ("int32", [4])}
KINDS = ("v2_plain", "v2_sharded", "v1_plain", "v1_sharded")


def counted(dtype, shape, first=0):
    """Element i is first + i."""
    numbers = range(first, first + int(np.prod(shape)))
    if dtype == "string":
        return np.array([f"s{i}".encode() for i in numbers], object).reshape(shape)
    return np.array(list(numbers), dtype).reshape(shape)


def session(graph):
    return v1.Session(graph=graph, config=v1.ConfigProto(device_count={"CPU": 2}))


def parts(first=0):
    """The value of each variable that the sample's graph has."""
    values = {name: counted(*spec, first) for name, spec in WHOLE.items()}
    p, q = values.pop("p"), values.pop("q")
    values.update({"p/part_0": p[:3], "p/part_1": p[3:], "q/part_0": q[:2], "q/part_1": q[2:]})
    return values


def restored_whole(prefix):
    """The checkpoint's values, by a graph of TensorFlow's own without partitions."""
    with tf.Graph().as_default() as graph, session(graph) as sess:
        variables = {name: v1.get_variable(name, shape, tf.dtypes.as_dtype(dtype),
                                           initializer=v1.zeros_initializer() if dtype != "string" else None)
                     if dtype != "string" else v1.Variable([""] * shape[0], name=name)
                     for name, (dtype, shape) in WHOLE.items()}
        v1.train.Saver().restore(sess, prefix)
        return {name: sess.run(variable) for name, variable in variables.items()}


class Saver(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.directory = fresh("saver")
        told = run("judge_write_saver", cls.directory).decode()
        cls.paths = dict(line.split(" ", 1) for line in told.splitlines())
        cls.addClassCleanup(v1.reset_default_graph)

    def assert_values(self, values, expected):
        self.assertEqual(sorted(values), sorted(expected))
        for name, value in expected.items():
            np.testing.assert_array_equal(values[name], value, name)

    def imported(self, kind):
        """A graph, a session and the saver of the kind's .meta."""
        graph = tf.Graph()
        with graph.as_default():
            saver = v1.train.import_meta_graph(str(self.directory / kind / "m-1.meta"))
        return graph, session(graph), saver

    def test_paths_are_tensorflows(self):
        ending = {"v2_plain": "m-1", "v2_sharded": "m-1", "v1_plain": "m-1", "v1_sharded": "m-1-?????-of-00003"}
        for kind, end in ending.items():
            self.assertEqual(self.paths[kind], f"{self.directory}/{kind}/{end}")
            self.assertEqual(tf.train.latest_checkpoint(str(self.directory / kind)), self.paths[kind])

    def test_a_graph_of_tensorflows_own_restores(self):
        for kind in KINDS:
            with self.subTest(kind):
                self.assert_values(restored_whole(self.paths[kind]),
                                   {name: counted(*spec) for name, spec in WHOLE.items()})

    def test_the_nodes_restore_and_save(self):
        for kind in KINDS:
            with self.subTest(kind):
                graph, sess, saver = self.imported(kind)
                with graph.as_default(), sess:
                    variables = {v.op.name: v for v in v1.global_variables()}
                    saver.restore(sess, self.paths[kind])
                    self.assert_values({name: sess.run(v) for name, v in variables.items()}, parts())
                    for name, value in parts(100).items():
                        variables[name].load(value, sess)
                    path = saver.save(sess, str(self.directory / kind / "again"), global_step=2)
                    self.assertEqual(path, self.paths[kind].replace("m-1", "again-2"))
                self.assert_values(restored_whole(path), {name: counted(*spec, 100) for name, spec in WHOLE.items()})
                self.assert_read_by_waypost(path)

    def assert_read_by_waypost(self, path):
        told = {name.decode(): tensor["sha256"] for name, tensor in listing(path).items()}
        expected = {}
        for name, (dtype, shape) in WHOLE.items():
            value = counted(dtype, shape, 100)
            expected[name] = digest(dtype, list(value) if dtype == "string" else value.tobytes())
        self.assertEqual(told, expected)

    def test_the_nodes_reshape(self):
        with tf.Graph().as_default() as graph, session(graph) as sess:
            saver = v1.train.import_meta_graph(str(self.directory / "reshape/m.meta"))
            saver.restore(sess, str(self.directory / "reshape/other"))
            values = {v.op.name: sess.run(v) for v in v1.global_variables()}
        self.assert_values(values, {"x": counted("float32", [6]), "y": counted("float32", [2, 2])})

    def test_the_saver_is_described_as_tensorflow_does(self):
        for kind in KINDS:
            _, sess, saver = self.imported(kind)
            sess.close()
            described = saver.as_saver_def()
            self.assertEqual(described.version, 2 if kind.startswith("v2") else 1)
            self.assertEqual(described.sharded, kind.endswith("sharded"))
            self.assertEqual(described.max_to_keep, 5)
            self.assertEqual(described.restore_op_name, "save/restore_all")


if __name__ == "__main__":
    unittest.main()
