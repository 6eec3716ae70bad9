"""Waypost reads what TensorFlow writes: plain, sharded and partitioned Savers, raw SaveV2, tf.train.Checkpoint."""
import unittest

from tf_values import NUMERIC, from_numpy, generator, np, random_tensor, tf, to_tensorflow

from judge_common import cat_raw, fresh, is_raw, listing, run

v1 = tf.compat.v1


class TensorFlowWrites(unittest.TestCase):
    def expect(self, prefix, state):
        """`state` is {name in bytes: Tensor}."""
        seen = listing(prefix)
        self.assertEqual(sorted(seen), sorted(state))
        for name, tensor in state.items():
            told = seen[name]
            self.assertEqual((told["dtype"], told["shape"], told["sha256"]), (tensor.dtype, tensor.shape, tensor.sha256),
                             name)
            self.assertTrue(is_raw(tensor, cat_raw(prefix, name)), name)
        run("waypost", "verify", prefix)

    def test_every_dtype_by_save_v2(self):
        prefix = fresh("read_save_v2") / "raw"
        rng = generator(11)
        state = {f"{dtype}/{len(shape)}{shape[:1]}".encode(): random_tensor(rng, dtype, shape)
                 for dtype in NUMERIC + ["string"] for shape in [(), (0,), (6,), (3, 2, 5)]}
        state[b"caf\xe9 \xff"] = random_tensor(rng, "int8", (2,))
        names = list(state)
        tf.raw_ops.SaveV2(prefix=str(prefix), tensor_names=names, shape_and_slices=[""] * len(names),
                          tensors=[to_tensorflow(state[name]) for name in names])
        self.expect(prefix, state)

    def save(self, prefix, build, **saver_options):
        """Builds variables, saves them by a Saver, and returns what the session says they hold."""
        config = v1.ConfigProto(device_count={"CPU": 3})
        with tf.Graph().as_default(), v1.Session(config=config) as session:
            variables = build()
            session.run(v1.global_variables_initializer())
            v1.train.Saver(**saver_options).save(session, str(prefix))
            return {name.encode(): from_numpy(variable.dtype.base_dtype.name, session.run(tf.convert_to_tensor(variable)))
                    for name, variable in variables.items()}

    def test_a_plain_saver(self):
        rng = generator(12)

        def build():
            made = {"step": v1.Variable(np.int64(41), name="step"),
                    "words": v1.Variable([b"one", b"", b"\xff\0"], name="words", use_resource=False)}
            for dtype in ("float32", "float64", "int32", "uint8", "complex64", "bool"):
                value = np.frombuffer(rng.bytes(96), np.uint8) % 2
                made[dtype] = v1.Variable(value.reshape(8, 12).astype(dtype), name=dtype)
            return made
        prefix = fresh("read_plain") / "m"
        self.expect(prefix, self.save(prefix, build))

    def test_a_sharded_saver(self):
        rng = generator(13)

        def build():
            made = {}
            for number in range(9):
                with tf.device(f"/device:CPU:{number % 3}"):
                    name = f"s{number}"
                    made[name] = v1.Variable(rng.normal(size=(int(rng.integers(1, 40)), 3)).astype(np.float32), name=name)
            return made
        prefix = fresh("read_sharded") / "m"
        state = self.save(prefix, build, sharded=True)
        self.expect(prefix, state)
        self.assertEqual({told["shard"] for told in listing(prefix).values()}, {0, 1, 2})

    def test_partitioned_variables(self):
        def build():
            made = {}
            for name, parts, axis in (("rows", 4, 0), ("columns", 3, 1)):
                made[name] = v1.get_variable(name, (11, 7), initializer=v1.random_normal_initializer(seed=parts),
                                             partitioner=v1.fixed_size_partitioner(parts, axis=axis), use_resource=True)
            return made
        for sharded in (False, True):
            prefix = fresh(f"read_partitioned_{sharded}") / "m"
            state = self.save(prefix, build, sharded=sharded)
            self.expect(prefix, state)
            self.assertEqual({name: len(told["slices"]) for name, told in listing(prefix).items()},
                             {b"rows": 4, b"columns": 3})

    def test_an_object_based_checkpoint(self):
        rng = generator(14)
        weights = [tf.Variable(rng.normal(size=(4, 5)).astype(np.float32)), tf.Variable(rng.bytes(9))]
        checkpoint = tf.train.Checkpoint(kernel=weights[0], text=weights[1])
        prefix = checkpoint.save(str(fresh("read_object") / "ckpt"))
        state = {b"kernel/.ATTRIBUTES/VARIABLE_VALUE": from_numpy("float32", weights[0].numpy()),
                 b"text/.ATTRIBUTES/VARIABLE_VALUE": from_numpy("string", weights[1].numpy()),
                 b"save_counter/.ATTRIBUTES/VARIABLE_VALUE": from_numpy("int64", np.int64(1))}
        reader = tf.train.load_checkpoint(prefix)
        graph = b"_CHECKPOINTABLE_OBJECT_GRAPH"
        state[graph] = from_numpy("string", reader.get_tensor(graph.decode()))
        self.expect(prefix, state)


if __name__ == "__main__":
    unittest.main()
