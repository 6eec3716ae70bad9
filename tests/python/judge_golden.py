"""Every fixture of tests/golden, written by the real TensorFlow, reads as expected.json says.

Needs nothing but Python: TensorFlow judged when it wrote the fixtures.
"""
import hashlib
import json
import unittest

from judge_common import ROOT, Tensor, cat_raw, digest, fresh, listing, read_by_waypost, run

GOLDEN = ROOT / "tests/golden"
EXPECTED = json.loads((GOLDEN / "expected.json").read_text())
SETS = {name: told for name, told in EXPECTED["sets"].items() if told["format"] == "V2"}
OBJECT_GRAPH = b"_CHECKPOINTABLE_OBJECT_GRAPH"


def spec_of(shape, part):
    """A slice that `waypost ls` lists, as TensorFlow writes it."""
    extents = ":".join(f"{start},{length}" for start, length in zip(part["start"], part["length"]))
    return " ".join(map(str, shape)) + " " + extents


class Golden(unittest.TestCase):
    def test_every_file_is_as_tensorflow_wrote_it(self):
        folders = {name.split("/")[0] for name in EXPECTED["files"]}
        here = {str(path.relative_to(GOLDEN)): path.read_bytes()
                for folder in folders for path in (GOLDEN / folder).rglob("*") if path.is_file()}
        self.assertEqual({name: {"size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
                          for name, content in here.items()}, EXPECTED["files"])

    def test_every_tensor_has_its_digest(self):
        self.assertEqual(len(SETS), 8)
        for set_name, told in SETS.items():
            seen = listing(GOLDEN / told["prefix"])
            # TensorFlow 2's own map of objects is no value that the fixture's maker chose.
            seen.pop(OBJECT_GRAPH, None)
            self.assertEqual(sorted(seen), sorted(name.encode() for name in told["tensors"]), set_name)
            for name, expected in told["tensors"].items():
                with self.subTest(set=set_name, tensor=name):
                    got = seen[name.encode()]
                    self.assertEqual((got["dtype"], got["shape"], got["sha256"]),
                                     (expected["dtype"], expected["shape"], expected["sha256"]))
                    self.assertEqual([spec_of(got["shape"], part) for part in got["slices"]],
                                     expected.get("slice_specs", []))

    def test_raw_bytes_have_the_same_digest(self):
        for told in SETS.values():
            for name, expected in told["tensors"].items():
                if expected["dtype"] == "string":
                    continue
                raw = cat_raw(GOLDEN / told["prefix"], name.encode())
                self.assertEqual(digest(expected["dtype"], raw), expected["sha256"], name)

    def test_restored_tensors_have_the_same_digest(self):
        for set_name, told in SETS.items():
            asked = {name.encode(): Tensor(expected["dtype"], expected["shape"], None)
                     for name, expected in told["tensors"].items()}
            got = read_by_waypost(GOLDEN / told["prefix"], asked, fresh(f"golden/{set_name}"))
            for content, (name, expected) in zip(got, told["tensors"].items(), strict=True):
                self.assertEqual(digest(expected["dtype"], content), expected["sha256"], (set_name, name))

    def test_every_fixture_verifies(self):
        for told in SETS.values():
            run("waypost", "verify", GOLDEN / told["prefix"])

    def test_the_object_graph_has_every_name_and_key(self):
        told = SETS["tf2_object"]
        graph = cat_raw(GOLDEN / told["prefix"], OBJECT_GRAPH)
        for name, key in told["names_to_keys"].items():
            self.assertIn(name.encode(), graph)
            self.assertIn(key.encode(), graph)
            self.assertIn(key, told["tensors"])

    def test_the_object_based_checkpoint_before_the_last_differs_in_its_counters(self):
        before, last = GOLDEN / "tf2_object/ckpt-1", GOLDEN / "tf2_object/ckpt-2"
        run("waypost", "verify", before)
        seen, after = listing(before), listing(last)
        self.assertEqual(set(seen), set(after))
        counters = {key.encode(): value for key, value in
                    {"step/.ATTRIBUTES/VARIABLE_VALUE": 42, "save_counter/.ATTRIBUTES/VARIABLE_VALUE": 1}.items()}
        self.assertEqual({name for name in seen if seen[name]["sha256"] != after[name]["sha256"]}, set(counters))
        for name, value in counters.items():
            self.assertEqual(cat_raw(before, name), value.to_bytes(8, "little"))

    def test_the_latest_of_every_folder_is_found(self):
        for set_name, told in SETS.items():
            folder = GOLDEN / told["folder"]
            if set_name != "v2_single_7" and (folder / "checkpoint").exists():
                self.assertEqual(run("waypost", "latest", "--verified", folder).decode().strip(),
                                 str(GOLDEN / told["prefix"]))


if __name__ == "__main__":
    unittest.main()
