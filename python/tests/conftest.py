"""What the tests share."""

from __future__ import annotations

import os
import random
import subprocess
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest
import waypost

SEED = int(os.environ.get("WAYPOST_TEST_SEED", random.SystemRandom().randrange(2**32)))


def pytest_report_header() -> str:
    return f"WAYPOST_TEST_SEED={SEED}"


@pytest.fixture
def seed() -> int:
    """Of this run; printed, and set by WAYPOST_TEST_SEED."""
    return SEED


@pytest.fixture
def prefix(tmp_path: Path) -> str:
    """Of a checkpoint that is not there yet."""
    return str(tmp_path / "model.ckpt-1")


@pytest.fixture(scope="session")
def tensorflow() -> Callable[..., str]:
    """Runs a program in TensorFlow's virtual environment, where waypost is found too; gives what it printed.

    The environment's Python is WAYPOST_TF_PYTHON, else build/venv-tf of the checkout.
    """
    default = Path(__file__).parents[2] / "build/venv-tf/bin/python"
    python = os.environ.get("WAYPOST_TF_PYTHON", str(default))
    if not Path(python).exists():
        pytest.skip(f"no TensorFlow: {python} is not there; WAYPOST_TF_PYTHON names its Python")

    def run(program: str, *arguments: object, **environment: str) -> str:
        # At the end, so that TensorFlow's own packages come first.
        site = str(Path(waypost.__file__).parents[1])
        prelude = f"import sys; sys.path.append({site!r})\n"
        quiet = {"TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "", "PYTHONPATH": ""}
        done = subprocess.run(
            [python, "-c", prelude + textwrap.dedent(program), *map(str, arguments)],
            env=os.environ | quiet | environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"exit {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout

    return run
