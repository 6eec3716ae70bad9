#!/usr/bin/env python3
"""Regenerates the golden fixtures in this folder with a real TensorFlow.

    python -m venv tfenv && tfenv/bin/pip install tensorflow-cpu==2.21.0
    tfenv/bin/python make_golden.py [OUTPUT_DIR]

Every numeric value comes from a seeded generator, so a second run gives the
same tensor bytes. What differs from run to run: event file names and wall
times, node timings in the run metadata, timestamps of the TF2 `checkpoint`
file, and the order of map entries in text dumps.

expected.json is computed from the in-memory values, not from the files;
only its "index" lists are read back from the files (by the small table
reader below), so that a test can compare offsets, sizes and checksums.

sha256 of a numeric tensor: over its row-major little-endian bytes (what
the data file holds). sha256 of a string tensor: over, per element in
row-major order, an 8-byte little-endian length and then the bytes.
sha256 of a 4-bit tensor: over one byte an element, its high nibble cleared
(TensorFlow leaves the high nibble unspecified in the data file).
"""
import hashlib
import json
import os
import shutil
import struct
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf import tensor_bundle_pb2
from tensorflow.core.protobuf import trackable_object_graph_pb2
from tensorflow.core.util import saved_tensor_slice_pb2
from tensorflow.python.checkpoint import checkpoint_management

tf1 = tf.compat.v1
SEED = 20261123
rng = np.random.RandomState(SEED)
HERE = os.path.dirname(os.path.abspath(__file__))
OUT = os.path.abspath(sys.argv[1]) if len(sys.argv) > 1 else HERE
expected = {"tensorflow": tf.__version__, "seed": SEED, "sets": {}}


# ---------------------------------------------------------------- helpers
def fresh(name):
    path = os.path.join(OUT, name)
    shutil.rmtree(path, ignore_errors=True)
    os.makedirs(path)
    return path


def raw(value):
    """(sha256, byte count or None) of a numpy value, as the docstring says."""
    value = np.asarray(value, object if isinstance(value, bytes) else None)
    h = hashlib.sha256()
    if value.dtype == object or value.dtype.kind in "SU":
        for s in value.reshape(-1).tolist():
            b = s.encode() if isinstance(s, str) else s
            h.update(struct.pack("<Q", len(b)) + b)
        return h.hexdigest(), None
    b = np.ascontiguousarray(value).tobytes()
    if value.dtype.name in ("int4", "uint4"):
        b = bytes(x & 15 for x in b)
    h.update(b)
    return h.hexdigest(), len(b)


def describe(value, dtype):
    dtype = tf.as_dtype(dtype).base_dtype
    sha, nbytes = raw(value)
    d = {"dtype": dtype.name, "enum": dtype.as_datatype_enum,
         "shape": list(np.shape(value)), "sha256": sha}
    if nbytes is not None:
        d["nbytes"] = nbytes
    flat = np.asarray(value).reshape(-1)
    if flat.size and flat.size <= 4:
        d["values"] = [v.decode("latin1") if isinstance(v, bytes) else
                       str(v) for v in flat.tolist()]
    return d


def _varint(b, p):
    r = s = 0
    while True:
        x = b[p]
        p += 1
        r |= (x & 127) << s
        s += 7
        if x < 128:
            return r, p


def _block(data, off, size):
    c = data[off:off + size]
    end = len(c) - 4 - 4 * struct.unpack("<I", c[-4:])[0]
    p, key, out = 0, b"", []
    while p < end:
        shared, p = _varint(c, p)
        fresh_len, p = _varint(c, p)
        vlen, p = _varint(c, p)
        key = key[:shared] + c[p:p + fresh_len]
        p += fresh_len
        out.append((key, c[p:p + vlen]))
        p += vlen
    return out


def table(path):
    data = open(path, "rb").read()
    p = len(data) - 48
    for _ in range(2):
        _, p = _varint(data, p)
    off, p = _varint(data, p)
    size, p = _varint(data, p)
    entries, blocks = [], 0
    for _, handle in _block(data, off, size):
        o, q = _varint(handle, 0)
        s, q = _varint(handle, q)
        entries += _block(data, o, s)
        blocks += 1
    return entries, blocks


def bundle_index(prefix):
    entries, blocks = table(prefix + ".index")
    out = []
    for key, value in entries:
        if key == b"":
            h = tensor_bundle_pb2.BundleHeaderProto.FromString(value)
            header = {"num_shards": h.num_shards, "endianness": h.endianness,
                      "producer": h.version.producer,
                      "min_consumer": h.version.min_consumer}
            continue
        e = tensor_bundle_pb2.BundleEntryProto.FromString(value)
        d = {"key_hex": key.hex(), "enum": e.dtype,
             "shape": [x.size for x in e.shape.dim], "shard": e.shard_id,
             "offset": e.offset, "size": e.size, "crc32c_masked": e.crc32c}
        if e.slices:
            d["slices"] = [[[x.start, x.length if x.WhichOneof(
                "has_length_hack") else -1] for x in s.extent]
                           for s in e.slices]
        out.append(d)
    return {"header": header, "index_blocks": blocks, "index": out}


def files_of(folder):
    out = {}
    for root, _, names in os.walk(os.path.join(OUT, folder)):
        for n in sorted(names):
            p = os.path.join(root, n)
            b = open(p, "rb").read()
            out[os.path.relpath(p, OUT)] = {
                "size": len(b), "sha256": hashlib.sha256(b).hexdigest()}
    return out


def record_set(name, folder, prefix, fmt, tensors, **more):
    d = {"folder": folder, "prefix": prefix, "format": fmt,
         "tensors": tensors}
    if fmt == "V2":
        d.update(bundle_index(os.path.join(OUT, prefix)))
    d.update(more)
    expected["sets"][name] = d


# ------------------------------------------------------------- the values
def common_values():
    r = rng
    bf16 = tf.bfloat16.as_numpy_dtype
    return {
        "t/bool": np.array([True, False, True, True, False]),
        "t/int8": np.array([-128, -1, 0, 1, 127], np.int8),
        "t/uint8": np.arange(256, dtype=np.uint8).reshape(16, 16),
        "t/int16": r.randint(-32768, 32767, [3, 5]).astype(np.int16),
        "t/uint16": np.array([0, 1, 65535], np.uint16),
        "t/int32": r.randint(-2**31, 2**31 - 1, [7]).astype(np.int32),
        "t/uint32": np.array([0, 2**32 - 1], np.uint32),
        "t/int64": np.array([-2**63, -1, 0, 2**63 - 1], np.int64),
        "t/uint64": np.array([0, 2**64 - 1], np.uint64),
        "t/half": r.randn(2, 3).astype(np.float16),
        "t/bfloat16": r.randn(2, 3).astype(bf16),
        "t/float": r.randn(4, 3, 2).astype(np.float32),
        "t/double": np.array([np.pi, -0.0, np.inf, -np.inf, np.nan, 5e-324]),
        "t/complex64": (r.randn(3) + 1j * r.randn(3)).astype(np.complex64),
        "t/complex128": r.randn(2, 2) + 1j * r.randn(2, 2),
        "t/string": np.array([[b"hello", b""], [b"\x00\xff\n", b"x" * 300]],
                             dtype=object),
        "t/scalar_float": np.float32(3.5),
        "t/scalar_int64": np.int64(-7),
        "t/scalar_string": np.array(b"a scalar", dtype=object),
        "t/empty": np.zeros([0, 3], np.float32),
        "t/empty_string": np.zeros([0], dtype=object),
        "global_step": np.int64(7),
    }


def make_vars(values):
    vs = []
    for name, value in values.items():
        value = np.asarray(value)
        dtype = tf.string if value.dtype == object else tf.as_dtype(value.dtype)
        init = tf.constant(value.tolist() if value.dtype == object else value,
                           dtype=dtype, shape=value.shape)
        vs.append(tf1.get_variable(name, initializer=init))
    return vs


def described(values):
    return {k: describe(v, tf.string if np.asarray(v).dtype == object
                        else np.asarray(v).dtype) for k, v in values.items()}


def v2_single():
    d = fresh("v2_single")
    values = common_values()
    with tf.Graph().as_default(), tf1.Session() as s:
        make_vars(values)
        s.run(tf1.global_variables_initializer())
        saver = tf1.train.Saver(save_relative_paths=True)
        saver.save(s, d + "/all.ckpt", global_step=7)
        saver.save(s, d + "/all.ckpt", global_step=11)
    for step in (7, 11):
        record_set("v2_single_%d" % step, "v2_single",
                   "v2_single/all.ckpt-%d" % step, "V2", described(values))


def v2_raw():
    """Types that a Variable cannot hold, written by the SaveV2 op itself."""
    d = fresh("v2_raw")
    lowbit = tf.dtypes.experimental
    vals, desc, names = [], {}, []
    for name, t in [("int4", lowbit.int4), ("uint4", lowbit.uint4),
                    ("float8_e5m2", lowbit.float8_e5m2),
                    ("float8_e4m3fn", lowbit.float8_e4m3fn)]:
        x = np.array([1, 2, 3, -4 if name == "int4" else 4]).astype(
            t.as_numpy_dtype)
        names.append(name)
        vals.append(x)
        desc[name] = describe(x, t)
    for name, src, t in [("qint8", np.int8, tf.qint8),
                         ("quint8", np.uint8, tf.quint8),
                         ("qint32", np.int32, tf.qint32),
                         ("qint16", np.int16, tf.qint16),
                         ("quint16", np.uint16, tf.quint16)]:
        x = np.array([1, 2, 250], np.int64).astype(src)
        names.append(name)
        vals.append((x, t))
        desc[name] = describe(x, src)
        desc[name].update(dtype=t.name, enum=t.as_datatype_enum)
    with tf.Graph().as_default(), tf1.Session() as s:
        ts = [tf.bitcast(tf.constant(v[0]), v[1]) if isinstance(v, tuple)
              else tf.constant(v) for v in vals]
        s.run(tf.raw_ops.SaveV2(prefix=d + "/raw", tensor_names=names,
                                shape_and_slices=[""] * len(names),
                                tensors=ts))
    record_set("v2_raw", "v2_raw", "v2_raw/raw", "V2", desc,
               note="4-bit types: one byte an element in the data file")


def v2_sharded():
    d = fresh("v2_sharded")
    values = {"s/b%d" % i: rng.randn(3 + i, 4).astype(np.float32)
              for i in range(7)}
    with tf.Graph().as_default(), tf1.Session(
            config=tf1.ConfigProto(device_count={"CPU": 3})) as s:
        for i, (k, v) in enumerate(values.items()):
            with tf.device("/cpu:%d" % (i % 3)):
                tf1.get_variable(k, initializer=v)
        s.run(tf1.global_variables_initializer())
        tf1.train.Saver(sharded=True, save_relative_paths=True).save(
            s, d + "/sh.ckpt", global_step=100)
    record_set("v2_sharded", "v2_sharded", "v2_sharded/sh.ckpt-100", "V2",
               described(values), num_shards=3)


def v2_partitioned():
    d = fresh("v2_partitioned")
    a = rng.randn(10, 4).astype(np.float32)
    b = rng.randn(3, 7)
    c = rng.randint(-5, 5, [8]).astype(np.int32)
    full = {"p/rows": a, "p/cols": b, "q/spread": c}
    with tf.Graph().as_default(), tf1.Session(
            config=tf1.ConfigProto(device_count={"CPU": 3})) as s:
        for name, v, axis in [("p/rows", a, 0), ("p/cols", b, 1)]:
            tf1.get_variable(
                name, shape=v.shape, dtype=tf.as_dtype(v.dtype),
                partitioner=tf1.fixed_size_partitioner(3, axis=axis))
        parts = np.array_split(c, 4)
        with tf1.variable_scope("q"):
            pv = tf1.get_variable(
                "spread", shape=c.shape, dtype=tf.int32,
                initializer=tf1.zeros_initializer(),
                partitioner=tf1.fixed_size_partitioner(4))
        tf1.get_variable("whole", initializer=np.float32([1, 2, 3]))
        s.run(tf1.global_variables_initializer())
        specs = {}
        for v in tf1.global_variables():
            info = v._get_save_slice_info()
            if info is None:
                continue
            idx = tuple(slice(o, o + n) for o, n in
                        zip(info.var_offset, info.var_shape))
            v.load(full[info.full_name][idx], s)
            specs.setdefault(info.full_name, []).append(info.spec)
        tf1.train.Saver(save_relative_paths=True).save(s, d + "/part.ckpt")
    t = described(full)
    for k in t:
        t[k]["slice_specs"] = specs[k]
    t["whole"] = describe(np.float32([1, 2, 3]), tf.float32)
    record_set("v2_partitioned", "v2_partitioned",
               "v2_partitioned/part.ckpt", "V2", t)


def v2_partitioned_sharded():
    d = fresh("v2_partitioned_sharded")
    full = rng.randn(9, 3).astype(np.float32)
    with tf.Graph().as_default(), tf1.Session(
            config=tf1.ConfigProto(device_count={"CPU": 3})) as s:
        counter = [0]

        def place(op):
            if op.type == "VarHandleOp":
                counter[0] += 1
                return "/cpu:%d" % ((counter[0] - 1) % 3)
            return "/cpu:0"
        with tf1.device(place):
            tf1.get_variable("e/emb", shape=full.shape,
                             partitioner=tf1.fixed_size_partitioner(3))
        s.run(tf1.global_variables_initializer())
        specs = []
        for v in tf1.global_variables():
            info = v._get_save_slice_info()
            o, n = info.var_offset[0], info.var_shape[0]
            v.load(full[o:o + n], s)
            specs.append(info.spec)
        tf1.train.Saver(sharded=True, save_relative_paths=True).save(
            s, d + "/ps.ckpt", global_step=5)
    t = described({"e/emb": full})
    t["e/emb"]["slice_specs"] = specs
    record_set("v2_partitioned_sharded", "v2_partitioned_sharded",
               "v2_partitioned_sharded/ps.ckpt-5", "V2", t, num_shards=3)


def v1():
    d = fresh("v1")
    ok = {"bool", "int8", "uint8", "int16", "uint16", "int32", "int64",
          "half", "float", "double", "complex64", "complex128", "string",
          "scalar_float", "scalar_string", "empty"}
    values = {"v1/" + k[2:]: v for k, v in common_values().items()
              if k[2:] in ok}
    with tf.Graph().as_default(), tf1.Session() as s:
        make_vars(values)
        s.run(tf1.global_variables_initializer())
        tf1.train.Saver(write_version=tf1.train.SaverDef.V1,
                        save_relative_paths=True).save(
            s, d + "/old.ckpt", global_step=3)
    record_set("v1", "v1", "v1/old.ckpt-3", "V1", described(values))
    full = rng.randn(6, 2).astype(np.float32)
    other = rng.randn(4)
    with tf.Graph().as_default(), tf1.Session(
            config=tf1.ConfigProto(device_count={"CPU": 2})) as s:
        with tf.device("/cpu:0"):
            tf1.get_variable("sl", shape=full.shape,
                             partitioner=tf1.fixed_size_partitioner(3))
        with tf.device("/cpu:1"):
            tf1.get_variable("other", initializer=other)
        s.run(tf1.global_variables_initializer())
        for v in tf1.global_variables():
            info = v._get_save_slice_info()
            if info is not None:
                o, n = info.var_offset[0], info.var_shape[0]
                v.load(full[o:o + n], s)
        path = tf1.train.Saver(write_version=tf1.train.SaverDef.V1,
                               sharded=True).save(
            s, d + "/shard.ckpt", global_step=4,
            latest_filename="checkpoint_sharded")
    os.remove(d + "/checkpoint_sharded")
    record_set("v1_sharded", "v1", "v1/" + os.path.basename(path), "V1",
               described({"sl": full, "other": other}), num_shards=2)


def tf2_object():
    d = fresh("tf2_object")
    values = {"dense/kernel": rng.randn(3, 2).astype(np.float32),
              "dense/bias": rng.randn(2).astype(np.float32),
              "items_0": np.int32(1), "items_1": np.int32(2),
              "odd": np.float64(0.5)}

    class Model(tf.Module):
        def __init__(self):
            self.kernel = tf.Variable(values["dense/kernel"],
                                      name="dense/kernel")
            self.bias = tf.Variable(values["dense/bias"], name="dense/bias")
            self.items = [tf.Variable(1, name="items_0"),
                          tf.Variable(2, name="items_1")]
            self.table = {"a/b.c": tf.Variable(values["odd"], name="odd")}
    step = tf.Variable(41, dtype=tf.int64, name="step")
    ckpt = tf.train.Checkpoint(model=Model(), step=step)
    manager = tf.train.CheckpointManager(ckpt, d, max_to_keep=2)
    for _ in range(2):
        step.assign_add(1)
        manager.save()
    prefix = d + "/ckpt-2"
    reader = tf.train.load_checkpoint(prefix)
    graph = trackable_object_graph_pb2.TrackableObjectGraph.FromString(
        reader.get_tensor("_CHECKPOINTABLE_OBJECT_GRAPH"))
    names = {a.full_name: a.checkpoint_key for n in graph.nodes
             for a in n.attributes}
    values["step"] = np.int64(43)
    values["save_counter"] = np.int64(2)
    t = {names[k]: dict(d_, full_name=k)
         for k, d_ in described(values).items()}
    record_set("tf2_object", "tf2_object", "tf2_object/ckpt-2", "V2", t,
               names_to_keys=names)


def graph_files():
    d = fresh("graph")
    with tf.Graph().as_default() as g, tf1.Session() as s:
        x = tf1.placeholder(tf.float32, [None, 3], name="x")
        w = tf1.get_variable("w", initializer=rng.randn(3, 2).astype(
            np.float32), use_resource=True)
        r = tf1.get_variable("r", initializer=np.float32([1, 2]),
                             use_resource=False, trainable=False)
        y = tf.add(tf.matmul(x, w), r, name="y")
        tf1.summary.scalar("mean", tf.reduce_mean(y))
        tf1.add_to_collection("endpoints", "y:0")
        tf1.add_to_collection("sizes", 3)
        tf1.add_to_collection("rates", 0.5)
        tf1.train.write_graph(g, d, "graph.pbtxt")
        tf1.train.write_graph(g.as_graph_def(), d, "graph.pb", as_text=False)
        s.run(tf1.global_variables_initializer())
        saver = tf1.train.Saver(save_relative_paths=True)
        saver.save(s, d + "/model.ckpt", global_step=1)
        saver.export_meta_graph(d + "/model.meta.pbtxt", as_text=True)
        values = {"w": s.run(w), "r": s.run(r)}
        gd = g.as_graph_def()
    record_set("graph", "graph", "graph/model.ckpt-1", "V2",
               described(values),
               graph_pb="graph/graph.pb", graph_pbtxt="graph/graph.pbtxt",
               meta="graph/model.ckpt-1.meta",
               nodes_in_meta=[[n.name, n.op, list(n.input)] for n in gd.node],
               saver_def={"filename_tensor_name": "save/Const:0",
                          "save_tensor_name": "save/control_dependency:0",
                          "restore_op_name": "save/restore_all"},
               collections=["variables", "trainable_variables", "summaries",
                            "endpoints", "sizes", "rates"])


def event_rows(path):
    out = []
    b = open(path, "rb").read()
    p = 0
    while p < len(b):
        n = struct.unpack("<Q", b[p:p + 8])[0]
        e = tf1.Event.FromString(b[p + 12:p + 12 + n])
        p += n + 16
        row = {"what": e.WhichOneof("what"), "step": e.step,
               "wall_time": e.wall_time}
        if row["what"] == "file_version":
            row["file_version"] = e.file_version
            row["writer"] = e.source_metadata.writer
        elif row["what"] == "summary":
            row["values"] = []
            for v in e.summary.value:
                kind = v.WhichOneof("value")
                r = {"tag": v.tag, "kind": kind,
                     "plugin": v.metadata.plugin_data.plugin_name}
                if kind == "simple_value":
                    r["simple_value"] = repr(float(v.simple_value))
                elif kind == "histo":
                    h = v.histo
                    r["histo"] = {"min": repr(h.min), "max": repr(h.max),
                                  "num": h.num, "sum": repr(h.sum),
                                  "sum_squares": repr(h.sum_squares),
                                  "bucket_limit": [repr(x) for x in
                                                   h.bucket_limit],
                                  "bucket": list(h.bucket)}
                elif kind == "image":
                    r["image"] = [v.image.height, v.image.width,
                                  v.image.colorspace,
                                  len(v.image.encoded_image_string)]
                elif kind == "tensor":
                    t = tf.make_ndarray(v.tensor)
                    r["tensor"] = describe(t, v.tensor.dtype)
                row["values"].append(r)
        elif row["what"] == "session_log":
            row["session_log"] = [e.session_log.status,
                                  e.session_log.checkpoint_path,
                                  e.session_log.msg]
        elif row["what"] == "tagged_run_metadata":
            row["tag"] = e.tagged_run_metadata.tag
            row["bytes"] = len(e.tagged_run_metadata.run_metadata)
        else:
            row["bytes"] = len(getattr(e, row["what"]))
        out.append(row)
    return out


def events():
    d = fresh("events/tf1")
    data = rng.randn(200).astype(np.float32)
    with tf.Graph().as_default() as g, tf1.Session() as s:
        v = tf1.placeholder(tf.float32, [], name="v")
        h = tf1.placeholder(tf.float32, None, name="h")
        tf1.summary.scalar("loss", v)
        with tf1.name_scope("train"):
            tf1.summary.scalar("loss", v)
            tf1.summary.scalar("acc", v, family="fam")
        tf1.summary.histogram("weights", h)
        tf1.summary.image("img", tf.constant(np.arange(
            24, dtype=np.uint8).reshape(2, 2, 2, 3)), max_outputs=2)
        tf1.summary.text("note", tf.constant(["one", "two"]))
        merged = tf1.summary.merge_all()
        w = tf1.summary.FileWriter(d, g, filename_suffix=".golden")
        inputs = {0: [0.0], 1: data.tolist(), 2: [], 3: [1e-13, -1e30, 1e30,
                                                         1.0, 1.1]}
        for step, hist in inputs.items():
            w.add_summary(s.run(merged, {v: step * 0.25, h: hist}), step)
        md = tf1.RunMetadata()
        s.run(merged, {v: 1.0, h: [1.0]}, options=tf1.RunOptions(
            trace_level=tf1.RunOptions.FULL_TRACE), run_metadata=md)
        w.add_run_metadata(md, "step1", 1)
        w.add_session_log(tf1.SessionLog(status=tf1.SessionLog.CHECKPOINT,
                                         checkpoint_path="/data/m-1",
                                         msg="saved"), 1)
        sm = tf1.Summary()
        for tag, x in [("nan", float("nan")), ("inf", float("inf")),
                       ("by_hand", 2.0)]:
            sm.value.add(tag=tag, simple_value=x)
        w.add_summary(sm.SerializeToString(), 4)
        w.close()
    d2 = fresh("events/tf2")
    writer = tf.summary.create_file_writer(d2)
    with writer.as_default():
        for step in range(2):
            tf.summary.scalar("sc", 0.5 + step, step=step)
            tf.summary.histogram("hi", data[:20], step=step)
            tf.summary.text("tx", "hello", step=step)
            tf.summary.image("im", np.zeros([1, 2, 2, 1], np.uint8),
                             step=step)
    writer.close()
    out = {}
    for folder in (d, d2):
        for n in sorted(os.listdir(folder)):
            p = os.path.join(folder, n)
            out[os.path.relpath(p, OUT)] = event_rows(p)
    expected["events"] = out
    expected["histogram_inputs"] = {str(k): [repr(float(np.float32(x)))
                                             for x in v]
                                    for k, v in inputs.items()}


def states():
    d = fresh("state")
    upd = checkpoint_management.update_checkpoint_state_internal
    upd("/data/train", "/data/train/m.ckpt-300",
        ["/data/train/m.ckpt-%d" % i for i in (100, 200, 300)],
        latest_filename=os.path.join(d, "absolute"))
    upd(d, d + "/m.ckpt-20", [d + "/m.ckpt-10", d + "/m.ckpt-20"],
        latest_filename="relative", save_relative_paths=True)
    upd(d, d + "/m.ckpt-20", [d + "/m.ckpt-10", d + "/m.ckpt-20"],
        latest_filename="timestamps", save_relative_paths=True,
        all_model_checkpoint_timestamps=[1700000000.5, 1700003600.123456],
        last_preserved_timestamp=1699990000.0)
    upd(d, d + "/d\u00e9j\u00e0 \"vu\"\\n-1", None, latest_filename="escapes",
        save_relative_paths=False)
    text = open(d + "/escapes").read().replace(d, "/data")
    open(d + "/escapes", "w").write(text)
    rows = {}
    for n in sorted(os.listdir(d)):
        st = tf1.train.get_checkpoint_state(d, n)
        rel = (lambda p: "<dir>/" + os.path.relpath(p, d)
               if p.startswith(d + "/") else p)
        rows["state/" + n] = {
            "model_checkpoint_path": rel(st.model_checkpoint_path),
            "all_model_checkpoint_paths": [
                rel(p) for p in st.all_model_checkpoint_paths],
            "all_model_checkpoint_timestamps": list(
                st.all_model_checkpoint_timestamps),
            "last_preserved_timestamp": st.last_preserved_timestamp}
    expected["states"] = rows


def main():
    os.makedirs(OUT, exist_ok=True)
    tf1.reset_default_graph()
    tf2_object()
    with tf.Graph().as_default():
        for step in (v2_single, v2_raw, v2_sharded, v2_partitioned,
                     v2_partitioned_sharded, v1, graph_files, states):
            step()
    events()
    expected["files"] = {}
    for f in ("v2_single", "v2_raw", "v2_sharded", "v2_partitioned",
              "v2_partitioned_sharded", "v1", "tf2_object", "graph",
              "events", "state"):
        expected["files"].update(files_of(f))
    with open(os.path.join(OUT, "expected.json"), "w") as f:
        json.dump(expected, f, indent=1, sort_keys=True)
        f.write("\n")
    check()


def check():
    """Reads every set back with TensorFlow and compares the sha256."""
    bad = 0
    for name, st in expected["sets"].items():
        prefix = os.path.join(OUT, st["prefix"])
        for t, d in st["tensors"].items():
            with tf.Graph().as_default(), tf1.Session() as s:
                dt = tf.as_dtype(d["enum"])
                x = tf.raw_ops.RestoreV2(prefix=prefix, tensor_names=[t],
                                         shape_and_slices=[""], dtypes=[dt])[0]
                if dt.is_quantized:
                    x = tf.bitcast(x, {"qint8": tf.int8, "quint8": tf.uint8,
                                       "qint32": tf.int32, "qint16": tf.int16,
                                       "quint16": tf.uint16}[dt.name])
                got = raw(s.run(x))[0]
            if got != d["sha256"]:
                bad += 1
                print("MISMATCH", name, t)
    print("checked by TensorFlow, mismatches:", bad)


main()
