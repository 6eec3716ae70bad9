"""Every fixture of tests/golden, written by the real TensorFlow, reads as expected.json says.

Needs nothing but Python: TensorFlow judged when it wrote the fixtures.
"""
import json
import unittest

from judge_common import ROOT, digest, cat_raw, listing, run

GOLDEN = ROOT / "tests/golden"
SETS = {name: told for name, told in json.loads((GOLDEN / "expected.json").read_text())["sets"].items()
        if told["format"] == "V2"}


class Golden(unittest.TestCase):
    def test_every_tensor_has_its_digest(self):
        self.assertEqual(len(SETS), 8)
        for set_name, told in SETS.items():
            seen = listing(GOLDEN / told["prefix"])
            # TensorFlow 2's own map of objects is no value that the fixture's maker chose.
            seen.pop(b"_CHECKPOINTABLE_OBJECT_GRAPH", None)
            self.assertEqual(sorted(seen), sorted(name.encode() for name in told["tensors"]), set_name)
            for name, expected in told["tensors"].items():
                with self.subTest(set=set_name, tensor=name):
                    got = seen[name.encode()]
                    self.assertEqual((got["dtype"], got["shape"], got["sha256"]),
                                     (expected["dtype"], expected["shape"], expected["sha256"]))

    def test_raw_bytes_have_the_same_digest(self):
        for told in SETS.values():
            for name, expected in told["tensors"].items():
                if expected["dtype"] == "string":
                    continue
                raw = cat_raw(GOLDEN / told["prefix"], name.encode())
                self.assertEqual(digest(expected["dtype"], raw), expected["sha256"], name)

    def test_every_fixture_verifies(self):
        for told in SETS.values():
            run("waypost", "verify", GOLDEN / told["prefix"])


if __name__ == "__main__":
    unittest.main()
