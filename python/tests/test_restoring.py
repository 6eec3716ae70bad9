"""A damaged checkpoint is never loaded: the error names file, tensor and offset, and says what it changed;
``latest``, ``verify`` and ``convert`` do what the tool does."""

from __future__ import annotations

import inspect
import os
import random
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import waypost
from signals import HEED_SIGINT

MIB = 1 << 20


def tree() -> dict[str, Any]:
    return {f"t{i}": np.random.default_rng(i).integers(0, 256, 3 * MIB, np.uint8) for i in range(4)}


def damage(prefix: str, tensor: str) -> None:
    """Flips a bit of a tensor in the data file."""
    offset = next(info for info in waypost.list(prefix) if info.name == tensor).extents[0].offset + 1000
    path = next(Path(prefix).parent.glob(Path(prefix).name + ".data*"))
    with path.open("r+b") as file:
        file.seek(offset)
        byte = file.read(1)[0]
        file.seek(offset)
        file.write(bytes([byte ^ 4]))


@pytest.fixture
def damaged(prefix: str) -> str:
    waypost.save(prefix, tree())
    damage(prefix, "t2")
    return prefix


def test_an_error_midway_says_what_was_changed(damaged: str) -> None:
    into = {name: np.zeros_like(array) for name, array in tree().items()}
    with pytest.raises(waypost.DataLossError, match=r"data-00000-of-00001.*t2.*offset") as caught:
        waypost.restore(damaged, into, threads_max=1)
    error = caught.value
    assert isinstance(error, OSError)
    assert error.code == "DataLoss"
    assert "t2" in error.undefined
    for name in error.assigned:
        np.testing.assert_array_equal(into[name], tree()[name])


def test_verify_first_changes_nothing(damaged: str) -> None:
    into = {name: np.full_like(array, 9) for name, array in tree().items()}
    with pytest.raises(waypost.DataLossError) as caught:
        waypost.restore(damaged, into, verify_first=True)
    assert caught.value.undefined == () == caught.value.assigned
    assert all((array == 9).all() for array in into.values())


@pytest.mark.parametrize("mmap", [False, True])
def test_load_gives_no_wrong_byte(damaged: str, mmap: bool) -> None:
    with pytest.raises(waypost.DataLossError, match=r"t2"):
        waypost.load(damaged, mmap=mmap)
    np.testing.assert_array_equal(waypost.load(damaged, ["t1"], mmap=mmap)["t1"], tree()["t1"])
    unchecked = waypost.load(damaged, ["t2"], mmap=True, verify=False)["t2"]
    assert (unchecked != tree()["t2"]).sum() == 1


def test_any_flipped_bit_is_found(prefix: str, seed: int) -> None:
    rng = random.Random(seed)
    expected = tree()
    for _ in range(20):
        waypost.save(prefix, expected)
        files = sorted(Path(prefix).parent.glob(Path(prefix).name + ".*"))
        path = rng.choice(files)
        content = bytearray(path.read_bytes())
        place = rng.randrange(len(content))
        content[place] ^= 1 << rng.randrange(8)
        path.write_bytes(content)
        assert waypost.verify(prefix)[0].damage, (path, place)
        try:
            loaded = waypost.load(prefix)
        except waypost.Error:
            continue
        for name, array in expected.items():
            np.testing.assert_array_equal(loaded[name], array)


def test_verify_names_all_damage(damaged: str) -> None:
    damage(damaged, "t0")
    findings = waypost.verify(damaged)
    assert len(findings) == 1
    assert (findings[0].kind, findings[0].path, findings[0].is_v1) == ("checkpoint", damaged, False)
    assert [("t0" in line, "t2" in line) for line in findings[0].damage] == [(True, False), (False, True)]
    with pytest.raises(FileNotFoundError):
        waypost.verify(damaged + "-none")


def test_sequential_and_reshaped(prefix: str) -> None:
    waypost.save(prefix, {"a": np.arange(12.0), "b": np.arange(6)})
    into = {"a": np.zeros((3, 4)), "b": np.zeros(6, int)}
    waypost.restore(prefix, into, reshape=True, restore_sequentially=True)
    assert into["a"].tolist() == np.arange(12.0).reshape(3, 4).tolist()
    with pytest.raises(ValueError, match=r"shape"):
        waypost.restore(prefix, into)


def test_convert_there_and_back(prefix: str, tmp_path: Path) -> None:
    expected = tree()
    waypost.save(prefix, expected)
    report = waypost.convert(prefix, tmp_path / "x.safetensors")
    assert (report.source_kind, report.target_kind, report.tensor_count) == ("v2", "safetensors", 4)
    assert [name for name, _ in report.skipped] == ["_WAYPOST_TREE"]
    waypost.convert(tmp_path / "x.safetensors", tmp_path / "back", shards=3)
    for name, array in waypost.load(tmp_path / "back").items():
        np.testing.assert_array_equal(array, expected[name])
    with pytest.raises(FileExistsError):
        waypost.convert(prefix, tmp_path / "back")
    waypost.convert(prefix, tmp_path / "v1", to="v1")
    for name, array in waypost.load(tmp_path / "v1", list(expected)).items():
        np.testing.assert_array_equal(array, expected[name])
    safetensors = pytest.importorskip("safetensors.numpy")
    for name, array in safetensors.load_file(tmp_path / "x.safetensors").items():
        np.testing.assert_array_equal(array, expected[name])


@pytest.mark.parametrize("call", ["restore", "saver", "convert", "verify"])
def test_ctrl_c_ends_a_long_read(call: str, prefix: str) -> None:
    """The reading is made long by many rounds; it must end soon after the signal, and say so by KeyboardInterrupt."""
    waypost.save(prefix, tree())
    calls = {
        "restore": "waypost.restore(prefix, into)",
        "saver": "waypost.train.Saver().restore(into, prefix)",
        "convert": "waypost.convert(prefix, prefix + '-c', force=True, skip_unsupported=True)",
        "verify": "waypost.verify(prefix)",
    }
    program = f"""
        import numpy as np, waypost, waypost.train
        prefix = {prefix!r}
        into = {{f"t{{i}}": np.zeros({3 * MIB}, np.uint8) for i in range(4)}}
        waypost.restore(prefix, into)
        print("reading")
        try:
            while True:
                {calls[call]}
        except KeyboardInterrupt as interrupt:
            print("interrupted")
    """
    process = subprocess.Popen(
        [sys.executable, "-u", "-c", HEED_SIGINT + textwrap.dedent(program)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline().strip() == "reading"
    time.sleep(0.3)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out.split()) == (0, ["interrupted"]), err
    assert waypost.verify(prefix)[0].damage == []
    if call == "convert" and waypost.exists(prefix + "-c"):
        assert waypost.verify(prefix + "-c")[0].damage == []


def test_what_was_probably_meant_is_said(prefix: str, tmp_path: Path) -> None:
    waypost.save(prefix, {"a": np.arange(3.0), "text": "x"})
    with pytest.raises(waypost.InvalidArgumentError, match=r"its prefix is .*model\.ckpt-1$"):
        waypost.load(prefix + ".index")
    with pytest.raises(waypost.InvalidArgumentError, match=r"a directory; waypost\.latest"):
        waypost.restore(tmp_path, {"a": np.zeros(3)})
    with pytest.raises(waypost.InvalidArgumentError, match=r"text .*skip_unsupported=True"):
        waypost.convert(prefix, tmp_path / "x.safetensors")
    waypost.convert(prefix, tmp_path / "x.safetensors", skip_unsupported=True)
    with pytest.raises(waypost.InvalidArgumentError, match=r"waypost\.convert"):
        waypost.list(tmp_path / "x.safetensors")
    with pytest.raises(waypost.InvalidArgumentError, match=r"'pytorch' is none of"):
        waypost.load(prefix, framework="pytorch")  # type: ignore[arg-type]
    with pytest.raises(waypost.InvalidArgumentError, match=r"save"):
        waypost.save("", {"a": 1})


def test_help_shows_the_options() -> None:
    parameters = inspect.signature(waypost.save).parameters
    assert {"prefix", "tree", "progress", "max_to_keep", "staging", "storage_dirs"} <= parameters.keys()
    assert "max_to_keep: how many" in (waypost.save_async.__doc__ or "")
    assert "verify_first" in inspect.signature(waypost.restore).parameters


def test_list_describes_slices_and_places(prefix: str) -> None:
    waypost.save(prefix, {"a": np.zeros((2, 3), np.float32), "s": "text"})
    a, s = waypost.list(prefix)
    assert (a.name, a.dtype, a.shape, a.is_sliced, a.size_bytes) == ("a", "float32", (2, 3), False, 24)
    assert (s.name, s.dtype, s.shape) == ("s", "string", ())
    assert a.extents[0].shard == 0


def test_permissions(prefix: str) -> None:
    if os.geteuid() == 0:
        pytest.skip("root may read everything")
    waypost.save(prefix, {"a": 1})
    Path(prefix + ".index").chmod(0)
    with pytest.raises(PermissionError):
        waypost.load(prefix)


def test_a_restore_that_an_exception_breaks_off_has_ended(prefix: str) -> None:
    """Whatever the exception of a signal is: when it is raised nothing writes into the tensors any more."""
    waypost.save(prefix, {"a": np.ones(256 * MIB, np.uint8)})

    class Timeout(Exception):
        pass

    def over(*_: object) -> None:
        raise Timeout

    old = signal.signal(signal.SIGALRM, over)
    try:
        broken = 0
        for round_number in range(5):
            into = {"a": np.zeros(256 * MIB, np.uint8)}
            try:
                signal.setitimer(signal.ITIMER_REAL, 0.06 + 0.02 * round_number)
                waypost.restore(prefix, into)
            except Timeout:
                broken += 1
                count = np.count_nonzero(into["a"])
                time.sleep(0.1)
                assert np.count_nonzero(into["a"]) == count
            finally:
                signal.setitimer(signal.ITIMER_REAL, 0)
    finally:
        signal.signal(signal.SIGALRM, old)
    print(f"{broken} of 5 restores were broken off")
