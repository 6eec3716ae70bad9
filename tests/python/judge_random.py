"""Random bundles that one side writes and the other reads, any part of them: names, dtypes, shapes, partitions, shards.

WAYPOST_TEST_SEED repeats a run (run_judges.py prints it); a bundle does not depend on those before it.
"""
import math
import unittest

from tf_values import (NUMERIC, SLICEABLE, generator, random_tensor, restore_all, slice_of, slice_spec, tf, to_tensorflow)

from judge_common import Tensor, cat_raw, comparable, fresh, is_raw, listing, read_by_waypost, run, write_by_waypost

BUNDLES = 30  # of each side
ELEMENTS_MAX = 2000
LARGE_ELEMENTS_MAX = 600_000  # several chunks of 1 MiB
ALPHABETS = ["abcXYZ019._-", "äßñ¿", "カ語한", "𝔘🜁", " \t\n\"'\\%:;,[]{}~"]


def chance(rng, probability):
    return rng.random() < probability


def random_name(rng, taken):
    """Bytes that are no other tensor's name: paths with empty components, long ones, some that are no UTF-8."""
    kind = rng.integers(0, 8)
    if kind == 0:
        name = rng.bytes(int(rng.integers(1, 60)))
    elif kind == 1 and taken:
        name = list(taken)[rng.integers(0, len(taken))] + [b"/", b"\0", b"\xff", b"0"][rng.integers(0, 4)]
    else:
        letters = ALPHABETS[rng.integers(0, len(ALPHABETS))]
        length_max = 1500 if kind == 2 else 9
        parts = ["".join(letters[rng.integers(0, len(letters))] for _ in range(rng.integers(0, length_max)))
                 for _ in range(rng.integers(1, 5))]
        name = "/".join(parts).encode()
    return name if name and name not in taken else random_name(rng, taken)


def random_shape(rng):
    if chance(rng, 0.05):
        return (int(rng.integers(LARGE_ELEMENTS_MAX // 100, LARGE_ELEMENTS_MAX)),)
    shape = [int(n) for n in rng.integers(1, 12, rng.integers(0, 9))]
    while math.prod(shape) > ELEMENTS_MAX:
        shape[shape.index(max(shape))] //= 2
    if shape and chance(rng, 0.1):
        shape[rng.integers(0, len(shape))] = 0
    return tuple(shape)


def random_box(rng, shape):
    start = [int(rng.integers(0, n)) for n in shape]
    return start, [int(rng.integers(1, n - s + 1)) for s, n in zip(start, shape)]


def random_partition(rng, shape):
    """Boxes that make up the whole, in any order; dimensions that are whole are written either way."""
    boxes = [([0] * len(shape), list(shape))]
    for _ in range(rng.integers(1, 7)):
        start, length = boxes.pop(rng.integers(0, len(boxes)))
        axis = int(rng.integers(0, len(shape)))
        cut = int(rng.integers(0, length[axis]))
        for begin, end in ((0, cut), (cut, length[axis])):
            if begin < end:
                boxes.append(([*start[:axis], start[axis] + begin, *start[axis + 1:]],
                              [*length[:axis], end - begin, *length[axis + 1:]]))
    rng.shuffle(boxes)
    return [(start, [-1 if n == whole and chance(rng, 0.5) else n for n, whole in zip(length, shape)])
            for start, length in boxes]


def random_state(rng):
    """{name: Tensor}, some of them in parts."""
    state = {}
    for _ in range(rng.integers(1, 25)):
        dtype = (NUMERIC + ["string"])[rng.integers(0, len(NUMERIC) + 1)]
        shape = random_shape(rng)
        tensor = random_tensor(rng, dtype, shape if dtype != "string" or math.prod(shape) < 1000 else (7,))
        if math.prod(tensor.shape) > 1 and chance(rng, 0.5):
            boxes = random_partition(rng, tensor.shape)
            if len(boxes) > 1:
                tensor.parts = [(start, length, slice_of(tensor, start, length)) for start, length in boxes]
        tensor.devices = [f"/device:CPU:{n}" for n in rng.integers(0, 4, rng.integers(1, 4))]
        state[random_name(rng, state)] = tensor
    return state


def write_by_tensorflow(rng, prefix, state):
    """By SaveV2, and merged where there are several shards; the parts go to any of them, in any order."""
    shards = [[] for _ in range(rng.integers(1, 4))]
    for name, tensor in state.items():
        for start, length, content in tensor.parts or [(None, None, tensor.content)]:
            spec = "" if start is None else slice_spec(tensor.shape, start, length)
            shape = tensor.shape if start is None else [n if m < 0 else m for n, m in zip(tensor.shape, length)]
            shards[rng.integers(0, len(shards))].append((name, spec, Tensor(tensor.dtype, shape, content)))
    prefixes = []
    for number, entries in enumerate(filter(None, shards)):
        rng.shuffle(entries)
        prefixes.append(f"{prefix}.part{number}" if len(shards) > 1 else str(prefix))
        names, specs, tensors = zip(*entries)
        tf.raw_ops.SaveV2(prefix=prefixes[-1], tensor_names=names, shape_and_slices=specs,
                          tensors=[to_tensorflow(tensor) for tensor in tensors])
    if len(shards) > 1:
        tf.raw_ops.MergeV2Checkpoints(checkpoint_prefixes=prefixes, destination_prefix=str(prefix))


class RandomBundles(unittest.TestCase):
    def test_waypost_reads_what_tensorflow_writes(self):
        for number in range(BUNDLES):
            with self.subTest(bundle=number):
                rng = generator(1000 + number)
                directory = fresh(f"random_read/{number}")
                prefix = directory / "bundle"
                state = random_state(rng)
                write_by_tensorflow(rng, prefix, state)
                self.expect_listing(prefix, state)
                self.expect_slices(rng, prefix, state, directory)
                name = list(state)[rng.integers(0, len(state))]
                self.assertTrue(is_raw(state[name], cat_raw(prefix, name)), name)
                run("waypost", "verify", prefix)

    def expect_listing(self, prefix, state):
        self.assertEqual(
            {name: (told["dtype"], told["shape"], told["sha256"], len(told["slices"]))
             for name, told in listing(prefix).items()},
            {name: (tensor.dtype, tensor.shape, tensor.sha256, len(tensor.parts or []))
             for name, tensor in state.items()})

    def expect_slices(self, rng, prefix, state, directory):
        """Restores boxes of any place, whatever the partition was, and some tensors whole."""
        asked = {}
        for name, tensor in state.items():
            boxes = [random_box(rng, tensor.shape) for _ in range(rng.integers(0, 4))] if 0 not in tensor.shape else []
            boxes = [box for box in boxes if len(box[0]) > 0 and box[1] != tensor.shape]
            asked[name] = Tensor(tensor.dtype, tensor.shape, tensor.content,
                                 [(start, length, slice_of(tensor, start, length)) for start, length in boxes] or None)
        got = iter(read_by_waypost(prefix, asked, directory))
        for name, tensor in asked.items():
            for start, _, content in tensor.parts or [(None, None, tensor.content)]:
                self.assertEqual(comparable(tensor.dtype, next(got)), comparable(tensor.dtype, content), (name, start))

    def test_tensorflow_reads_what_waypost_writes(self):
        for number in range(BUNDLES):
            with self.subTest(bundle=number):
                rng = generator(2000 + number)
                directory = fresh(f"random_write/{number}")
                prefix = directory / "bundle"
                state = random_state(rng)
                write_by_waypost(prefix, state, directory, sharded=chance(rng, 0.5),
                                 shard_bytes=int(rng.integers(0, 3)) * 50_000)
                self.expect_listing(prefix, state)
                self.expect_by_restore(rng, prefix, state)
                self.expect_by_reader(prefix, state)

    def expect_by_restore(self, rng, prefix, state):
        """Whole tensors and any boxes as far as TensorFlow can, and what is stored."""
        asked = []
        for name, tensor in state.items():
            stored = [(start, length) for start, length, _ in tensor.parts or []]
            asked += [(name, slice_spec(tensor.shape, *box), slice_of(tensor, *box)) for box in stored]
            if not stored or tensor.dtype in SLICEABLE:
                asked.append((name, "", tensor.content))
            if tensor.dtype in SLICEABLE and tensor.shape and 0 not in tensor.shape:
                boxes = [random_box(rng, tensor.shape) for _ in range(rng.integers(0, 3))]
                asked += [(name, slice_spec(tensor.shape, *box), slice_of(tensor, *box)) for box in boxes]
        names, specs, _ = zip(*asked)
        got = restore_all(prefix, names, [state[name].dtype for name in names], specs)
        for (name, spec, content), seen in zip(asked, got):
            self.assertEqual(comparable(seen.dtype, seen.content), comparable(seen.dtype, content), (name, spec))

    def expect_by_reader(self, prefix, state):
        """What load_checkpoint lists; it knows no names that are no UTF-8."""
        reader = tf.train.load_checkpoint(str(prefix))
        try:
            texts = {name.decode(): tensor for name, tensor in state.items()}
        except UnicodeDecodeError:
            return
        self.assertEqual(reader.get_variable_to_shape_map(), {text: tensor.shape for text, tensor in texts.items()})
        self.assertEqual({text: dtype.name for text, dtype in reader.get_variable_to_dtype_map().items()},
                         {text: tensor.dtype for text, tensor in texts.items()})


if __name__ == "__main__":
    unittest.main()
