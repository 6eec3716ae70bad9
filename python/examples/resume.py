"""Kills train.py in the middle of its work, starts it again, and compares its end with that of an undisturbed run."""

import pathlib
import subprocess
import sys

import torch
import waypost

root = pathlib.Path(sys.argv[1])
train = pathlib.Path(__file__).with_name("train.py")


def start(name: str) -> subprocess.Popen:
    return subprocess.Popen([sys.executable, train, root / name, "500"], stdout=subprocess.PIPE, text=True)


killed = start("killed")
for line in killed.stdout:
    if line.startswith("step 250"):
        killed.kill()  # SIGKILL, with a save under way
killed.wait()
print("killed; the latest checkpoint is", waypost.latest(root / "killed"))

for name in ("killed", "straight"):
    for line in (run := start(name)).stdout:
        print(f"{name}: {line}", end="")
    assert run.wait() == 0

ends = [waypost.load(root / name / "model.ckpt-500") for name in ("killed", "straight")]
assert all(torch.equal(ends[0]["model"][key], ends[1]["model"][key]) for key in ends[0]["model"])
print("both ended with the same weights, bit by bit")
