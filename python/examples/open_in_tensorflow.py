"""Opens a checkpoint of train.py in TensorFlow; nothing of Waypost is needed for that."""

import sys

import tensorflow as tf

latest = tf.train.latest_checkpoint(sys.argv[1])
reader = tf.train.load_checkpoint(latest)
for name, shape in sorted(reader.get_variable_to_shape_map().items()):
    if name.startswith("model/"):
        print(name, shape, reader.get_tensor(name).sum())
print("step", reader.get_tensor("step"))
