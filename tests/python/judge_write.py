"""TensorFlow reads what Waypost writes: every dtype, odd names, strings, slices, shards, an overwritten prefix."""
import unittest

from tf_values import (NOT_SLICEABLE, NUMERIC, SLICEABLE, from_numpy, generator, random_tensor, restore, slice_of, slice_spec, tf,
                       to_numpy)

from judge_common import Tensor, fresh, listing, write_by_waypost

SHAPES = [(), (0,), (1,), (7,), (2, 3, 4), (5, 0, 2), (1, 1, 1, 1, 1, 1, 1, 2), (129, 257)]
ODD_NAMES = ["a", "a/b", "a/b/c_1", "with space", 'quo"te\'s', "back\\slash", "новый/тензор", "x" * 3000, "-dash",
             "line\nbreak", "tab\t", "_CHECKPOINTABLE", "a.b:0", "%s", "~"]


def random_state(rng):
    """Every dtype in every shape, and odd names."""
    state = {}
    for dtype in NUMERIC + ["string"]:
        for number, shape in enumerate(SHAPES):
            if dtype == "string" and len(shape) == 2 and shape[0] > 100:
                shape = (40, 30)
            state[f"{dtype}/{number}".encode()] = random_tensor(rng, dtype, shape)
    for name in ODD_NAMES:
        state[name.encode()] = random_tensor(rng, "int16", (3, 2))
    state[b"strings/empty"] = Tensor("string", (3,), [b"", b"", b""])
    state[b"strings/long"] = Tensor("string", (2,), [rng.bytes(200000), b"\0"])
    state[b"large"] = random_tensor(rng, "float32", (3, 1234567))
    return state


def partitions(shape):
    """Ways to cut a tensor of two dimensions into boxes."""
    rows, columns = shape
    r, c = rows // 3, columns // 2
    return {
        "rows": [([0, 0], [r, columns]), ([r, 0], [rows - r, columns])],
        "columns": [([0, 0], [rows, c]), ([0, c], [rows, 1]), ([0, c + 1], [rows, columns - c - 1])],
        "grid": [([0, 0], [r, c]), ([0, c], [r, columns - c]), ([r, 0], [rows - r, c]), ([r, c], [rows - r, columns - c])],
    }


def cut(tensor, boxes):
    tensor.parts = [(start, length, slice_of(tensor, start, length)) for start, length in boxes]
    return tensor


class WaypostWrites(unittest.TestCase):
    def expect(self, prefix, name, tensor):
        got = restore(prefix, name, tensor.dtype)
        self.assertEqual((got.shape, got.sha256), (tensor.shape, tensor.sha256), name[:80])

    def test_load_checkpoint_reads_every_tensor(self):
        directory = fresh("write_every")
        state = random_state(generator(1))
        prefix = directory / "out" / "model.ckpt-7"
        write_by_waypost(prefix, state, directory)
        reader = tf.train.load_checkpoint(str(prefix))
        shapes, dtypes = reader.get_variable_to_shape_map(), reader.get_variable_to_dtype_map()
        self.assertEqual(sorted(shapes), sorted(name.decode() for name in state))
        for name, tensor in state.items():
            text = name.decode()
            got = from_numpy(tensor.dtype, reader.get_tensor(text))
            self.assertEqual((shapes[text], dtypes[text].name, got.shape, got.sha256),
                             (tensor.shape, tensor.dtype, tensor.shape, tensor.sha256), text[:80])
        self.assertEqual({name: told["sha256"] for name, told in listing(prefix).items()},
                         {name: tensor.sha256 for name, tensor in state.items()})

    def test_names_of_any_bytes(self):
        directory = fresh("write_names")
        rng = generator(2)
        state = {name: random_tensor(rng, "int32", (4,)) for name in
                 [b"\xff\xfe", b"caf\xe9", b"\x01", b"\x80" * 70, b"a\xff"]}
        prefix = directory / "m"
        write_by_waypost(prefix, state, directory)
        for name, tensor in state.items():
            self.expect(prefix, name, tensor)

    def test_slices_join_whatever_the_partition(self):
        directory = fresh("write_slices")
        rng = generator(3)
        shape = (37, 23)
        state = {}
        for dtype in SLICEABLE:
            for kind, boxes in partitions(shape).items():
                state[f"{kind}/{dtype}".encode()] = cut(random_tensor(rng, dtype, shape), boxes)
        prefix = directory / "sliced"
        write_by_waypost(prefix, state, directory)
        reader = tf.train.load_checkpoint(str(prefix))
        for name, tensor in state.items():
            self.assertEqual(from_numpy(tensor.dtype, reader.get_tensor(name.decode())).sha256, tensor.sha256, name)
            for boxes in partitions(shape).values():
                for start, length in boxes:
                    got = restore(prefix, name, tensor.dtype, slice_spec(shape, start, length))
                    self.assertEqual(got.content, slice_of(tensor, start, length), name)

    def test_merged_parts_are_one_checkpoint(self):
        directory = fresh("write_merged")
        rng = generator(6)
        shape = (37, 23)
        state = random_state(rng)
        for dtype in SLICEABLE:
            for kind, boxes in partitions(shape).items():
                state[f"{kind}/{dtype}".encode()] = cut(random_tensor(rng, dtype, shape), boxes)
        prefix = directory / "merged"
        write_by_waypost(prefix, state, directory, shard_bytes=4 << 20, parts=5)
        self.assertFalse(list(directory.glob("merged.part*")))
        reader = tf.train.load_checkpoint(str(prefix))
        self.assertEqual(sorted(reader.get_variable_to_shape_map()), sorted(name.decode() for name in state))
        for name, tensor in state.items():
            got = from_numpy(tensor.dtype, reader.get_tensor(name.decode()))
            self.assertEqual((got.shape, got.sha256), (tensor.shape, tensor.sha256), name[:80])

    def test_slices_that_tensorflow_cannot_join_read_one_by_one(self):
        directory = fresh("write_exact_slices")
        rng = generator(4)
        shape = (9, 8)
        state = {dtype.encode(): cut(random_tensor(rng, dtype, shape), partitions(shape)["grid"])
                 for dtype in NOT_SLICEABLE + ["string"]}
        prefix = directory / "sliced"
        write_by_waypost(prefix, state, directory)
        for name, tensor in state.items():
            for start, length, content in tensor.parts:
                got = restore(prefix, name, tensor.dtype, slice_spec(shape, start, length))
                self.assertEqual(got.content, content, name)
        self.assertEqual({name: told["sha256"] for name, told in listing(prefix).items()},
                         {name: tensor.sha256 for name, tensor in state.items()})

    def test_shards_of_several_devices(self):
        directory = fresh("write_sharded")
        rng = generator(5)
        state = {}
        for number in range(24):
            tensor = random_tensor(rng, "float32", (int(rng.integers(0, 50000)),))
            tensor.devices = [f"/device:CPU:{number % 4}"]
            state[f"v{number}".encode()] = tensor
        prefix = directory / "sharded"
        write_by_waypost(prefix, state, directory, sharded=True)
        self.assertEqual(len(list(directory.glob("sharded.data-*-of-00004"))), 4)
        for name, tensor in state.items():
            self.expect(prefix, name, tensor)

    def test_an_overwritten_prefix_reads_as_the_last_save(self):
        directory = fresh("write_over")
        rng = generator(6)
        prefix = directory / "same"
        for _ in range(4):
            state = {f"t{number}".encode(): random_tensor(rng, "float64", (int(rng.integers(0, 3000)),))
                     for number in range(int(rng.integers(1, 5)))}
            write_by_waypost(prefix, state, directory)
            self.assertEqual(sorted(tf.train.load_checkpoint(str(prefix)).get_variable_to_shape_map()),
                             sorted(name.decode() for name in state))
            for name, tensor in state.items():
                self.expect(prefix, name, tensor)

    def test_saver_restores_variables(self):
        directory = fresh("write_saver")
        rng = generator(7)
        state = {f"{dtype}_variable".encode(): random_tensor(rng, dtype, (3, 5)) for dtype in SLICEABLE}
        prefix = directory / "m"
        write_by_waypost(prefix, state, directory)
        v1 = tf.compat.v1
        with tf.Graph().as_default(), v1.Session() as session:
            variables = {name: v1.get_variable(name.decode(), tensor.shape, tf.as_dtype(tensor.dtype), use_resource=True,
                                               initializer=v1.zeros_initializer())
                         for name, tensor in state.items()}
            v1.train.Saver().restore(session, str(prefix))
            for name, variable in variables.items():
                got = from_numpy(state[name].dtype, session.run(variable))
                self.assertEqual(got.content, to_numpy(state[name]).tobytes(), name)


if __name__ == "__main__":
    unittest.main()
