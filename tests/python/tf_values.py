"""Random values of every dtype that TensorFlow stores, and TensorFlow's readings as Tensor."""
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")

import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402

from judge_common import Tensor, seed  # noqa: E402

NUMERIC = ["float32", "float64", "int32", "uint8", "int16", "int8", "complex64", "int64", "bool", "bfloat16",
           "uint16", "complex128", "float16", "uint32", "uint64", "float8_e5m2", "float8_e4m3fn", "int4", "uint4"]
# What TensorFlow can put together from slices of another partition than the one asked for.
SLICEABLE = ["float32", "float64", "int8", "int16", "int32", "int64", "uint8", "bool", "complex64", "complex128",
             "bfloat16"]


def generator(salt):
    return np.random.Generator(np.random.PCG64([seed(), salt]))


def element_size(dtype):
    return tf.as_dtype(dtype).as_numpy_dtype(0).itemsize


def random_bytes(rng, dtype, count):
    if dtype == "bool":
        return rng.integers(0, 2, count, dtype=np.uint8).tobytes()
    if dtype in ("int4", "uint4"):
        return rng.integers(0, 16, count, dtype=np.uint8).tobytes()
    return rng.bytes(count * element_size(dtype))  # NaNs and infinities included: bytes are compared


def random_tensor(rng, dtype, shape):
    count = int(np.prod(shape, dtype=np.int64))
    if dtype == "string":
        return Tensor(dtype, shape, [rng.bytes(int(rng.integers(0, 300))) for _ in range(count)])
    return Tensor(dtype, shape, random_bytes(rng, dtype, count))


def to_numpy(tensor):
    if tensor.dtype == "string":
        array = np.empty(len(tensor.content), object)
        array[:] = tensor.content
        return array.reshape(tensor.shape)
    return np.frombuffer(tensor.content, tf.as_dtype(tensor.dtype).as_numpy_dtype).reshape(tensor.shape)


def from_numpy(dtype, value):
    value = np.asarray(value, object if dtype == "string" else None)
    if dtype == "string":
        return Tensor(dtype, value.shape, [bytes(element) for element in value.reshape(-1).tolist()])
    return Tensor(dtype, value.shape, np.ascontiguousarray(value).tobytes())


def slice_of(tensor, start, length):
    """The bytes of a box of a numeric tensor."""
    box = tuple(slice(s, s + n) for s, n in zip(start, length))
    return np.ascontiguousarray(to_numpy(tensor)[box]).tobytes()


def restore(prefix, name, dtype, spec=""):
    """One tensor, or one slice of it, by TensorFlow's RestoreV2."""
    value = tf.raw_ops.RestoreV2(prefix=str(prefix), tensor_names=[name], shape_and_slices=[spec],
                                 dtypes=[tf.as_dtype(dtype)])[0]
    return from_numpy(dtype, value.numpy())


def slice_spec(shape, start, length):
    extents = ":".join(f"{s},{n}" for s, n in zip(start, length))
    return " ".join(map(str, shape)) + " " + extents
