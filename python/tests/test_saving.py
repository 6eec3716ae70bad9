"""A save under way: what its handle tells and does, that its errors reach the job, that waiting lets other threads
run and ends with Ctrl-C, and that the tensors' memory stays as long as it is read.

A cap on the rate keeps saves under way as long as a test needs."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import shutil
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import waypost
from signals import HEED_SIGINT
from waypost import train

MIB = 1 << 20


def state(mib: int = 24) -> dict[str, np.ndarray]:
    return {"a": np.arange(mib * MIB // 8, dtype=np.int64)}


@pytest.fixture
def slow() -> Iterator[waypost.Engine]:
    """4 MiB a second: a window each."""
    engine = waypost.Engine(staging_bytes=16 * MIB, write_bytes_per_second_max=8 * MIB)
    yield engine
    engine.close()


def test_a_handle_says_how_far_it_is(prefix: str) -> None:
    save = waypost.save_async(prefix, state())
    save.wait_staged()
    assert save.state in ("draining", "committing", "committed", "finished")
    save.wait_committed()
    assert waypost.exists(prefix)
    save.wait_finished()
    assert save.done
    progress, stats = save.progress, save.stats
    assert progress.bytes_written == progress.bytes_total == stats.bytes_written > 24 * MIB
    assert stats.limit in ("source", "drive")
    assert stats.warnings == []
    assert prefix in repr(save)


def test_a_timeout_ends_a_wait_and_not_the_save(slow: waypost.Engine, prefix: str) -> None:
    save = slow.save_async(prefix, state(48))
    with pytest.raises(TimeoutError, match=r"not committed within"):
        save.wait_committed(timeout=0.2)
    with pytest.raises(TimeoutError, match=r"not staged within"):
        save.wait_staged(timeout=0)
    assert save.cancel()
    with pytest.raises(waypost.CancelledError):
        save.wait_committed()
    assert not waypost.exists(prefix)
    assert not save.cancel()


def test_with_waits_for_the_commit_and_cancels_on_an_error(slow: waypost.Engine, prefix: str) -> None:
    with slow.save_async(prefix, {"a": 1}):
        pass
    assert waypost.load(prefix) == {"a": 1}
    with pytest.raises(KeyError), slow.save_async(prefix, state(48)) as save:
        raise KeyError
    assert save.state == "cancelled"
    assert waypost.load(prefix) == {"a": 1}


def test_await_leaves_the_loop_free(slow: waypost.Engine, prefix: str) -> None:
    async def train() -> int:
        steps = 0
        save = slow.save_async(prefix, state(16))
        waiter = asyncio.ensure_future(wait_for(save))
        while not waiter.done():
            steps += 1
            await asyncio.sleep(0.01)
        assert (await waiter) is save
        return steps

    async def wait_for(save: waypost.SaveHandle) -> waypost.SaveHandle:
        return await save

    assert asyncio.run(train()) > 3
    assert waypost.exists(prefix)


def test_await_raises_the_error(slow: waypost.Engine, prefix: str) -> None:
    async def lose() -> None:
        save = slow.save_async(prefix, state(48))
        save.cancel()
        await save

    with pytest.raises(waypost.CancelledError):
        asyncio.run(lose())


def test_waiting_lets_other_threads_run(slow: waypost.Engine, prefix: str) -> None:
    counted = 0
    end = threading.Event()

    def count() -> None:
        nonlocal counted
        while not end.is_set():
            counted += 1

    thread = threading.Thread(target=count)
    thread.start()
    try:
        save = slow.save_async(prefix, state(16))
        before = counted
        save.wait_committed()
        assert counted > before + 1000
    finally:
        end.set()
        thread.join()


def removed_directory(tmp_path: Path, engine: waypost.Engine) -> waypost.SaveHandle:
    """A save that fails: its directory goes while it is under way."""
    directory = tmp_path / "gone"
    save = engine.save_async(directory / "m", state(48))
    while save.progress.bytes_written == 0:
        time.sleep(0.01)
    while directory.exists():  # the save removes files, too, once it fails
        shutil.rmtree(directory, ignore_errors=True)
    return save


def test_an_error_that_nobody_waited_for_is_raised_by_the_next_save(tmp_path: Path, prefix: str) -> None:
    engine = waypost.Engine(staging_bytes=16 * MIB, write_bytes_per_second_max=64 * MIB)
    removed_directory(tmp_path, engine)
    with pytest.raises(waypost.NotFoundError, match=r"gone"):
        engine.save_async(prefix, {"a": 1})
    assert not waypost.exists(prefix)
    engine.save(prefix, {"a": 1})
    save = removed_directory(tmp_path, engine)
    with pytest.raises(waypost.Error, match=r"gone"):
        save.wait_committed()
    engine.save(prefix, {"a": 2})  # it was seen
    removed_directory(tmp_path, engine)
    while waypost.default_engine() and not engine._handles[-1].done:
        time.sleep(0.01)
    with pytest.raises(waypost.Error, match=r"gone"):
        engine.close()


def test_saves_of_a_saver_leave_another_save_s_error_to_be_told_once(tmp_path: Path, prefix: str) -> None:
    # Proved: what an engine forgets of saves that are over holds no error that nobody has seen.
    engine = waypost.Engine(staging_bytes=16 * MIB, write_bytes_per_second_max=64 * MIB)
    removed_directory(tmp_path, engine)
    saver = train.Saver(engine=engine)
    for step in range(3):
        saver.save({"a": 1}, prefix, step)
    with pytest.raises(waypost.Error, match=r"gone"):
        engine.settle()
    engine.save(prefix, {"a": 1})
    engine.close()


def test_tensors_stay_as_long_as_they_are_read(slow: waypost.Engine, prefix: str) -> None:
    expected = np.random.default_rng(1).integers(0, 256, 12 * MIB, np.uint8)
    save = slow.save_async(prefix, [expected.copy(), {"t": expected.copy()[::2]}])
    del save
    gc.collect()
    junk = [np.full(12 * MIB, 255, np.uint8) for _ in range(4)]  # would take the memory that was given back
    slow.settle()
    del junk
    loaded = waypost.load(prefix)
    np.testing.assert_array_equal(loaded[0], expected)
    np.testing.assert_array_equal(loaded[1]["t"], expected[::2])


def test_memory_is_let_go_once_it_is_staged(prefix: str) -> None:
    import weakref

    array = np.zeros(12 * MIB, np.uint8)
    gone = weakref.ref(array)
    save = waypost.save_async(prefix, {"a": array})
    del array
    save.wait_staged()
    gc.collect()
    assert gone() is None
    save.wait_finished()


def test_small_values_may_change_at_once(slow: waypost.Engine, prefix: str) -> None:
    tree = {"step": np.array(7), "list": [1, 2], "large": state(16)}
    save = slow.save_async(prefix, tree)
    tree["step"][...] = 8
    tree["list"].append(3)
    save.wait_committed()
    loaded = waypost.load(prefix, ["step", "list/0", "list/1"])
    assert loaded == {"step": 7, "list/0": 1, "list/1": 2}


def test_updating_waits_for_staging(slow: waypost.Engine, prefix: str) -> None:
    tree = state(32)
    expected = tree["a"].copy()
    slow.save_async(prefix, tree)
    with slow.updating():
        tree["a"] += 1
    slow.settle()
    np.testing.assert_array_equal(waypost.load(prefix)["a"], expected)


def test_a_tensor_that_is_changed_too_early_is_found(tmp_path: Path) -> None:
    with waypost.Engine(staging_bytes=16 * MIB, write_bytes_per_second_max=16 * MIB, check_stable="all") as engine:
        tree = state(32)
        save = engine.save_async(tmp_path / "m", tree)
        while save.progress.bytes_staged == 0:
            time.sleep(0.001)
        tree["a"][:] = -1
        with pytest.raises(waypost.AbortedError, match=r"\ba\b"):
            save.wait_committed()
    assert not waypost.exists(tmp_path / "m")


def test_the_state_file_and_how_many_stay(tmp_path: Path) -> None:
    prefixes = [str(tmp_path / f"m-{step}") for step in range(5)]
    for prefix in prefixes:
        waypost.save(prefix, {"a": 1}, max_to_keep=3)
    assert waypost.latest(tmp_path) == prefixes[-1]
    assert [waypost.exists(prefix) for prefix in prefixes] == [False, False, True, True, True]
    waypost.save(tmp_path / "other", {"a": 1}, update_state=False)
    assert waypost.latest(tmp_path) == prefixes[-1]
    data = next(tmp_path.glob("m-4.data*"))
    data.write_bytes(b"\x01" + data.read_bytes()[1:])
    assert waypost.latest(tmp_path) == prefixes[-1]
    assert waypost.latest(tmp_path, verified=True) == prefixes[-2]
    assert waypost.latest(tmp_path / "nowhere") is None


def test_options_of_the_layout(tmp_path: Path) -> None:
    drives = [tmp_path / "d0", tmp_path / "d1"]
    for drive in drives:
        drive.mkdir()
    tree = {f"t{i}": np.full(MIB, i, np.uint8) for i in range(6)}
    waypost.save(
        tmp_path / "m", tree, shard_bytes=2 * MIB, storage_dirs=drives, verify_before_delete=True, staging="full_copy"
    )
    assert all(any(drive.iterdir()) for drive in drives)
    for name, array in waypost.load(tmp_path / "m").items():
        np.testing.assert_array_equal(array, tree[name])
    with pytest.raises(waypost.InvalidArgumentError, match=r"staging 'quick': not one of 'device_copy'"):
        waypost.save(tmp_path / "m", tree, staging="quick")  # type: ignore[arg-type]
    with pytest.raises(waypost.NotFoundError, match=r"d2"):
        waypost.save(tmp_path / "m", tree, storage_dirs=[tmp_path / "d2"])
    with pytest.raises(waypost.InvalidArgumentError, match=r"io_threads"):
        waypost.Engine(io_threads=0)


def test_what_the_engine_logs_reaches_logging(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for step in (1, 2):
        waypost.save(tmp_path / f"m-{step}", {"a": step})
    (tmp_path / "m-2.index").write_bytes(b"damaged")
    with caplog.at_level(logging.INFO, "waypost"):
        assert waypost.latest(tmp_path, verified=True) == str(tmp_path / "m-1")
    assert any("m-2" in record.getMessage() and record.name == "waypost" for record in caplog.records)


def run(program: str, *, send: int | None = None, after: str = "") -> subprocess.CompletedProcess[str]:
    """Runs a program; sends it a signal once it has printed `after`."""
    process = subprocess.Popen(
        [sys.executable, "-u", "-c", HEED_SIGINT + textwrap.dedent(program)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    out = ""
    if send is not None:
        out = process.stdout.readline()
        assert out.strip() == after, (out, process.stderr)
        time.sleep(0.2)
        process.send_signal(send)
    more, err = process.communicate(timeout=60)
    return subprocess.CompletedProcess(process.args, process.returncode, out + more, err)


@pytest.mark.parametrize("wait", ["save.wait_committed()", "save.wait_staged()", "engine.settle()"])
def test_ctrl_c_ends_a_wait(wait: str, prefix: str) -> None:
    result = run(
        f"""
        import numpy as np, waypost
        engine = waypost.Engine(staging_bytes=16 << 20, write_bytes_per_second_max=1 << 20)
        save = engine.save_async({prefix!r}, {{"a": np.zeros(64 << 20, np.uint8)}})
        print("waiting")
        try:
            {wait}
        except KeyboardInterrupt:
            print("interrupted", save.state)
            print(save.cancel())
        """,
        send=signal.SIGINT,
        after="waiting",
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.split() == ["waiting", "interrupted", "staging", "True"]
    assert not waypost.exists(prefix)
    assert not list(Path(prefix).parent.glob("*waypost*"))


def test_ctrl_c_in_save_gives_the_tensors_back(prefix: str) -> None:
    result = run(
        f"""
        import numpy as np, waypost
        engine = waypost.Engine(staging_bytes=16 << 20, write_bytes_per_second_max=1 << 20)
        print("waiting")
        try:
            engine.save({prefix!r}, {{"a": np.zeros(64 << 20, np.uint8)}})
        except KeyboardInterrupt:
            print("interrupted")
        """,
        send=signal.SIGINT,
        after="waiting",
    )
    assert (result.returncode, result.stdout.split()) == (0, ["waiting", "interrupted"]), result.stderr
    assert not waypost.exists(prefix)


def test_an_interpreter_that_ends_waits_for_its_saves(prefix: str) -> None:
    result = run(
        f"""
        import numpy as np, waypost
        waypost.save_async({prefix!r}, {{"a": np.ones(8 << 20, np.uint8)}})
        """
    )
    assert result.returncode == 0, result.stderr
    assert waypost.load(prefix)["a"].sum() == 8 * MIB


def test_an_interpreter_that_ends_tells_of_a_failed_save(tmp_path: Path) -> None:
    result = run(
        f"""
        import os, shutil, time
        import numpy as np, waypost
        engine = waypost.Engine(staging_bytes=16 << 20, write_bytes_per_second_max=64 << 20)
        save = engine.save_async({str(tmp_path / "gone" / "m")!r}, {{"a": np.ones(32 << 20, np.uint8)}})
        while os.path.exists({str(tmp_path / "gone")!r}):  # the save removes files, too, once it fails
            shutil.rmtree({str(tmp_path / "gone")!r}, ignore_errors=True)
        del save
        """
    )
    assert result.returncode == 0
    assert "gone" in result.stderr, result


def test_a_forked_child_has_an_engine_of_its_own(slow: waypost.Engine, prefix: str) -> None:
    waypost.save(prefix, {"a": 1})
    save = slow.save_async(prefix + "-parent", state(16))
    child = os.fork()
    if child == 0:
        status = 1
        try:
            waypost.save(prefix + "-child", {"a": 2})
            try:
                slow.save_async(prefix + "-other", {"a": 3})
            except waypost.FailedPreconditionError:
                status = 0
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    save.wait_committed()
    assert waypost.load(prefix + "-child") == {"a": 2}
    assert waypost.verify(prefix + "-parent")[0].damage == []


def test_many_threads_save_and_load(tmp_path: Path) -> None:
    errors: list[BaseException] = []

    def work(thread: int) -> None:
        try:
            for step in range(5):
                prefix = tmp_path / f"{thread}-{step}"
                waypost.save(prefix, {"a": np.full(100_000, thread * 10 + step)}, update_state=False)
                assert waypost.load(prefix)["a"][-1] == thread * 10 + step
                into = {"a": np.zeros(100_000, int)}
                waypost.restore(prefix, into)
                assert into["a"][0] == thread * 10 + step
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors


def test_ctrl_c_at_the_start_of_a_save_keeps_its_memory(prefix: str) -> None:
    """The signal comes within the call that starts the save: what it returns is lost, and the save must not go on
    with memory that is given back."""
    result = run(
        f"""
        import gc, os, signal, time
        import numpy as np, waypost
        engine = waypost.Engine(staging_bytes=16 << 20, write_bytes_per_second_max=16 << 20)
        interrupted = 0
        for round in range(6):
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, lambda *_: signal.raise_signal(signal.SIGINT))
            tree = {{f"t{{i}}": np.full(100_000, 7, np.uint8) for i in range(300)}}
            try:
                signal.setitimer(signal.ITIMER_REAL, 0.002 * (round + 1))
                save = engine.save_async({prefix!r}, tree)
                signal.setitimer(signal.ITIMER_REAL, 0)
                save.cancel()
            except KeyboardInterrupt:
                interrupted += 1
            del tree
            gc.collect()
            junk = [np.full(100_000, 255, np.uint8) for _ in range(300)]
            try:
                engine.settle()
            except waypost.CancelledError:
                pass
            if waypost.exists({prefix!r}):
                loaded = waypost.load({prefix!r})
                assert all((array == 7).all() for array in loaded.values())
        print("interrupted", interrupted)
        """
    )
    assert result.returncode == 0, result.stderr
    assert int(result.stdout.split()[1]) >= 1, result.stdout


def test_a_save_that_was_cancelled_or_seen_to_fail_is_over(tmp_path: Path, prefix: str) -> None:
    waypost.save(prefix, {"a": 1})
    with waypost.Engine(staging_bytes=16 * MIB, write_bytes_per_second_max=64 * MIB) as engine:
        for end in ("cancelled", "failed"):
            if end == "cancelled":
                engine.save_async(tmp_path / "m", state(48)).cancel()
            else:
                save = removed_directory(tmp_path, engine)
                with pytest.raises(waypost.Error, match="gone"):
                    save.wait_committed()
            for _ in range(2):
                assert engine.restore(prefix, {"a": 0}) == {"a": 1}
                with engine.updating():
                    pass
        removed_directory(tmp_path, engine)
        while not engine._handles[-1].done:
            time.sleep(0.01)
        with pytest.raises(waypost.Error, match="gone"):
            engine.wait_staged()
        engine.wait_staged()  # it was told once


def test_close_waits_for_calls_of_other_threads(prefix: str) -> None:
    waypost.save(prefix, state(64))
    engine = waypost.Engine()
    into = {"a": np.zeros(8 << 20, np.int64)}
    rounds: list[str] = []

    def read() -> None:
        try:
            while True:
                engine.restore(prefix, into)
                rounds.append("whole")
        except waypost.FailedPreconditionError as error:
            rounds.append(str(error))

    thread = threading.Thread(target=read)
    thread.start()
    while not rounds:
        time.sleep(0.01)
    engine.close()
    thread.join()
    assert rounds[-1] == "the engine is closed"
    np.testing.assert_array_equal(into["a"], state(64)["a"])
