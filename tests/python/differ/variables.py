"""Random variables, and the values that a number stands for.

A variable is told as {"name", "dtype", "shape", "device", "resource"}, a partitioned one with "parts", the number
of parts of each dimension, as well.  A value is told as saver_driver's lines carry it: the bytes in hexadecimal
digits, of strings a list of them.
"""
import math
import random

BYTES = {"float32": 4, "float64": 8, "int32": 4, "int64": 8, "uint8": 1, "bool": 1, "complex64": 8, "float16": 2,
         "bfloat16": 2, "string": 0}
SHAPES = [[], [1], [3], [2, 3], [0], [6], [2, 1, 2]]
NAMES = ["v", "w", "dense/kernel", "dense/bias", "step", "a/b/c", "V", "z_1"]
DEVICES = ["", "/device:CPU:0", "/device:CPU:1", "/cpu:2", "/job:localhost/replica:0/task:0/device:CPU:1"]


# What TensorFlow can put together from slices.
SLICEABLE = ["float32", "float64", "int32", "int64", "uint8", "bool", "complex64", "bfloat16"]
PARTITIONED = {"name": "emb", "dtype": "float32", "shape": [6, 4]}


def random_variables(rng):
    names = rng.sample(NAMES, rng.choice([1, 2, 2, 3, 3, 4, 5]))
    variables = [{"name": name, "dtype": rng.choice(list(BYTES)), "shape": rng.choice(SHAPES),
                  "device": rng.choice(DEVICES), "resource": rng.random() < 0.6} for name in names]
    for variable in variables:
        if variable["name"] == "step" and rng.random() < 0.7:  # may be a global step
            variable.update(dtype=rng.choice(["int32", "int64"]), shape=[])
    if rng.random() < 0.35:
        variables.insert(rng.randrange(len(variables)), {
            **PARTITIONED, "dtype": rng.choice(SLICEABLE), "device": rng.choice(DEVICES),
            "resource": rng.random() < 0.6, "parts": rng.choice([[1, 2], [2, 1], [3, 1], [4, 1], [1, 3], [1, 1]])})
    return variables


def parts_of(variable):
    """The variables that a variable stands for: itself, or its parts."""
    if "parts" not in variable:
        return [variable]
    axis = 0 if variable["parts"][0] > 1 else 1
    count = variable["parts"][axis]
    told = []
    for number in range(count):
        shape = list(variable["shape"])
        shape[axis] = shape[axis] // count + (number < shape[axis] % count)
        told.append({**variable, "name": f"{variable['name']}/part_{number}", "shape": shape, "whole": variable["name"],
                     "whole_shape": variable["shape"]})
    return told


def all_parts(variables):
    return [part for variable in variables for part in parts_of(variable)]


def altered(rng, variables):
    """The variables of a changed program: another shape or dtype, one more or one fewer."""
    variables = [dict(variable) for variable in variables]
    changed = rng.choice(variables)
    kind = rng.choice(["shape", "shape", "shape", "dtype", "more", "fewer", "device", "order", "kind"])
    if changed["name"] == "emb":
        if rng.random() < 0.7:
            changed["parts"] = rng.choice([[1, 2], [2, 1], [3, 1], [1, 3], [1, 1]])
        else:
            del changed["parts"]
    elif kind == "kind":
        changed["resource"] = not changed["resource"]
    elif kind == "shape":
        shape = changed["shape"]
        changed["shape"] = rng.choice([[*reversed(shape)], [math.prod(shape)], rng.choice(SHAPES)])
    elif kind == "dtype":
        changed["dtype"] = rng.choice(list(BYTES))
    elif kind == "device":
        changed["device"] = rng.choice(DEVICES)
    elif kind == "order":
        rng.shuffle(variables)
    elif kind == "fewer" and len(variables) > 1:
        variables.remove(changed)
    elif all(variable["name"] != "extra" for variable in variables):
        variables.append({**changed, "name": "extra"})
    return variables


def value(variable, number):
    """The variable's value of this number; another one for each."""
    rng = random.Random(f"{variable['name']} {variable['dtype']} {number}")
    count = math.prod(variable["shape"])
    if variable["dtype"] == "string":
        return [rng.randbytes(rng.randrange(20)).hex() for _ in range(count)]
    if variable["dtype"] == "bool":
        return bytes(rng.randrange(2) for _ in range(count)).hex()
    return rng.randbytes(count * BYTES[variable["dtype"]]).hex()
