"""TensorFlow and TensorBoard take up what train_digits leaves behind: checkpoint, .meta, state file, events."""
import signal
import subprocess
import time
import unittest

from tf_values import from_numpy, tf
from tensorboard.backend.event_processing import plugin_event_accumulator
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from judge_common import BIN, cat_raw, fresh, run

v1 = tf.compat.v1
STEPS = 10000
STEPS_PER_SUMMARY = 20


def train_killed_and_resumed(name):
    """One run to the end; its directory.  It is killed with SIGKILL after its second save, and resumes at its first:
    what it trains again is in its event files twice."""
    for _ in range(5):
        directory = fresh(name)
        checkpoints = directory / "checkpoints"
        command = [str(BIN / "train_digits"), "--dir", str(directory), "--steps", str(STEPS)]
        with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL) as job:
            while job.poll() is None and not (checkpoints / "model.ckpt-2000.index").exists():
                time.sleep(0.01)
            job.send_signal(signal.SIGKILL)
        if job.returncode == -signal.SIGKILL:
            break
    else:
        raise AssertionError("the job was always done before it could be killed")
    # A save that was killed between its commit and its state file would count before what is written to that now.
    run("waypost", "recover", checkpoints)
    first = str(checkpoints / "model.ckpt-1000")
    v1.train.update_checkpoint_state(str(checkpoints), first, [first])
    told = run("train_digits", "--dir", directory, "--steps", STEPS).decode()
    if f"restored step 1000 from {first}" not in told:
        raise AssertionError("the job did not resume: " + told)
    return directory


class TrainDigits(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.directory = train_killed_and_resumed("train")
        cls.prefix = tf.train.latest_checkpoint(str(cls.directory / "checkpoints"))

    def test_the_state_file_names_the_last_save(self):
        self.assertEqual(self.prefix, str(self.directory / f"checkpoints/model.ckpt-{STEPS}"))
        self.assertEqual(run("waypost", "latest", self.directory / "checkpoints").decode().strip(), self.prefix)
        state = tf.train.get_checkpoint_state(str(self.directory / "checkpoints"))
        self.assertEqual(len(state.all_model_checkpoint_paths), 5)

    def test_load_checkpoint_reads_the_state(self):
        reader = tf.train.load_checkpoint(self.prefix)
        shapes = reader.get_variable_to_shape_map()
        self.assertEqual(shapes["hidden/kernel"], [64, 32])
        self.assertEqual(shapes["output/kernel/Adam_1"], [32, 10])
        self.assertEqual(len(shapes), 14)
        self.assertEqual(reader.get_tensor("global_step"), STEPS)
        dtypes = reader.get_variable_to_dtype_map()
        for name in shapes:
            value = from_numpy(dtypes[name].name, reader.get_tensor(name))
            self.assertEqual(value.content, cat_raw(self.prefix, name.encode()), name)

    def test_the_meta_graph_imports_restores_and_saves(self):
        saved_again = self.directory / "again" / "model.ckpt"
        saved_again.parent.mkdir()
        with tf.Graph().as_default(), v1.Session() as session:
            saver = v1.train.import_meta_graph(self.prefix + ".meta")
            saver.restore(session, self.prefix)
            variables = {variable.op.name: variable for variable in v1.global_variables()}
            self.assertEqual(len(variables), 14)
            for name, variable in variables.items():
                value = from_numpy(variable.dtype.base_dtype.name, session.run(variable))
                self.assertEqual(value.content, cat_raw(self.prefix, name.encode()), name)
            saver.save(session, str(saved_again))
        run("waypost", "diff", self.prefix, saved_again)

    def test_tensorboard_reads_scalars_histograms_and_graph(self):
        events = EventAccumulator(str(self.directory / "graphs"),
                                  size_guidance={"scalars": 0, "histograms": 0, "tensors": 0, "graph": 0})
        events.Reload()
        tags = events.Tags()
        self.assertEqual(sorted(tags["scalars"]), ["summaries/accuracy", "summaries/loss"])
        self.assertEqual(tags["histograms"], ["summaries/histogram_loss"])
        self.assertTrue(tags["graph"])
        # Neither lost by the kill nor told twice by the run after it.
        expected = list(range(0, STEPS, STEPS_PER_SUMMARY))
        for tag in tags["scalars"]:
            self.assertEqual([event.step for event in events.Scalars(tag)], expected, tag)
        # TensorBoard's own server reads otherwise where it does without its data server.
        slow = plugin_event_accumulator.EventAccumulator(str(self.directory / "graphs"), size_guidance={"tensors": 0})
        slow.Reload()
        self.assertEqual([event.step for event in slow.Tensors("summaries/loss")], expected)
        histograms = events.Histograms("summaries/histogram_loss")
        self.assertEqual([event.step for event in histograms], expected)
        for scalar, histogram in zip(events.Scalars("summaries/loss"), histograms):
            value = histogram.histogram_value
            self.assertEqual((value.num, value.min, value.max), (1, scalar.value, scalar.value))
        self.assertLess(events.Scalars("summaries/loss")[-1].value, 0.1)
        self.assertGreater(events.Scalars("summaries/accuracy")[-1].value, 0.95)
        nodes = {node.name for node in events.Graph().node}
        self.assertLessEqual({"hidden/kernel", "output/bias/Adam", "global_step", "loss", "summaries/loss",
                              "summaries/histogram_loss"}, nodes)


if __name__ == "__main__":
    unittest.main()
