"""Format V1: TensorFlow reads what Waypost writes, byte for byte what TensorFlow writes, and Waypost reads TensorFlow's."""
import unittest

from tf_values import from_numpy, generator, np, random_tensor, restore, slice_of, slice_spec, tf, to_numpy

from judge_common import Tensor, cat_raw, fresh, listing, run, write_by_waypost

v1 = tf.compat.v1

DTYPES = ["float32", "float64", "int32", "uint8", "int16", "int8", "complex64", "int64", "bool", "uint16", "complex128",
          "float16"]
SHAPES = [(), (0,), (1,), (7,), (2, 3, 4), (5, 0, 2), (1, 1, 1, 1, 1, 1, 1, 2), (129, 257)]


def random_state(rng):
    state = {}
    for dtype in DTYPES + ["string"]:
        for number, shape in enumerate(SHAPES):
            if dtype == "string" and len(shape) == 2 and shape[0] > 100:
                shape = (40, 30)
            state[f"{dtype}/{number}".encode()] = random_tensor(rng, dtype, shape)
    for name in ["a", "a/b", "новый/тензор", "x" * 3000, "line\nbreak", "nul\0l"]:
        state[name.encode()] = random_tensor(rng, "int16", (3, 2))
    # Entries that the table must give blocks of their own, beside smaller ones.
    for name, size in [("large/half", 300_000), ("large/just", 524_288), ("large/more", 2_000_003)]:
        state[name.encode()] = random_tensor(rng, "uint8", (size,))
    state[b"large/string"] = Tensor("string", (2,), [rng.bytes(700000), b"\0"])
    return state


def written_by_tensorflow(path, state):
    """By the op SaveSlices, as a Saver with write_version=V1 does."""
    names, specs, data = [], [], []
    for name, tensor in sorted(state.items()):
        for start, length, content in tensor.parts or [(None, None, None)]:
            part = tensor if start is None else Tensor(tensor.dtype, length, content)
            names.append(name)
            specs.append("" if start is None else slice_spec(tensor.shape, start, length))
            data.append(tf.constant(to_numpy(part), dtype=tf.as_dtype(part.dtype)))
    tf.raw_ops.SaveSlices(filename=str(path), tensor_names=names, shapes_and_slices=specs, data=data)


def rows(tensor, borders):
    """The tensor, cut into slices of rows."""
    shape = tensor.shape
    boxes = [([begin] + [0] * (len(shape) - 1), [end - begin] + shape[1:])
             for begin, end in zip([0, *borders], [*borders, shape[0]])]
    if tensor.dtype != "string":
        tensor.parts = [(start, length, slice_of(tensor, start, length)) for start, length in boxes]
    return tensor


class WaypostWritesV1(unittest.TestCase):
    def expect(self, path, name, tensor):
        got = restore(path, name, tensor.dtype)
        self.assertEqual((got.shape, got.sha256), (tensor.shape, tensor.sha256), name[:80])

    def test_the_very_bytes_that_tensorflow_writes(self):
        directory = fresh("v1_bytes")
        rng = generator(31)
        # TensorFlow's op sorts by name; equal names, those of slices, stay in order only among few.
        sliced = {dtype.encode(): rows(random_tensor(rng, dtype, (11, 5)), [3, 4]) for dtype in DTYPES[:5]}
        for number, state in enumerate([random_state(rng), random_state(rng), sliced]):
            ours, theirs = directory / f"ours{number}", directory / f"theirs{number}"
            write_by_waypost(ours, state, directory, v1=True)
            written_by_tensorflow(theirs, state)
            self.assertTrue(ours.read_bytes() == theirs.read_bytes(), number)

    def test_tensorflow_reads_every_tensor(self):
        directory = fresh("v1_every")
        state = random_state(generator(33))
        for number, tensor in enumerate(state.values()):
            tensor.devices = [f"/device:CPU:{number % 3}"]
        for sharded, path in ((False, directory / "m"), (True, directory / "s-?????-of-00003")):
            write_by_waypost(directory / ("s" if sharded else "m"), state, directory, sharded=sharded, v1=True)
            for name, tensor in state.items():
                self.expect(path, name, tensor)

    def test_tensorflow_joins_slices_of_every_dtype(self):
        directory = fresh("v1_slices")
        rng = generator(34)
        state = {dtype.encode(): rows(random_tensor(rng, dtype, (37, 23)), [9, 10, 30]) for dtype in DTYPES}
        write_by_waypost(directory / "m", state, directory, v1=True)
        for name, tensor in state.items():
            self.expect(directory / "m", name, tensor)
            start, length = [5, 7], [20, 9]
            got = restore(directory / "m", name, tensor.dtype, slice_spec(tensor.shape, start, length))
            self.assertEqual(got.content, slice_of(tensor, start, length), name)


class TensorFlowWritesV1(unittest.TestCase):
    def expect(self, prefix, state):
        seen = listing(prefix)
        self.assertEqual(sorted(seen), sorted(state))
        for name, tensor in state.items():
            told = seen[name]
            self.assertEqual((told["dtype"], told["shape"], told["sha256"]), (tensor.dtype, tensor.shape, tensor.sha256),
                             name[:80])
            raw = cat_raw(prefix, name)
            self.assertEqual(raw, b"".join(tensor.content) if tensor.dtype == "string" else tensor.content, name[:80])
        run("waypost", "verify", prefix)

    def test_every_dtype(self):
        path = fresh("v1_theirs") / "m"
        state = random_state(generator(35))
        written_by_tensorflow(path, state)
        self.expect(path, state)

    def test_quantized_types(self):
        path = fresh("v1_quantized") / "m"
        rng = generator(36)
        tf.raw_ops.SaveSlices(
            filename=str(path), tensor_names=["qint32", "qint8", "quint8"], shapes_and_slices=["", "", ""],
            data=[tf.bitcast(tf.constant(rng.integers(-2**31, 2**31, 40), tf.int32), tf.qint32),
                  tf.bitcast(tf.constant(rng.integers(-128, 128, 40), tf.int8), tf.qint8),
                  tf.bitcast(tf.constant(rng.integers(0, 256, 40), tf.uint8), tf.quint8)])
        for name in ("qint32", "qint8", "quint8"):
            theirs = tf.raw_ops.RestoreV2(prefix=str(path), tensor_names=[name], shape_and_slices=[""],
                                          dtypes=[tf.as_dtype(name)])[0]
            plain = tf.bitcast(theirs, {"qint32": tf.int32, "qint8": tf.int8, "quint8": tf.uint8}[name]).numpy()
            self.assertEqual(cat_raw(path, name.encode()), plain.tobytes())

    def test_a_saver_plain_and_sharded(self):
        rng = generator(37)
        for sharded in (False, True):
            directory = fresh(f"v1_saver_{sharded}")
            config = v1.ConfigProto(device_count={"CPU": 3})
            with tf.Graph().as_default(), v1.Session(config=config) as session:
                made = {"words": v1.Variable([b"one", b"", b"\xff\0"], name="words", use_resource=False)}
                for number in range(7):
                    with tf.device(f"/device:CPU:{number % 3}"):
                        value = rng.normal(size=(number + 1, 3)).astype(np.float32)
                        made[f"s{number}"] = v1.Variable(value, name=f"s{number}")
                made["cut"] = v1.get_variable("cut", (11, 7), initializer=v1.random_normal_initializer(seed=3),
                                              partitioner=v1.fixed_size_partitioner(4), use_resource=True)
                session.run(v1.global_variables_initializer())
                saver = v1.train.Saver(sharded=sharded, write_version=v1.train.SaverDef.V1)
                path = saver.save(session, str(directory / "m"), global_step=5)
                state = {name.encode(): from_numpy(variable.dtype.base_dtype.name,
                                                   session.run(tf.convert_to_tensor(variable)))
                         for name, variable in made.items()}
            self.expect(path, state)
            self.assertEqual(run("waypost", "latest", directory).decode().strip(), path)
            self.assertEqual(run("waypost", "diff", path, path).decode().split(":")[0], "equal")


if __name__ == "__main__":
    unittest.main()
