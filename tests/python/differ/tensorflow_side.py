"""Runs a command on TensorFlow, in this process; the clock of its Saver is the command `clock`'s."""
import os
import types

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")

import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402
from google.protobuf import text_format  # noqa: E402
from tensorflow.python.checkpoint import checkpoint_management  # noqa: E402
from tensorflow.python.training import checkpoint_state_pb2  # noqa: E402
from tensorflow.python.training import saver as saver_module  # noqa: E402

from .variables import all_parts  # noqa: E402

v1 = tf.compat.v1
CONFIG = v1.ConfigProto(device_count={"CPU": 4}, intra_op_parallelism_threads=1, inter_op_parallelism_threads=2)


def from_told(variable, told):
    dtype = tf.as_dtype(variable["dtype"])
    if variable["dtype"] == "string":
        array = np.empty(len(told), object)
        array[:] = [bytes.fromhex(element) for element in told]
    else:
        array = np.frombuffer(bytes.fromhex(told), dtype.as_numpy_dtype)
    return array.reshape(variable["shape"])


def to_told(variable, array):
    if variable["dtype"] == "string":
        return [bytes(element).hex() for element in np.asarray(array, object).reshape(-1).tolist()]
    return np.ascontiguousarray(array).tobytes().hex()


def parse_state(text):
    return text_format.Parse(text, checkpoint_state_pb2.CheckpointState())


def state_told(state):
    return {"model_checkpoint_path": state.model_checkpoint_path,
            "all_model_checkpoint_paths": list(state.all_model_checkpoint_paths),
            "all_model_checkpoint_timestamps": [time if np.isfinite(time) else str(time) for time in
                                                state.all_model_checkpoint_timestamps],
            "last_preserved_timestamp": state.last_preserved_timestamp or None}


def stored_tensors(prefix):
    """{name: (dtype, shape)}; nothing when there is no checkpoint that can be read."""
    try:
        reader = tf.train.load_checkpoint(prefix)
        dtypes = reader.get_variable_to_dtype_map()
        return {name: (dtypes[name].name, shape) for name, shape in reader.get_variable_to_shape_map().items()}
    except Exception:  # pylint: disable=broad-except
        return {}


class TensorFlowSide:
    def __init__(self):
        v1.logging.set_verbosity(v1.logging.FATAL)
        self.seconds = 0.0
        saver_module.time = types.SimpleNamespace(time=lambda: self.seconds)
        self.session = None

    def do(self, command):
        """{"ok": result} or {"error": {"class", "message"}}."""
        try:
            with self.graph().as_default():
                return {"ok": getattr(self, command["op"])(command)}
        except Exception as error:  # pylint: disable=broad-except
            return {"error": {"class": type(error).__name__, "message": str(error)}}

    def graph(self):
        return self.session.graph if self.session else tf.Graph()

    # ---- The job ----

    def start(self, command):
        if self.session:
            self.session.close()
        self.savers, self.variables, self.partitioned = {}, {}, {}
        self.told = {told["name"]: told for told in all_parts(command["variables"])}
        graph = tf.Graph()
        with graph.as_default():
            for told in command["variables"]:
                self.add_variable(told)
        self.session = v1.Session(graph=graph, config=CONFIG)

    def add_variable(self, told):
        dtype = tf.as_dtype(told["dtype"])

        def zero(shape, **_):
            array = np.zeros(shape, dtype.as_numpy_dtype)
            return tf.constant(array.astype(str) if dtype == tf.string else array, dtype)

        with tf.device(told["device"] or None):
            if "parts" not in told:
                self.variables[told["name"]] = v1.get_variable(
                    told["name"], told["shape"], dtype, use_resource=told["resource"], initializer=zero)
                return
            parts = list(v1.get_variable(told["name"], told["shape"], dtype, use_resource=told["resource"],
                                         initializer=zero, partitioner=lambda **_: told["parts"]))
        self.partitioned[told["name"]] = parts
        self.variables.update({f"{told['name']}/part_{number}": part for number, part in enumerate(parts)})

    def clock(self, command):
        self.seconds = command["seconds"]

    def set(self, command):
        for name, told in command["values"].items():
            self.variables[name].load(from_told(self.told[name], told), self.session)

    def get(self, _):
        values = self.session.run(self.variables) if self.variables else {}  # no empty graph
        return {name: to_told(self.told[name], value) for name, value in values.items()}

    # ---- Savers ----

    def new_saver(self, command):
        self.savers.pop(command["saver"], None)
        options = dict(command["options"])
        if "var_list" in options:
            options["var_list"] = self.var_list(options["var_list"])
        self.savers[command["saver"]] = v1.train.Saver(**options)

    def var_list(self, told):
        if "list" in told:
            return [variable for name in told["list"] for variable in
                    self.partitioned.get(name, [self.variables.get(name)])]
        return {key: [self.variables[name] for name in value] if isinstance(value, list) else
                self.partitioned.get(value) or self.variables[value] for key, value in told["map"].items()}

    def build(self, command):
        self.savers[command["saver"]].build()

    def as_saver_def(self, command):
        told = self.savers[command["saver"]].as_saver_def()
        return told and {field.name: getattr(told, field.name) for field in told.DESCRIPTOR.fields}

    def save(self, command):
        options = dict(command["options"])
        if isinstance(options.get("global_step"), dict):
            options["global_step"] = self.variables[options["global_step"]["variable"]]
        return self.savers[command["saver"]].save(self.session, command["path"], **options) or ""

    def restore(self, command):
        self.savers[command["saver"]].restore(self.session, command["path"])

    def last_checkpoints(self, command):
        return self.savers[command["saver"]].last_checkpoints

    def set_last_checkpoints(self, command):
        self.savers[command["saver"]].set_last_checkpoints(command["paths"])

    def set_last_checkpoints_with_time(self, command):
        self.savers[command["saver"]].set_last_checkpoints_with_time(list(zip(command["paths"], command["seconds"])))

    def recover_last_checkpoints(self, command):
        self.savers[command["saver"]].recover_last_checkpoints(command["paths"])

    # ---- Functions ----

    def chdir(self, command):
        os.chdir(command["directory"])

    def get_checkpoint_state(self, command):
        state = v1.train.get_checkpoint_state(command["directory"], command["latest_filename"] or None)
        return state and state_told(state)

    def latest_checkpoint(self, command):
        return v1.train.latest_checkpoint(command["directory"], command["latest_filename"] or None)

    def generate_checkpoint_state(self, command):
        return state_told(v1.train.generate_checkpoint_state_proto(
            command["directory"], command["path"], list(command["all_paths"]), command["timestamps"] or None,
            command["last_preserved_timestamp"]))

    def get_checkpoint_mtimes(self, command):
        return v1.train.get_checkpoint_mtimes(command["paths"])

    def remove_checkpoint(self, command):
        v1.train.remove_checkpoint(command["path"], command["version"], command["meta_graph_suffix"])

    def update_checkpoint_state(self, command):
        checkpoint_management.update_checkpoint_state_internal(
            command["directory"], command["path"], list(command["all_paths"]), command["latest_filename"] or None,
            command["save_relative_paths"], command["timestamps"] or None, command["last_preserved_timestamp"])

    def checkpoint_exists(self, command):
        return v1.train.checkpoint_exists(command["path"])
