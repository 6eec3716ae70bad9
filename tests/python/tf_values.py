"""Random values of every dtype that TensorFlow stores, and TensorFlow's readings as Tensor."""
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")

import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402

from judge_common import VALUE_BITS, Tensor, seed  # noqa: E402

# Types for which numpy has no numbers: made of, and read as, those of the same width.
QUANTIZED = {"qint8": "int8", "quint8": "uint8", "qint16": "int16", "quint16": "uint16", "qint32": "int32"}
NUMERIC = ["float32", "float64", "int32", "uint8", "int16", "int8", "complex64", "int64", "bool", "bfloat16",
           "uint16", "complex128", "float16", "uint32", "uint64", "float8_e5m2", "float8_e4m3fn", "float8_e4m3fnuz",
           "float8_e4m3b11fnuz", "float8_e5m2fnuz", "float4_e2m1fn", "int4", "uint4", "int2", "uint2", *QUANTIZED]
# What TensorFlow can put together from slices of another partition than the one asked for.
SLICEABLE = ["float32", "float64", "int8", "int16", "int32", "int64", "uint8", "bool", "complex64", "complex128",
             "bfloat16", "int4", "uint4", "qint8", "quint8", "qint32"]
NOT_SLICEABLE = [dtype for dtype in NUMERIC if dtype not in SLICEABLE]


def generator(salt):
    return np.random.Generator(np.random.PCG64([seed(), salt]))


def numpy_dtype(dtype):
    return np.dtype(tf.as_dtype(QUANTIZED.get(dtype, dtype)).as_numpy_dtype)


def random_bytes(rng, dtype, count):
    if dtype == "bool":
        return rng.integers(0, 2, count, dtype=np.uint8).tobytes()
    if dtype in VALUE_BITS:
        return rng.integers(0, VALUE_BITS[dtype] + 1, count, dtype=np.uint8).tobytes()
    return rng.bytes(count * numpy_dtype(dtype).itemsize)  # NaNs and infinities included: bytes are compared


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
    return np.frombuffer(tensor.content, numpy_dtype(tensor.dtype)).reshape(tensor.shape)


def to_tensorflow(tensor):
    value = tf.constant(to_numpy(tensor), tf.as_dtype(QUANTIZED.get(tensor.dtype, tensor.dtype)))
    return tf.bitcast(value, tf.as_dtype(tensor.dtype)) if tensor.dtype in QUANTIZED else value


def from_tensorflow(value):
    dtype = value.dtype.name
    return from_numpy(dtype, (tf.bitcast(value, QUANTIZED[dtype]) if dtype in QUANTIZED else value).numpy())


def from_numpy(dtype, value):
    value = np.asarray(value, object if dtype == "string" else None)
    if dtype == "string":
        return Tensor(dtype, value.shape, [bytes(element) for element in value.reshape(-1).tolist()])
    return Tensor(dtype, value.shape, np.ascontiguousarray(value).tobytes())


def slice_of(tensor, start, length):
    """What a box of a tensor holds: bytes, or a list of strings."""
    box = to_numpy(tensor)[tuple(slice(s, None if n < 0 else s + n) for s, n in zip(start, length))]
    return [*box.reshape(-1)] if tensor.dtype == "string" else np.ascontiguousarray(box).tobytes()


def restore_all(prefix, names, dtypes, specs):
    """Tensors, or slices of them, by one RestoreV2 of TensorFlow."""
    values = tf.raw_ops.RestoreV2(prefix=str(prefix), tensor_names=names, shape_and_slices=specs,
                                  dtypes=[tf.as_dtype(dtype) for dtype in dtypes])
    return [from_tensorflow(value) for value in values]


def restore(prefix, name, dtype, spec=""):
    return restore_all(prefix, [name], [dtype], [spec])[0]


def slice_spec(shape, start, length):
    extents = ":".join("-" if n < 0 else f"{s},{n}" for s, n in zip(start, length))
    return " ".join(map(str, shape)) + " " + extents
