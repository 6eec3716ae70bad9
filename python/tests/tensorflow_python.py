"""The interpreter that has TensorFlow, which lives in an environment of its own."""

from __future__ import annotations

import json
import os
import subprocess
import textwrap
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]


def run_in_tensorflow(program: str) -> Any:
    """Runs a program there, which prints JSON in its last line; skips the test where TensorFlow is not installed."""
    python = os.environ.get("WAYPOST_TF_PYTHON", str(ROOT / "build" / "venv-tf" / "bin" / "python"))
    if not Path(python).exists():
        pytest.skip(f"no TensorFlow: {python} is not there (tools/test.sh makes it)")
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1"}
    environment.pop("PYTHONPATH", None)
    result = subprocess.run(
        [python, "-c", textwrap.dedent(program)], env=environment, capture_output=True, text=True, timeout=300
    )
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout.splitlines()[-1])
