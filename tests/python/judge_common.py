"""What the judges share: running Waypost's programs, and values with their digests.

A digest is the one of `waypost ls --sha256` (docs/format.md): over the row-major little-endian bytes; of
strings, for each element a length of 8 bytes and the bytes; types of 4 and 2 bits as one byte an element
with the other bits cleared, which TensorFlow leaves open.
"""
import base64
import hashlib
import json
import os
import pathlib
import shutil
import struct
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]
BIN = pathlib.Path(os.environ.get("WAYPOST_BIN", ROOT / "build/release/bin")).resolve()
WORK = pathlib.Path(os.environ.get("WAYPOST_JUDGE_WORK", ROOT / "build/judges")).resolve()
# The bits that count of an element of these types.
VALUE_BITS = {"int4": 15, "uint4": 15, "float4_e2m1fn": 15, "int2": 3, "uint2": 3}


def seed():
    """WAYPOST_TEST_SEED, as the C++ tests; run_judges.py sets it and prints it."""
    return int(os.environ.get("WAYPOST_TEST_SEED", "1"))


def fresh(name):
    """An empty directory of this name."""
    path = WORK / name
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir(parents=True)
    return path


def run(program, *arguments, status=0):
    """Runs one of Waypost's programs; its standard output, as bytes."""
    command = [str(BIN / program), *map(str, arguments)]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    if done.returncode != status:
        raise AssertionError(f"{' '.join(command)}: status {done.returncode} instead of {status}: "
                             f"{done.stderr.decode(errors='replace')}{done.stdout.decode(errors='replace')[:2000]}")
    return done.stdout


def listing(prefix):
    """What `waypost ls` says of a checkpoint: {name in bytes: {"dtype", "shape", "sha256", ...}}."""
    told = json.loads(run("waypost", "ls", "--json", "--sha256", prefix))
    return {base64.b64decode(tensor["name_b64"]): tensor for tensor in told["tensors"]}


def cat_raw(prefix, name):
    """The bytes of a tensor by `waypost cat --raw`."""
    return run("waypost", "cat", "--raw", prefix, "--name-b64=" + base64.b64encode(name).decode())


def element_bytes(strings):
    """Each string with its length before it."""
    return b"".join(struct.pack("<Q", len(string)) + string for string in strings)


def strings_of(data):
    """The strings that element_bytes() was given."""
    strings = []
    while data:
        end = 8 + struct.unpack_from("<Q", data)[0]
        strings.append(data[8:end])
        data = data[end:]
    return strings


def comparable(dtype, content):
    """What the digest of a tensor is taken of: `content` is its bytes, or of a string tensor the list of its elements."""
    if dtype == "string":
        return element_bytes(content)
    if dtype in VALUE_BITS:
        return bytes(byte & VALUE_BITS[dtype] for byte in content)
    return content


def digest(dtype, content):
    return hashlib.sha256(comparable(dtype, content)).hexdigest()


def is_raw(tensor, raw):
    """Whether `raw` is what `waypost cat --raw` prints of a tensor."""
    if tensor.dtype == "string":
        return raw == b"".join(tensor.content)
    return comparable(tensor.dtype, raw) == comparable(tensor.dtype, tensor.content)


class Tensor:
    """A value: its dtype by TensorFlow's name, its shape, and its bytes (or list of strings)."""

    def __init__(self, dtype, shape, content, parts=None, devices=("",)):
        self.dtype, self.shape, self.content = dtype, list(shape), content
        self.parts = parts  # None, or [(start, length, content)]; a length of -1 is the whole dimension
        self.devices = devices  # of the parts, by turns

    @property
    def sha256(self):
        return digest(self.dtype, self.content)


def describe(prefix, tensors, directory, **options):
    """What tests/judge/sample.h reads: {name in bytes: Tensor} by their parts; a file each, whose names are returned."""
    told, files = [], []
    for name, tensor in tensors.items():
        parts = []
        for number, (start, length, content) in enumerate(tensor.parts or [(None, None, tensor.content)]):
            file = f"{len(files)}.bin"
            files.append(directory / file)
            if content is not None:
                files[-1].write_bytes(element_bytes(content) if tensor.dtype == "string" else content)
            box = {} if start is None else {"start": list(start), "length": list(length)}
            parts.append({"file": file, "device": tensor.devices[number % len(tensor.devices)]} | box)
        told.append({"name_hex": name.hex(), "dtype": tensor.dtype, "shape": tensor.shape, "parts": parts})
    description = directory / "description.json"
    description.write_text(json.dumps({"prefix": str(prefix), "tensors": told} | options))
    return description, files


def write_by_waypost(prefix, tensors, directory, sharded=False, shard_bytes=0, v1=False, parts=1):
    """Saves {name in bytes: Tensor} by Waypost's public API, or in format V1, or as so many parts that are merged."""
    description, _ = describe(prefix, tensors, directory, sharded=sharded, shard_bytes=shard_bytes, v1=v1, parts=parts)
    run("judge_write_sample", description)


def read_by_waypost(prefix, tensors, directory):
    """What every part of {name in bytes: Tensor} holds by Waypost's public API, in order; the tensors' own values are
    not looked at."""
    asked = {name: Tensor(tensor.dtype, tensor.shape, None, [(start, length, None) for start, length, _ in
                                                             tensor.parts or [(None, None, None)]])
             for name, tensor in tensors.items()}
    description, files = describe(prefix, asked, directory)
    run("judge_read_sample", description)
    dtypes = [tensor.dtype for tensor in asked.values() for _ in tensor.parts]
    return [strings_of(file.read_bytes()) if dtype == "string" else file.read_bytes()
            for dtype, file in zip(dtypes, files, strict=True)]
