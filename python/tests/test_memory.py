"""Saving and restoring a state of 2 GiB takes the ring and 64 MiB beside the state, whatever the state's size: the
peak of anonymous and shared memory, watched by a thread of a fresh process."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

RING = 64 << 20
SLACK = 64 << 20
STATE = 2 << 30

PROGRAM = """
    import json, sys, threading, time
    import numpy as np
    import waypost

    prefix, framework, call = sys.argv[1:]

    def memory():
        kinds = dict(line.split(":") for line in open("/proc/self/status") if line.startswith("Rss"))
        return sum(int(kinds[kind].split()[0]) for kind in ("RssAnon", "RssShmem")) * 1024

    state = {f"t{i}": np.full((256 << 20) // 4, i, np.float32) for i in range(8)}
    if framework == "torch":
        import torch
        state = {name: torch.from_numpy(array) for name, array in state.items()}
    engine = waypost.Engine(staging_bytes=RING)
    peak, end = 0, False

    def watch():
        global peak
        while not end:
            peak = max(peak, memory())
            time.sleep(0.002)

    before = memory() - RING  # the ring is there already
    watcher = threading.Thread(target=watch)
    watcher.start()
    if call == "save":
        engine.save(prefix, state)
    else:
        engine.restore(prefix, state)
    end = True
    watcher.join()
    print(json.dumps(peak - before))
""".replace("RING", str(RING))


@pytest.mark.parametrize("framework", ["numpy", "torch"])
def test_extra_memory(framework: str, tmp_path: Path) -> None:
    if framework == "torch":
        pytest.importorskip("torch")
    for call in ("save", "restore"):
        result = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(PROGRAM), str(tmp_path / "m"), framework, call],
            capture_output=True,
            text=True,
        )
        assert result.returncode == 0, result.stderr
        extra = json.loads(result.stdout)
        print(f"{call} of {STATE >> 30} GiB ({framework}): {extra / 2**20:.0f} MiB beside the state")
        assert extra <= RING + SLACK
