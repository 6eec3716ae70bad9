"""`waypost convert`: the safetensors package reads what it writes, it reads what the package writes, and refuses every
file that the package refuses; TensorFlow opens the converted checkpoints."""
import json
import random
import struct
import subprocess
import unittest

import safetensors

from tf_values import generator, random_tensor, restore, tf, to_numpy

from judge_common import BIN, Tensor, fresh, listing, run, seed, write_by_waypost

# Of both formats: the package's name in a header, and TensorFlow's.
DTYPES = {"BOOL": "bool", "U8": "uint8", "I8": "int8", "F8_E5M2": "float8_e5m2", "F8_E4M3": "float8_e4m3fn",
          "I16": "int16", "U16": "uint16", "F16": "float16", "BF16": "bfloat16", "I32": "int32", "U32": "uint32",
          "F32": "float32", "C64": "complex64", "F64": "float64", "I64": "int64", "U64": "uint64"}
ODD_NAMES = ["a/b", "with space", 'quo"te\'s', "back\\slash", "новый/тензор", "\U0001f600", "x" * 3000, "line\nbreak",
             "\x01\x7f", "~"]
SHAPES = [(), (0,), (7,), (2, 3, 4), (5, 0, 2), (129, 257)]


def random_state(rng):
    """Every dtype in every shape, and odd names."""
    state = {f"{dtype}/{number}": random_tensor(rng, dtype, shape)
             for dtype in DTYPES.values() for number, shape in enumerate(SHAPES)}
    state.update({name: random_tensor(rng, "int16", (3, 2)) for name in ODD_NAMES})
    state["large"] = random_tensor(rng, "float32", (3, 1234567))
    return state


def write_by_package(path, state, metadata=None):
    """Saves {name: Tensor} by the package's serializer."""
    arrays = {name: to_numpy(tensor) for name, tensor in state.items()}
    specs = {name: safetensors.TensorSpec(dtype=state[name].dtype, shape=array.shape, data_ptr=array.ctypes.data,
                                          data_len=array.nbytes) for name, array in arrays.items()}
    safetensors.serialize_file(specs, path, metadata=metadata)


def read_by_package(path):
    """{name: Tensor} of a file."""
    return {name: Tensor(DTYPES[told["dtype"]], told["shape"], bytes(told["data"]))
            for name, told in safetensors.deserialize(path.read_bytes())}


def as_listed(state):
    return {name.encode(): (tensor.dtype, tensor.shape, tensor.sha256) for name, tensor in state.items()}


def listed(prefix):
    return {name: (told["dtype"], told["shape"], told["sha256"]) for name, told in listing(prefix).items()}


class Safetensors(unittest.TestCase):
    def expect(self, got, state):
        self.assertEqual(sorted(got), sorted(state))
        for name, tensor in state.items():
            self.assertEqual((got[name].dtype, got[name].shape, got[name].sha256),
                             (tensor.dtype, tensor.shape, tensor.sha256), name[:80])

    def test_what_the_package_writes_comes_back_byte_for_byte(self):
        directory = fresh("convert_theirs")
        state = random_state(generator(41))
        source, prefix, back = directory / "m.safetensors", directory / "ckpt", directory / "back.safetensors"
        write_by_package(source, state, {"format": "pt"})
        run("waypost", "convert", source, prefix)
        self.assertEqual(listed(prefix), as_listed(state))
        for name, tensor in state.items():
            got = restore(prefix, name.encode(), tensor.dtype)
            self.assertEqual((got.shape, got.sha256), (tensor.shape, tensor.sha256), name[:80])
        run("waypost", "convert", prefix, back, "--metadata", "format=pt")
        self.assertEqual(back.read_bytes(), source.read_bytes())
        again = directory / "again.safetensors"
        run("waypost", "convert", source, again)
        self.assertEqual(again.read_bytes(), source.read_bytes())

    def test_the_package_reads_what_waypost_writes(self):
        directory = fresh("convert_ours")
        rng = generator(42)
        state = random_state(rng)
        boxes = [([0, 0], [20, 10]), ([0, 10], [20, 13]), ([20, 0], [17, 23])]
        for dtype in DTYPES.values():  # TensorFlow itself could not put half of these together
            tensor = random_tensor(rng, dtype, (37, 23))
            array = to_numpy(tensor)
            tensor.parts = [(start, length, array[start[0]:start[0] + length[0], start[1]:start[1] + length[1]].tobytes())
                            for start, length in boxes]
            state["sliced/" + dtype] = tensor
        prefix = directory / "ckpt"
        write_by_waypost(prefix, {name.encode(): tensor for name, tensor in state.items()}, directory)
        one = directory / "one.safetensors"
        run("waypost", "convert", prefix, one)
        self.expect(read_by_package(one), state)
        run("waypost", "convert", prefix, directory / "set.safetensors", "--shards", 4)
        index = json.loads((directory / "set.safetensors.index.json").read_text())
        got = {}
        for file in sorted(set(index["weight_map"].values())):
            held = read_by_package(directory / file)
            self.assertEqual({index["weight_map"][name] for name in held}, {file})
            got.update(held)
        self.assertEqual(len(set(index["weight_map"].values())), 4)
        self.assertEqual(index["metadata"]["total_size"], sum(len(tensor.content) for tensor in state.values()))
        self.expect(got, state)
        joined = directory / "joined"
        run("waypost", "convert", prefix, joined, "--shards", 3)
        for dtype in DTYPES.values():
            name = "sliced/" + dtype
            got = restore(joined, name.encode(), dtype)
            self.assertEqual(got.sha256, state[name].sha256, name)

    def test_a_set_of_files_of_the_package(self):
        directory = fresh("convert_set")
        state = random_state(generator(43))
        names = sorted(state)
        files = {}
        for number in range(3):
            file = f"model-{number + 1:05}-of-00003.safetensors"
            part = names[number::3]
            write_by_package(directory / file, {name: state[name] for name in part}, {"format": "pt"})
            files.update(dict.fromkeys(part, file))
        index = directory / "model.safetensors.index.json"
        index.write_text(json.dumps({"metadata": {"total_size": 1}, "weight_map": files}))
        run("waypost", "convert", index, directory / "ckpt")
        self.assertEqual(listed(directory / "ckpt"), as_listed(state))
        run("waypost", "convert", index, directory / "one.safetensors")
        write_by_package(directory / "theirs.safetensors", state, {"format": "pt"})
        self.assertEqual((directory / "one.safetensors").read_bytes(), (directory / "theirs.safetensors").read_bytes())

    def test_tensorflow_writes_and_the_package_reads(self):
        directory = fresh("convert_tensorflow")
        state = random_state(generator(44))
        names = list(state)
        tf.raw_ops.SaveV2(prefix=str(directory / "m"), tensor_names=[name.encode() for name in names],
                          shape_and_slices=[""] * len(names),
                          tensors=[tf.constant(to_numpy(state[name]), dtype=tf.as_dtype(state[name].dtype))
                                   for name in names])
        run("waypost", "convert", directory / "m", directory / "m.safetensors")
        self.expect(read_by_package(directory / "m.safetensors"), state)


class TensorFlowsFormats(unittest.TestCase):
    V1 = ["float32", "float64", "int32", "uint8", "int16", "int8", "complex64", "int64", "bool", "uint16", "complex128",
          "float16", "string"]

    def state(self, rng):
        return {f"{dtype}/{number}": random_tensor(rng, dtype, shape)
                for dtype in self.V1 for number, shape in enumerate([(), (0,), (7,), (2, 3, 4), (129, 25)])}

    def expect(self, path, state):
        for name, tensor in state.items():
            got = restore(path, name.encode(), tensor.dtype)
            self.assertEqual((got.shape, got.sha256), (tensor.shape, tensor.sha256), name)

    def test_tensorflow_reads_v1_made_of_its_v2_and_v2_made_of_its_v1(self):
        directory = fresh("convert_v1")
        state = self.state(generator(46))
        names = list(state)
        data = [tf.constant(to_numpy(state[name]), dtype=tf.as_dtype(state[name].dtype)) for name in names]
        tf.raw_ops.SaveV2(prefix=str(directory / "v2"), tensor_names=[name.encode() for name in names],
                          shape_and_slices=[""] * len(names), tensors=data)
        tf.raw_ops.SaveSlices(filename=str(directory / "v1"), tensor_names=[name.encode() for name in names],
                              shapes_and_slices=[""] * len(names), data=data)
        run("waypost", "convert", directory / "v2", directory / "ours1", "--to", "v1")
        self.expect(directory / "ours1", state)
        self.assertEqual((directory / "ours1").read_bytes(), (directory / "v1").read_bytes())
        run("waypost", "convert", directory / "v2", directory / "cut", "--to", "v1", "--shards", 3)
        self.expect(directory / "cut-?????-of-00003", state)
        run("waypost", "convert", directory / "v1", directory / "ours2")
        self.expect(directory / "ours2", state)
        run("waypost", "convert", directory / "cut-?????-of-00003", directory / "ours3", "--shards", 4)
        self.expect(directory / "ours3", state)
        source = {name: tensor for name, tensor in state.items() if tensor.dtype not in ("complex128", "string")}
        write_by_package(directory / "m.safetensors", source)
        run("waypost", "convert", directory / "m.safetensors", directory / "ours4", "--to", "v1")
        self.expect(directory / "ours4", source)


class Header:
    """A sound header, and ways to spoil it."""

    def __init__(self, rng):
        self.rng = rng
        self.fields, self.end = [("__metadata__", '{"format":"pt"}')], 0
        for number in range(rng.randint(1, 4)):
            shape = [rng.randint(0, 4) for _ in range(rng.randint(0, 3))]
            dtype, width = rng.choice([("U8", 1), ("F16", 2), ("I32", 4), ("C64", 8), ("BOOL", 1)])
            size = width
            for dimension in shape:
                size *= dimension
            self.fields.append((f"t{number}", [("dtype", f'"{dtype}"'), ("shape", str(shape)),
                                               ("data_offsets", f"[{self.end}, {self.end + size}]")]))
            self.end += size

    def text(self):
        def value(of):
            return of if isinstance(of, str) else "{" + ",".join(f'"{name}":{field}' for name, field in of) + "}"
        return "{" + ",".join(f'"{name}":{value(of)}' for name, of in self.fields) + "}"

    def spoil_a_field(self):
        tensors = [of for _, of in self.fields if not isinstance(of, str)]
        fields = self.rng.choice(tensors)
        at = self.rng.randrange(len(fields))
        name, _ = fields[at]
        odd = ["null", "true", "1", "-1", "0.0", "[]", "{}", '""', "[0]", "[0, 0, 0]", "[-0, 1]", "[1e0, 2]", '["0", 1]',
               "[4294967296, 4294967296]", "[18446744073709551615, 2]", "[18446744073709551616]", "[9223372036854775808, 0]",
               '"F4"', '"F6_E2M3"', '"F8_E8M0"', '"f32"', '"Q8"', '"U16"', "[[1], 2]", "[1, 0]", "[0, 1]"]
        self.rng.choice([lambda: fields.pop(at), lambda: fields.append(fields[at]),
                         lambda: fields.__setitem__(at, (name, self.rng.choice(odd))),
                         lambda: fields.__setitem__(at, (name, self.rng.choice(odd))),
                         lambda: fields.append(("more", self.rng.choice(odd))),
                         lambda: self.fields.append(self.rng.choice(self.fields)),
                         lambda: self.fields.append(("__metadata__", self.rng.choice(odd)))])()


def spoil_text(text, rng):
    """A few bytes changed, left out or put in."""
    spoilt = bytearray(text)
    for _ in range(rng.randint(1, 3)):
        at = rng.randrange(len(spoilt))
        way = rng.randrange(4)
        if way == 0:
            spoilt[at] = rng.choice(b'{}[]:,"0123456789 \\\x00\xff\xc3eEF-+.tn')
        elif way == 1:
            del spoilt[at]
        elif way == 2:
            spoilt.insert(at, rng.choice(b'{}[]:,"0123456789 \\\x00\x0b\xffu-e'))
        else:
            spoilt[at] ^= 1 << rng.randrange(8)
    return bytes(spoilt)


def a_file(rng):
    """Mostly a bad one."""
    header = Header(rng)
    way = rng.randrange(8)
    if way in (0, 1, 2):
        header.spoil_a_field()
    text = header.text().encode()
    if way in (3, 4):
        text = spoil_text(text, rng)
    if rng.randrange(3) == 0:
        text += b" " * rng.randint(1, 9)
    length = len(text) + (rng.choice([-3, -1, 1, 9, 1 << 40]) if way == 5 else 0)
    data = bytes(max(0, header.end + (rng.choice([-1, 1, 5]) if way == 6 else 0)))
    return struct.pack("<Q", length) + text + data


class BadFiles(unittest.TestCase):
    FILES = 400

    def test_what_the_package_refuses_is_refused(self):
        directory = fresh("convert_bad")
        rng = random.Random(seed() + 45)
        refused, stricter = 0, []
        for number in range(self.FILES):
            file = directory / f"{number}.safetensors"
            file.write_bytes(a_file(rng))
            theirs = None
            try:
                theirs = safetensors.deserialize(file.read_bytes())
            except safetensors.SafetensorError:
                refused += 1
            target = directory / f"{number}.out.safetensors"
            done = subprocess.run([str(BIN / "waypost"), "convert", str(file), str(target), "--no-verify"],
                                  stdin=subprocess.DEVNULL, capture_output=True, check=False)
            self.assertIn(done.returncode, (0, 1, 2), file)
            self.assertEqual(target.exists(), done.returncode == 0, file)
            if theirs is None:
                self.assertEqual(done.returncode, 1, f"{file}: taken, and the package refuses it")
            elif done.returncode != 0:
                stricter.append(done.stderr)
            else:
                self.assertEqual(sorted((name, told["dtype"], told["shape"], bytes(told["data"])) for name, told in theirs),
                                 sorted((name, told["dtype"], told["shape"], bytes(told["data"]))
                                        for name, told in safetensors.deserialize(target.read_bytes())), file)
        self.assertGreater(refused, self.FILES // 4)
        self.assertGreater(self.FILES - refused, self.FILES // 10)
        # Waypost refuses more, for these reasons only.
        reasons = (b"is there twice", b"there is no field", b"does not begin with", b"cannot be written", b"a null is",
                   b"a list is", b"an object is", b"has format twice", b"are no safetensors file",
                   b"a dimension is")
        for line in stricter:
            self.assertTrue(any(reason in line for reason in reasons), line)


if __name__ == "__main__":
    unittest.main()
