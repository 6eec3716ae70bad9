"""What the judges share: running Waypost's programs, and values with their digests.

A digest is the one of `waypost ls --sha256` (docs/format.md): over the row-major little-endian bytes; of
strings, for each element a length of 8 bytes and the bytes; 4-bit types as one byte an element with the
high nibble cleared.
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
FOUR_BIT = ("int4", "uint4")


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


def digest(dtype, content):
    """The digest of a tensor: `content` is its bytes, or of a string tensor the list of its elements."""
    if dtype == "string":
        content = element_bytes(content)
    elif dtype in FOUR_BIT:
        content = bytes(byte & 15 for byte in content)
    return hashlib.sha256(content).hexdigest()


class Tensor:
    """A value: its dtype by TensorFlow's name, its shape, and its bytes (or list of strings)."""

    def __init__(self, dtype, shape, content, parts=None, device=""):
        self.dtype, self.shape, self.content = dtype, list(shape), content
        self.parts = parts  # None, or [(start, length, bytes)]
        self.device = device

    @property
    def sha256(self):
        return digest(self.dtype, self.content)


def write_by_waypost(prefix, tensors, directory, sharded=False):
    """Saves {name in bytes: Tensor} by Waypost's public API."""
    told, number = [], 0
    for name, tensor in tensors.items():
        parts = []
        for start, length, content in tensor.parts or [(None, None, tensor.content)]:
            file = f"{number}.bin"
            number += 1
            (directory / file).write_bytes(element_bytes(content) if tensor.dtype == "string" else content)
            parts.append({"file": file} if start is None else {"file": file, "start": start, "length": length})
        told.append({"name_hex": name.hex(), "dtype": tensor.dtype, "shape": tensor.shape, "device": tensor.device,
                     "parts": parts})
    description = directory / "description.json"
    description.write_text(json.dumps({"prefix": str(prefix), "sharded": sharded, "tensors": told}))
    run("judge_write_sample", description)
