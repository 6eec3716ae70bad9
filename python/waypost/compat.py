"""TensorFlow 1's module as far as Waypost has it: ``import waypost.compat as tf``.

The names are those of :mod:`waypost.train` and :mod:`waypost.summary` at TensorFlow's places:
``tf.train.Saver``, ``tf.summary.scalar``, ``tf.placeholder``, ``tf.Session``.
"""

from __future__ import annotations

from . import summary, train
from .events import Event, SessionLog, Summary
from .graph import (
    Graph,
    GraphDef,
    GraphKeys,
    Operation,
    Tensor,
    get_default_graph,
    name_scope,
    reset_default_graph,
)
from .meta_graph import MetaGraphDef
from .session import Session, get_default_session
from .train import add_to_collection, constant, device, get_collection, placeholder
from .variables import (
    Variable,
    constant_initializer,
    get_variable,
    global_variables,
    global_variables_initializer,
    local_variables,
    ones_initializer,
    trainable_variables,
    variables_initializer,
    zeros_initializer,
)

# TensorFlow's dtypes are given by their names.
float16, float32, float64, bfloat16 = "float16", "float32", "float64", "bfloat16"
int8, int16, int32, int64 = "int8", "int16", "int32", "int64"
uint8, uint16, uint32, uint64 = "uint8", "uint16", "uint32", "uint64"
bool = "bool"
complex64, complex128, string = "complex64", "complex128", "string"

__all__ = [
    "Event",
    "Graph",
    "GraphDef",
    "GraphKeys",
    "MetaGraphDef",
    "Operation",
    "Session",
    "SessionLog",
    "Summary",
    "Tensor",
    "Variable",
    "add_to_collection",
    "bfloat16",
    "bool",
    "complex64",
    "complex128",
    "constant",
    "constant_initializer",
    "device",
    "float16",
    "float32",
    "float64",
    "get_collection",
    "get_default_graph",
    "get_default_session",
    "get_variable",
    "global_variables",
    "global_variables_initializer",
    "int8",
    "int16",
    "int32",
    "int64",
    "local_variables",
    "name_scope",
    "ones_initializer",
    "placeholder",
    "reset_default_graph",
    "string",
    "summary",
    "train",
    "trainable_variables",
    "uint8",
    "uint16",
    "uint32",
    "uint64",
    "variables_initializer",
    "zeros_initializer",
]
