"""TensorFlow runs Waypost's summary operations and makes of the same values what Session::Run made; TensorFlow and
TensorBoard read Waypost's event files, and Waypost reads TensorFlow's, with every kind of event."""
import json
import unittest

from tf_values import np, tf
from tensorboard.backend.event_processing import plugin_event_accumulator
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from judge_common import fresh, run, seed

v1 = tf.compat.v1


def array_of(told):
    if told["dtype"] == "string":
        strings = np.array([bytes.fromhex(text) for text in told["strings_hex"]], dtype=object)
        return strings.reshape(told["shape"])
    dtype = tf.as_dtype(told["dtype"]).as_numpy_dtype
    return np.frombuffer(bytes.fromhex(told["hex"]), dtype).reshape(told["shape"])


def pixels(value):
    """What a PNG shows, and the value without it."""
    told = v1.Summary.Value.FromString(value.SerializeToString())
    told.image.encoded_image_string = b""
    return told, tf.io.decode_png(value.image.encoded_image_string).numpy()


def load(path):
    with open(path, encoding="utf-8") as file:
        return json.load(file)


class Judged(unittest.TestCase):
    def expect_summaries(self, ours, theirs):
        """Equal to the byte, but for a PNG's compression."""
        ours, theirs = v1.Summary.FromString(ours), v1.Summary.FromString(theirs)
        self.assertEqual([value.tag for value in ours.value], [value.tag for value in theirs.value])
        for our, their in zip(ours.value, theirs.value):
            if their.WhichOneof("value") == "image":
                (our, our_pixels), (their, their_pixels) = pixels(our), pixels(their)
                np.testing.assert_array_equal(our_pixels, their_pixels, our.tag)
            self.assertEqual(our.SerializeToString(deterministic=True), their.SerializeToString(deterministic=True),
                             our.tag)


class TensorFlowRunsOurGraph(Judged):
    @classmethod
    def setUpClass(cls):
        cls.directory = fresh("events_ours")
        run("judge_write_summaries", cls.directory, seed())
        cls.told = load(cls.directory / "runs.json")
        cls.graph = v1.GraphDef.FromString((cls.directory / "graph.pb").read_bytes())

    def test_the_same_values_make_the_same_summaries(self):
        kinds = set()
        with tf.Graph().as_default(), v1.Session() as session:
            v1.import_graph_def(self.graph, name="")
            made = [session.run(self.told["fetch"], {name: array_of(value) for name, value in one["feeds"].items()})
                    for one in self.told["runs"]]
        for one, theirs in zip(self.told["runs"], made):
            self.expect_summaries(bytes.fromhex(one["summary_hex"]), theirs)
            kinds.update(value.WhichOneof("value") for value in v1.Summary.FromString(theirs).value)
        self.assertEqual(kinds, {"simple_value", "histo", "image", "audio", "tensor"})

    def test_the_same_calls_make_the_same_nodes(self):
        made = {node.name: node for node in self.graph.node}
        with tf.Graph().as_default() as graph:
            def placeholder(name):
                node = made[f"sc/{name}_in"]
                return v1.placeholder(node.attr["dtype"].type, node.attr["shape"].shape, name=f"{name}_in")
            with tf.name_scope("sc"):
                v1.summary.scalar("loss", placeholder("loss"))
                v1.summary.scalar("count", placeholder("count"), family="fam")
                v1.summary.histogram("weights", placeholder("weights"))
                v1.summary.histogram("halves", placeholder("halves"), family="fam")
                floats = placeholder("images")
                v1.summary.image("floats", floats)
                v1.summary.image("floats", floats, max_outputs=1, family="fam")
                v1.summary.image("doubles", placeholder("doubles"))
                v1.summary.image("gray", placeholder("gray"))
                v1.summary.image("half", placeholder("half"))
                v1.summary.image("bytes", placeholder("bytes"), max_outputs=2)
                clips, stereo, rate = placeholder("clips"), placeholder("stereo"), placeholder("rate")
                v1.summary.audio("clips", clips, 44100.5)
                v1.summary.audio("stereo", stereo, rate, max_outputs=1, family="fam")
                v1.summary.text("text", placeholder("text"))
                v1.summary.text("word", placeholder("word"))
                metadata = v1.SummaryMetadata()
                metadata.plugin_data.plugin_name, metadata.plugin_data.content = "mine", b"\x01"
                v1.summary.tensor_summary("tensor", placeholder("tensor"), summary_description="described",
                                          display_name="shown", summary_metadata=metadata)
            v1.summary.merge_all()
            theirs = {node.name: node for node in graph.as_graph_def().node}
        # _output_shapes may stand on ours, as TensorFlow's FileWriter has it.
        for node in made.values():
            node.attr.pop("_output_shapes", None)
        # A tensor's elements may stand in either of its forms.
        for node in [*made.values(), *theirs.values()]:
            if node.op == "Const":
                value = node.attr["value"].tensor
                value.CopyFrom(tf.make_tensor_proto(tf.make_ndarray(value), value.dtype))
        self.assertEqual(sorted(made), sorted(theirs))
        for name, node in theirs.items():
            self.assertEqual(made[name], node, name)

    def test_values_by_hand_are_those_of_the_operations(self):
        told = load(self.directory / "logs.json")
        image, clip, values = (array_of(told[name]) for name in ("image", "clip", "values"))
        with tf.Graph().as_default(), v1.Session() as session:
            theirs = session.run(v1.summary.merge([
                v1.summary.scalar("h/scalar", np.float32(0.1)), v1.summary.histogram("h/histogram", values),
                v1.summary.image("h/image", image[np.newaxis], max_outputs=1),
                v1.summary.audio("h/audio", clip[np.newaxis], 16000, max_outputs=1),
                v1.summary.text("h/text", tf.constant("*caf\u00e9*")), v1.summary.tensor_summary("h/tensor", values)]))
        theirs = v1.Summary.FromString(theirs)
        theirs.value[2].tag, theirs.value[3].tag = "h/image", "h/audio"  # the operations' tags say more
        self.expect_summaries(bytes.fromhex(told["summary_hex"]), theirs.SerializeToString())


class TheyReadOurEvents(Judged):
    @classmethod
    def setUpClass(cls):
        cls.directory = fresh("events_logs")
        run("judge_write_summaries", cls.directory, seed())
        cls.logs = cls.directory / "logs"
        cls.summary = bytes.fromhex(load(cls.directory / "logs.json")["summary_hex"])

    def test_tensorflow_reads_every_kind(self):
        files = sorted(self.logs.iterdir())
        self.assertEqual(len(files), 2)
        self.assertTrue(all(file.name.endswith(".sfx") for file in files))
        events = {file: list(v1.train.summary_iterator(str(file))) for file in files}
        first = next(kinds for kinds in events.values()
                     if any(event.WhichOneof("what") == "graph_def" for event in kinds))
        second = next(kinds for kinds in events.values() if kinds is not first)
        self.assertEqual([event.WhichOneof("what") for event in first],
                         ["file_version", "graph_def", "meta_graph_def"] + 6 * ["summary"] +
                         ["session_log", "tagged_run_metadata"])
        self.assertEqual([event.WhichOneof("what") for event in second],
                         ["file_version", "session_log", "session_log"] + 4 * ["summary"] + ["session_log"])
        graph = v1.GraphDef.FromString(first[1].graph_def)
        meta = v1.MetaGraphDef.FromString(first[2].meta_graph_def)
        self.assertEqual([node.name for node in meta.graph_def.node], [node.name for node in graph.node])
        self.assertEqual(len(meta.collection_def["summaries"].node_list.value), 15)
        self.assertFalse(meta.HasField("saver_def"))
        log = first[9].session_log
        self.assertEqual((log.status, log.checkpoint_path, log.msg), (log.CHECKPOINT, "ckpt/m-5", "saved"))
        self.assertEqual(first[10].tagged_run_metadata.tag, "step5")
        for records in (first, second):
            self.assertEqual(records[0].file_version, "brain.Event:2")
            summaries = [event.summary for event in records if event.WhichOneof("what") == "summary"]
            self.assertEqual(summaries[0].SerializeToString(), self.summary)
            for summary in summaries[1:]:
                self.assertFalse(any(value.HasField("metadata") for value in summary.value),
                                 "metadata only once a tag and file")
        self.assertEqual((second[1].session_log.status, second[1].step), (log.START, 4))

    def test_tensorboard_shows_the_resumed_run(self):
        accumulator = EventAccumulator(str(self.logs), size_guidance={kind: 0 for kind in (
            "scalars", "histograms", "images", "audio", "tensors", "compressedHistograms")})
        accumulator.Reload()
        tags = accumulator.Tags()
        self.assertEqual(tags["scalars"], ["h/scalar"])
        self.assertEqual(tags["histograms"], ["h/histogram"])
        self.assertEqual(tags["images"], ["h/image"])
        self.assertEqual(tags["audio"], ["h/audio"])
        self.assertEqual(sorted(tags["tensors"]), ["h/tensor", "h/text"])
        self.assertEqual(tags["run_metadata"], ["step5"])
        self.assertTrue(tags["graph"] and tags["meta_graph"])
        self.assertEqual(accumulator.SummaryMetadata("h/text").plugin_data.plugin_name, "text")
        # What the dashboards read by: all is tensors there.
        shown = plugin_event_accumulator.EventAccumulator(str(self.logs), size_guidance={"tensors": 0})
        shown.Reload()
        for tag in ("h/scalar", "h/histogram", "h/image", "h/audio", "h/text", "h/tensor"):
            self.assertEqual([event.step for event in shown.Tensors(tag)], list(range(8)), tag)


class WaypostReadsTheirEvents(Judged):
    def lines(self, path):
        return [json.loads(line) for line in run("waypost", "events", "--json", path).decode().splitlines()]

    def write(self, directory):
        with tf.Graph().as_default() as graph, v1.Session() as session:
            image = np.arange(2 * 3 * 4 * 3, dtype=np.uint8).reshape(2, 3, 4, 3)
            v1.summary.scalar("loss", tf.constant(0.1))
            v1.summary.histogram("weights", tf.constant([1.0, 2.0, 4.0]))
            v1.summary.image("img", image)
            v1.summary.audio("snd", np.zeros((1, 10, 2), np.float32), 8000)
            v1.summary.text("note", tf.constant(["one", "\u00e9"]))
            merged = v1.summary.merge_all()
            writer = v1.summary.FileWriter(str(directory), graph)
            options, metadata = v1.RunOptions(trace_level=v1.RunOptions.FULL_TRACE), v1.RunMetadata()
            writer.add_summary(session.run(merged, options=options, run_metadata=metadata), 3)
            writer.add_run_metadata(metadata, "step3", 3)
            writer.add_session_log(v1.SessionLog(status=v1.SessionLog.CHECKPOINT, checkpoint_path="m-3"), 3)
            writer.add_event(v1.Event(wall_time=1.5, step=-4, log_message=v1.LogMessage(message="told")))
            writer.close()

    def test_a_file_writer_of_tensorflow_1(self):
        directory = fresh("events_tf1")
        self.write(directory)
        lines = self.lines(directory)
        self.assertEqual([line["kind"] for line in lines],
                         ["file_version", "graph_def", "meta_graph_def", "simple_value", "histo", "image", "image", "audio",
                          "tensor", "tagged_run_metadata", "session_log", "log_message"])
        by_tag = {line["tag"]: line["value"] for line in lines}
        self.assertEqual(by_tag["loss"], 0.1)
        self.assertEqual(by_tag["weights"], {"count": 3.0, "min": 1.0, "max": 4.0})
        self.assertEqual((by_tag["img/image/1"]["height"], by_tag["img/image/1"]["width"]), (3, 4))
        self.assertEqual(by_tag["snd/audio/0"]["length_frames"], 10)
        self.assertEqual(by_tag["note"]["strings"], ["one", "\u00e9"])
        self.assertEqual((lines[-1]["wall_time"], lines[-1]["step"]), (1.5, -4))
        self.assertEqual(lines[-2]["value"], "checkpoint")

    def test_a_summary_writer_of_tensorflow_2(self):
        directory = fresh("events_tf2")
        writer = tf.summary.create_file_writer(str(directory))
        with writer.as_default():
            for step in range(3):
                tf.summary.scalar("loss", 0.5 * step, step=step)
            tf.summary.text("note", "words", step=2)
            tf.summary.image("img", np.zeros((1, 2, 3, 3)), step=2)
        writer.close()
        lines = self.lines(directory)
        self.assertEqual([line["value"] for line in lines if line["tag"] == "loss"], [0.0, 0.5, 1.0])
        self.assertEqual([line["value"]["strings"] for line in lines if line["tag"] == "note"], [["words"]])
        self.assertEqual([line["kind"] for line in lines if line["tag"] == "img"], ["tensor"])


if __name__ == "__main__":
    unittest.main()
