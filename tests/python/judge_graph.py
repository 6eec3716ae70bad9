"""Graphs: our messages are TensorFlow's, its meta graphs come through a Graph of ours, and it imports what we export."""
import random
import subprocess
import unittest

from tf_values import np, tf

from google.protobuf import descriptor_pb2, text_format
from tensorflow.core.framework import graph_pb2, variable_pb2
from tensorflow.core.protobuf import control_flow_pb2, meta_graph_pb2, queue_runner_pb2
from tensorflow.python.framework import op_def_registry

from judge_common import ROOT, fresh, run, seed

GOLDEN = ROOT / "tests/golden"
METAS = sorted(GOLDEN.glob("*/*.meta"))
v1 = tf.compat.v1
MetaGraphDef = meta_graph_pb2.MetaGraphDef
# Kept as unknown fields: messages of SavedModel that no checkpoint has.
NOT_DECLARED = {("MetaGraphDef", "object_graph_def"), ("TensorInfo", "composite_tensor")}


def convert(mode, message, directory, result):
    """A message through judge_graph, as a message of the class `result`."""
    source, target = directory / "in", directory / "out"
    source.write_bytes(message if isinstance(message, bytes) else message.SerializeToString())
    run("judge_graph", mode, source, target)
    content = target.read_bytes()
    return content.decode() if result is str else result.FromString(content)


def tensorflow_text(message):
    return text_format.MessageToString(message, as_utf8=True)


# ---- Random graphs ----

def odd_float(rng):
    return rng.choice([0.1, 1e-45, 3.4e38, -0.0, 1 / 3, 16777217.0, 123456.789, 1e10, 1e16, float("inf"),
                       rng.uniform(-1, 1), rng.uniform(0, 1) * 10 ** rng.randrange(-40, 38)])


def add_variables(rng):
    """Variables of both kinds, some of them in parts."""
    for number in range(rng.randrange(1, 4)):
        shape = [rng.randrange(1, 4), rng.randrange(4, 7)]
        partitioner = v1.fixed_size_partitioner(rng.randrange(2, 4), axis=1) if rng.random() < 0.4 else None
        with v1.device(rng.choice([None, "/cpu:0", "/job:ps/task:1"])):
            v1.get_variable(f"v{number}", shape, rng.choice([tf.float32, tf.float64]), partitioner=partitioner,
                            initializer=v1.zeros_initializer(), use_resource=rng.random() < 0.5,
                            trainable=rng.random() < 0.7)


def add_control_flow(rng, x):
    @tf.function
    def squares(value):
        return value * value + tf.constant(odd_float(rng), tf.float32)
    if rng.random() < 0.5:
        x = squares(x)
    if rng.random() < 0.5:
        x = v1.cond(v1.reduce_sum(x) > odd_float(rng), lambda: x + 1.0, lambda: x - 1.0)
    if rng.random() < 0.5:
        _, x = v1.while_loop(lambda i, _: i < 3, lambda i, value: (i + 1, value * 2.0), [tf.constant(0), x])
    return x


def random_meta(rng):
    """A meta graph as TensorFlow exports it."""
    return random_graph(rng, lambda saver: saver.export_meta_graph(clear_devices=rng.random() < 0.3,
                                                                   strip_default_attrs=rng.random() < 0.3))


def random_graph(rng, export):
    """What `export` makes of a random graph's Saver while the graph is the default one."""
    toggle = v1.enable_control_flow_v2 if rng.random() < 0.5 else v1.disable_control_flow_v2
    toggle()
    with v1.Graph().as_default() as graph:
        with v1.name_scope(rng.choice(["model", "a/b", ""])):
            add_variables(rng)
            x = v1.placeholder(tf.float32, [None, 3], name="x")
            x = add_control_flow(rng, x)
            v1.summary.scalar("loss", tf.reduce_sum(x))
        tf.constant([b"a\xff\x00", b"\n\"'\\"], name="strings")
        tf.constant([odd_float(rng) for _ in range(3)], tf.float32, name="floats")
        tf.constant(odd_float(rng), tf.float64, name="double")
        graph.add_to_collection("rates", odd_float(rng))
        graph.add_to_collection("labels", "текст\x01\x7f")
        graph.add_to_collection("numbers", rng.randrange(-9, 9))
        graph.add_to_collection("results", x)
        graph.add_to_collection("results", x.op)
        saver = v1.train.Saver(sharded=rng.random() < 0.3)
        return export(saver)


class Messages(unittest.TestCase):
    def test_every_field_is_tensorflows(self):
        directory = fresh("graph_protos")
        protos = sorted((ROOT / "engine/graph/proto").glob("*.proto"))
        files = directory / "set"
        subprocess.run(["protoc", f"-I{ROOT / 'engine/graph'}", f"--descriptor_set_out={files}", *map(str, protos)],
                       check=True)
        theirs = {}

        def learn(message):
            if message.full_name in theirs:
                return
            theirs[message.full_name] = message
            for field in message.fields:
                if field.message_type:
                    learn(field.message_type)
        for message in (MetaGraphDef, variable_pb2.VariableDef, control_flow_pb2.ControlFlowContextDef,
                        queue_runner_pb2.QueueRunnerDef):
            learn(message.DESCRIPTOR)

        def compare(ours, name):
            other = theirs[f"tensorflow.{name}"]
            mine = {(f.number, f.name, f.label == f.LABEL_REPEATED) for f in ours.field}
            wanted = {(f.number, f.name, f.is_repeated) for f in other.fields
                      if (name, f.name) not in NOT_DECLARED}
            self.assertEqual(mine, wanted, name)
            for nested in ours.nested_type:
                compare(nested, f"{name}.{nested.name}")
        for file in descriptor_pb2.FileDescriptorSet.FromString(files.read_bytes()).file:
            for message in file.message_type:
                compare(message, message.name)

    def test_the_table_of_operations_is_tensorflows(self):
        directory = fresh("graph_ops")
        source = (ROOT / "engine/graph/op_table.cc").read_text()
        names = sorted(part.split('"')[0] for part in source.split('{.name = "')[1:]
                       if op_def_registry.get(part.split('"')[0]))
        self.assertGreater(len(names), 25)
        meta = MetaGraphDef()
        for name in names:
            meta.graph_def.node.add(name=name, op=name)
        exported = convert("import", meta, directory, MetaGraphDef)
        self.assertEqual([op.name for op in exported.meta_info_def.stripped_op_list.op], names)
        for op in exported.meta_info_def.stripped_op_list.op:
            self.assertEqual(op, op_def_registry.get(op.name))

    def test_goldens_and_random_graphs_come_back_in_both_forms(self):
        directory = fresh("graph_forms")
        rng = random.Random(seed())
        metas = [MetaGraphDef.FromString(path.read_bytes()) for path in METAS]
        metas += [random_meta(rng) for _ in range(24)]
        for meta in metas:
            self.assertEqual(convert("binary", meta, directory, MetaGraphDef), meta)
            self.assertEqual(convert("graph-binary", meta.graph_def, directory, graph_pb2.GraphDef), meta.graph_def)
            text = convert("text", meta, directory, str)
            self.assertEqual(text, tensorflow_text(meta))
            self.assertEqual(convert("binary", text.encode(), directory, MetaGraphDef), meta)
            self.assertEqual(convert("text", text.encode(), directory, str), text)


class Imports(unittest.TestCase):
    def test_meta_graphs_come_through_a_graph(self):
        """What is exported again is the same message, but for shapes and operations that were not there."""
        directory = fresh("graph_import")
        rng = random.Random(seed() + 1)
        metas = [MetaGraphDef.FromString(path.read_bytes()) for path in METAS]
        for meta in metas + [random_meta(rng) for _ in range(24)]:
            self.assertEqual(convert("import", meta, directory, MetaGraphDef), meta)

    def test_tensorflow_imports_what_came_through(self):
        for number, path in enumerate(METAS):
            directory = fresh(f"graph_restore/{number}")
            target = directory / "m.meta"
            run("judge_graph", "import", path, target)
            with self.subTest(path=path.name), v1.Graph().as_default(), v1.Session() as session:
                saver = v1.train.import_meta_graph(str(target), clear_devices=True)
                shards = "-?????-of-00002" if path.name == "shard.ckpt-4.meta" else ""
                saver.restore(session, str(path.with_suffix("")) + shards)
                variables = v1.global_variables()
                values = session.run(variables)
                saved = saver.save(session, str(directory / "again"))
                session.run(v1.global_variables_initializer())
                saver.restore(session, saved)
                for before, after in zip(values, session.run(variables)):
                    np.testing.assert_array_equal(before, after)

    def test_a_scope_is_tensorflows(self):
        """Names after an import under a scope, against TensorFlow's own import and export."""
        directory = fresh("graph_scope")
        rng = random.Random(seed() + 2)
        for _ in range(8):
            meta = random_meta(rng)
            source, target = directory / "in", directory / "out"
            source.write_bytes(meta.SerializeToString())
            run("judge_graph", "import", source, target, "imp")
            ours = MetaGraphDef.FromString(target.read_bytes())
            with v1.Graph().as_default() as graph:
                v1.train.import_meta_graph(meta, import_scope="imp")
                theirs = v1.train.export_meta_graph()
            ours_nodes = {node.name: list(node.input) for node in ours.graph_def.node}
            self.assertEqual(ours_nodes, {node.name: list(node.input) for node in theirs.graph_def.node})
            self.assertEqual(sorted(ours.collection_def), sorted(theirs.collection_def))
            for key, collection in theirs.collection_def.items():
                mine = ours.collection_def[key]
                if key == "labels":  # to TensorFlow these are names: it writes the scope before them
                    self.assertEqual(mine, meta.collection_def[key])
                elif key in ("cond_context", "while_context"):  # their sets have no order
                    self.assertEqual(len(mine.bytes_list.value), len(collection.bytes_list.value))
                elif "variables" in key:
                    parse = variable_pb2.VariableDef.FromString
                    self.assertEqual([parse(value) for value in mine.bytes_list.value],
                                     [parse(value) for value in collection.bytes_list.value])
                else:
                    self.assertEqual(mine, collection, key)
            with v1.Graph().as_default(), v1.Session() as session:
                saver = v1.train.import_meta_graph(ours, clear_devices=True)
                session.run(v1.global_variables_initializer())
                saver.save(session, str(directory / "m"))

    def test_saved_names_are_those_of_the_checkpoint(self):
        for path in METAS:
            if path.parent.name == "v1":
                continue
            saved = [line.split("\t") for line in run("judge_graph", "saved", path).decode().splitlines()]
            reader = tf.train.load_checkpoint(str(path.with_suffix("")))
            self.assertEqual({key: dtype for key, _, dtype in saved},
                             {key: dtype.name for key, dtype in reader.get_variable_to_dtype_map().items()})


class Exports(unittest.TestCase):
    def test_default_attributes_are_stripped_as_by_tensorflow(self):
        directory = fresh("graph_strip")
        rng = random.Random(seed() + 3)
        for _ in range(12):
            meta, stripped = random_graph(rng, lambda saver: (saver.export_meta_graph(),
                                                              saver.export_meta_graph(strip_default_attrs=True)))
            self.assertEqual(convert("strip", meta, directory, MetaGraphDef), stripped)

    def test_other_savers_are_cleared_as_by_tensorflow(self):
        def export(saver):
            v1.train.Saver(name="other")
            return saver.export_meta_graph(), saver.export_meta_graph(clear_extraneous_savers=True)
        directory = fresh("graph_savers")
        rng = random.Random(seed() + 4)
        for _ in range(6):
            meta, cleared = random_graph(rng, export)
            self.assertLess(len(cleared.graph_def.node), len(meta.graph_def.node))
            self.assertEqual(list(convert("one-saver", meta, directory, MetaGraphDef).graph_def.node),
                             list(cleared.graph_def.node))

    def test_a_part_is_tensorflows(self):
        directory = fresh("graph_scope_part")
        with v1.Graph().as_default():
            outside = v1.placeholder(tf.float32, [2], name="outside")
            with v1.name_scope("in"), v1.variable_scope("in", auxiliary_name_scope=False):
                resource = v1.get_variable("r", [2], use_resource=True)
                v1.get_variable("p", [4], partitioner=v1.fixed_size_partitioner(2), use_resource=False)
                with v1.control_dependencies([outside]):
                    result = tf.add(outside, resource, name="sum")
                with v1.colocate_with(outside):
                    tf.identity(result, name="same")
                v1.summary.scalar("loss", tf.reduce_sum(result))
            v1.get_variable("after", [2], use_resource=True)
            whole = v1.train.export_meta_graph()
            theirs = v1.train.export_meta_graph(export_scope="in")
        source, target = directory / "in", directory / "out"
        source.write_bytes(whole.SerializeToString())
        run("judge_graph", "part", source, target, "in")
        ours = MetaGraphDef.FromString(target.read_bytes())
        for node in theirs.graph_def.node:  # TensorFlow leaves an empty list of colocations
            if not node.attr["_class"].list.s:
                del node.attr["_class"]
        self.assertEqual(list(ours.graph_def.node), list(theirs.graph_def.node))
        self.assertEqual(sorted(ours.collection_def), sorted(theirs.collection_def))
        for key, collection in theirs.collection_def.items():
            if key == "unbound_inputs":
                self.assertEqual(sorted(ours.collection_def[key].bytes_list.value),
                                 sorted(collection.bytes_list.value))
            else:
                self.assertEqual(ours.collection_def[key], collection, key)

    def test_both_kinds_of_variables_and_parts(self):
        directory = fresh("graph_sample")
        run("judge_graph", "sample", directory / "m.meta")
        with v1.Graph().as_default() as graph, v1.Session() as session:
            saver = v1.train.import_meta_graph(str(directory / "m.meta"))
            variables = {variable.op.name: variable for variable in v1.global_variables()}
            self.assertEqual(sorted(variables), ["in/columns/part_0", "in/columns/part_1", "in/reference",
                                                 "in/resource", "in/rows/part_0", "in/rows/part_1", "in/rows/part_2",
                                                 "in/step"])
            self.assertEqual(type(variables["in/reference"]).__name__, "RefVariable")
            self.assertEqual([v.op.name for v in v1.local_variables()], ["in/seen"])
            self.assertEqual([v.op.name for v in graph.get_collection("global_step")], ["in/step"])
            self.assertEqual(graph.get_collection("labels"), ["ÿ".encode()])
            self.assertEqual(graph.get_collection("sizes"), [-3])
            session.run(v1.global_variables_initializer())
            variables["in/resource"].load([[1, 2], [3, 4]], session)
            variables["in/columns/part_1"].load([[5, 6], [7, 8]], session)
            variables["in/rows/part_1"].load([[9, 10], [11, 12]], session)
            result = session.run(graph.get_collection("results")[0], {"feed:0": [[1, 1]]})
            self.assertEqual(result.tolist(), [[5.5, 4]])
            saved = saver.save(session, str(directory / "m"), write_meta_graph=False)
            reader = tf.train.load_checkpoint(saved)
            self.assertEqual(reader.get_tensor("in/columns").tolist(), [[0, 0, 0, 5, 6], [0, 0, 0, 7, 8]])
            self.assertEqual(reader.get_tensor("in/rows").tolist(), [[0, 0], [0, 0], [9, 10], [11, 12], [0, 0]])
            session.run(v1.global_variables_initializer())
            saver.restore(session, saved)
            self.assertEqual(session.run(variables["in/rows/part_1"]).tolist(), [[9, 10], [11, 12]])

    def test_shapes_and_signatures_are_tensorflows(self):
        directory = fresh("graph_shapes")
        run("judge_graph", "sample", directory / "m.meta")
        ours = MetaGraphDef.FromString((directory / "m.meta").read_bytes())
        with v1.Graph().as_default() as graph:
            v1.train.import_meta_graph(ours)
            theirs = {node.name: node.attr["_output_shapes"]
                      for node in graph.as_graph_def(add_shapes=True).node if "_output_shapes" in node.attr}
            for node in ours.graph_def.node:
                if "_output_shapes" in node.attr:
                    self.assertEqual(node.attr["_output_shapes"], theirs[node.name], node.name)
            signature = ours.signature_def["serving_default"]
            for name, info in [*signature.inputs.items(), *signature.outputs.items()]:
                tensor = graph.get_tensor_by_name(info.name)
                if info.dtype:
                    self.assertEqual((info.dtype, info.tensor_shape), (tensor.dtype.as_datatype_enum,
                                                                       tensor.shape.as_proto()), name)
            self.assertEqual(signature.method_name, "tensorflow/serving/predict")

    def test_a_scope_is_imported_with_its_inputs(self):
        directory = fresh("graph_part")
        run("judge_graph", "sample", directory / "m.meta", "in")
        with v1.Graph().as_default() as graph, v1.Session() as session:
            feed = v1.placeholder(tf.float32, [None, 2])
            v1.train.import_meta_graph(str(directory / "m.meta"), import_scope="again",
                                       input_map={"$unbound_inputs_feed": feed})
            self.assertIn("again/resource", [v.op.name for v in v1.global_variables()])
            session.run(v1.global_variables_initializer())
            result = session.run(graph.get_collection("results")[0], {feed: [[1, 1]]})
            self.assertEqual(result.tolist(), [[1.5, -2]])


if __name__ == "__main__":
    unittest.main()
