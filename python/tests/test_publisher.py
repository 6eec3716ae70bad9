"""Directories of checkpoints that appear when they are committed, and what must not be removed before."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import waypost
from waypost import Engine, _publisher
from waypost._publisher import Publisher, flattened, optimizer_memory, prefix_of, remove

torch = pytest.importorskip("torch", reason="needs PyTorch")

LARGE = 8 << 20  # elements of 4 bytes: twice the smallest ring


def slow_engine() -> Engine:
    """One whose saves of a large tensor still read it when the call returns."""
    return Engine(staging_bytes=16 << 20, write_bytes_per_second_max=64 << 20, check_stable="all")


def test_a_path_appears_when_its_checkpoint_is_committed(tmp_path: Path) -> None:
    with slow_engine() as engine:
        publisher = Publisher(engine)
        weights = torch.arange(LARGE, dtype=torch.float32)
        publisher.save(tmp_path / "a", {"w": weights}, borrowed={weights.data_ptr()}, wait=False)
        assert not (tmp_path / "a").exists()
        publisher.settle()
        assert torch.equal(waypost.load(prefix_of(tmp_path / "a"))["w"], weights)
        assert os.listdir(tmp_path) == ["a"]


def test_what_is_not_borrowed_may_change_at_once(tmp_path: Path) -> None:
    with slow_engine() as engine:
        publisher = Publisher(engine)
        kept, changed = torch.zeros(LARGE), torch.zeros(LARGE)
        publisher.save(tmp_path / "a", {"kept": kept, "changed": changed}, borrowed={kept.data_ptr()}, wait=False)
        changed.fill_(1)
        publisher.wait_staged()
        kept.fill_(2)
        publisher.settle()
        loaded = waypost.load(prefix_of(tmp_path / "a"))
        assert loaded["kept"].count_nonzero() == 0
        assert loaded["changed"].count_nonzero() == 0


class Exporter:
    """An array of another library: it speaks DLPack and nothing else."""

    def __init__(self, array: np.ndarray[Any, Any]) -> None:
        self.array = array

    def __dlpack__(self, **options: Any) -> Any:
        return self.array.__dlpack__(**options)

    def __dlpack_device__(self) -> Any:
        return self.array.__dlpack_device__()


def test_arrays_of_other_libraries_may_change_at_once(tmp_path: Path) -> None:
    with slow_engine() as engine:
        publisher = Publisher(engine)
        first, array, exported = np.zeros(LARGE, np.float32), np.zeros(LARGE, np.float32), np.zeros(9, np.float32)
        tree = {"a": first, "b": array, "c": Exporter(exported), "d": np.float32(3), "e": np.array(["x"])}
        publisher.save(tmp_path / "a", tree, borrowed=(), wait=False)
        for each in (first, array, exported):
            each.fill(1)
        publisher.settle()
        loaded = waypost.load(prefix_of(tmp_path / "a"))
        assert [np.count_nonzero(loaded[name]) for name in "abc"] == [0, 0, 0]
        assert (loaded["d"], loaded["e"].tolist()) == (3, [b"x"])


def test_every_tensor_that_is_not_borrowed_is_copied() -> None:
    borrowed = torch.ones(2)
    host = np.ones(2)
    flat = flattened({"a": borrowed, "b": host, "c": Exporter(host), "d": 5}, {borrowed.data_ptr()})
    host[:] = 0
    values = [leaf.value for leaf in flat.leaves]
    assert values[0] is borrowed
    assert [values[1].tolist(), values[2].tolist(), values[3]] == [[1, 1], [1, 1], 5]

    class Broken(Exporter):
        def __dlpack__(self, **options: Any) -> Any:
            raise BufferError("it is on Mars")

    with pytest.raises(waypost.InvalidArgumentError, match="x: a Broken cannot be copied: it is on Mars"):
        flattened({"x": Broken(host)}, ())


def test_a_removal_waits_for_the_save_before_it(tmp_path: Path) -> None:
    with slow_engine() as engine:
        publisher = Publisher(engine)
        publisher.save(tmp_path / "old", {"step": 1})
        weights = torch.zeros(LARGE)
        publisher.save(tmp_path / "new", {"w": weights}, borrowed={weights.data_ptr()}, wait=False)
        publisher.then(lambda: remove(tmp_path / "old"))
        assert (tmp_path / "old").exists()
        publisher.settle()
        assert os.listdir(tmp_path) == ["new"]


def test_a_save_that_fails_keeps_what_it_would_have_replaced(tmp_path: Path) -> None:
    with slow_engine() as engine:
        publisher = Publisher(engine)
        publisher.save(tmp_path / "old", {"step": 1})
        weights = torch.zeros(LARGE)
        publisher.save(tmp_path / "new", {"w": weights}, borrowed={weights.data_ptr()}, wait=False)
        publisher.then(lambda: remove(tmp_path / "old"))
        while engine._handles[-1].progress.bytes_staged == 0:
            time.sleep(0.001)
        weights.fill_(1)  # too early: a part of it is read already
        with pytest.raises(waypost.AbortedError, match="w"):
            publisher.wait_staged()
        publisher.wait_staged()  # told once
        publisher.settle()
        assert waypost.load(prefix_of(tmp_path / "old")) == {"step": 1}
        assert not (tmp_path / "new").exists()
        publisher.save(tmp_path / "new", {"step": 2})
        assert sorted(os.listdir(tmp_path)) == ["new", "old"]


def test_the_error_that_no_wait_has_raised_is_raised_by_settle(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with slow_engine() as engine:
        publisher = Publisher(engine)
        for settle in (publisher.settle, publisher.settle_logged):
            weights = torch.zeros(LARGE)
            publisher.save(tmp_path / "new", {"w": weights}, borrowed={weights.data_ptr()}, wait=False)
            while engine._handles[-1].progress.bytes_staged == 0:
                time.sleep(0.001)
            weights.fill_(1)
            if settle == publisher.settle:
                with pytest.raises(waypost.AbortedError, match="w"):
                    settle()
            else:
                settle()
                assert "changed" in caplog.text
            publisher.wait_staged()
            publisher.settle()


def in_the_way(path: Path) -> None:
    (path / "extra").mkdir(parents=True)
    (path / "notes").write_text("theirs")
    (path / "extra" / "a").write_text("theirs")
    (path / "state.data-00000-of-00001").write_text("of no checkpoint")


def fill(directory: str) -> None:
    (Path(directory) / "extra").mkdir()
    for name in ("notes", "config", "extra/a", "extra/b"):
        (Path(directory) / name).write_text("ours")


def test_a_directory_that_others_make_meanwhile_takes_the_checkpoint(tmp_path: Path) -> None:
    with slow_engine() as engine:
        publisher = Publisher(engine)
        weights = torch.arange(LARGE, dtype=torch.float32)
        path = tmp_path / "a"
        publisher.save(path, {"w": weights}, borrowed={weights.data_ptr()}, fill=fill, wait=False)
        in_the_way(path)
        publisher.settle()
        assert torch.equal(waypost.load(prefix_of(path))["w"], weights)
        assert os.listdir(tmp_path) == ["a"]
        found = {name: (path / name).read_text() for name in ("notes", "config", "extra/a", "extra/b")}
        assert found == {"notes": "theirs", "config": "ours", "extra/a": "theirs", "extra/b": "ours"}


class Crash(BaseException):
    """The process ends here."""


def test_a_crash_while_it_takes_it_leaves_no_checkpoint_or_a_whole_one(tmp_path: Path) -> None:
    """Every call that changes a directory is once the first that is not made."""
    calls = [0]

    def dying(call: Callable[..., Any]) -> Callable[..., Any]:
        def run(*arguments: Any, **options: Any) -> Any:
            calls[0] -= 1
            if calls[0] < 0:
                raise Crash
            return call(*arguments, **options)

        return run

    count, is_done = 0, False
    while not is_done:
        path = tmp_path / str(count)
        Publisher().save(path, {"step": 5}, fill=fill)
        os.rename(path, tmp_path / f".{path.name}.part")
        in_the_way(path)
        calls[0] = count
        with pytest.MonkeyPatch.context() as patch:
            for name in ("replace", "rename", "unlink", "rmdir"):
                patch.setattr(os, name, dying(getattr(os, name)))
            try:
                _publisher._publish(str(tmp_path / f".{path.name}.part"), str(path))
                is_done = True
            except Crash:
                pass
        if waypost.checkpoint.exists(prefix_of(path)):
            assert waypost.load(prefix_of(path)) == {"step": 5}
        else:
            assert not is_done
        Publisher().save(path, {"step": 6})
        assert waypost.load(prefix_of(path)) == {"step": 6}
        assert not list(tmp_path.glob(".*"))
        count += 1
    assert count > 4


def test_what_others_save_there_meanwhile_is_kept(tmp_path: Path) -> None:
    with slow_engine() as engine:
        publisher, path = Publisher(engine), tmp_path / "a"
        weights = torch.zeros(LARGE)
        for make, reason in (
            (lambda: waypost.save(prefix_of(path), {"step": 1}), "another checkpoint was saved there meanwhile"),
            (lambda: path.write_text("a file"), "Not a directory"),
        ):
            publisher.save(path, {"w": weights}, borrowed={weights.data_ptr()}, wait=False)
            make()
            with pytest.raises(waypost.AlreadyExistsError, match=f"^save {path}: .*{reason}.*its files are in"):
                publisher.settle()
            if path.is_dir():
                assert waypost.load(prefix_of(path)) == {"step": 1}
            assert waypost.load(prefix_of(tmp_path / ".a.part"))["w"].shape == (LARGE,)
            remove(path)


def test_errors_of_the_file_system_are_waypost_s(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not ours")
    with pytest.raises(waypost.AlreadyExistsError, match=r"^save .*file/a: .*File exists"):
        Publisher().save(tmp_path / "file" / "a", {"step": 1})


def test_a_checkpoint_is_replaced_in_place(tmp_path: Path) -> None:
    publisher = Publisher()
    publisher.save(tmp_path / "a", {"step": 1})
    (tmp_path / "a" / "notes").write_text("kept")
    publisher.save(tmp_path / "a", {"step": 2}, borrowed=(), wait=False)
    assert (tmp_path / "a").exists()
    publisher.settle()
    assert waypost.load(prefix_of(tmp_path / "a")) == {"step": 2}
    assert (tmp_path / "a" / "notes").read_text() == "kept"


def test_a_link_is_replaced_and_its_target_kept(tmp_path: Path) -> None:
    publisher = Publisher()
    publisher.save(tmp_path / "a", {"step": 1})
    (tmp_path / "last").symlink_to("a")
    publisher.save(tmp_path / "last", {"step": 2})
    assert waypost.load(prefix_of(tmp_path / "a")) == {"step": 1}
    assert waypost.load(prefix_of(tmp_path / "last")) == {"step": 2}
    remove(tmp_path / "last")
    remove(tmp_path / "last")  # gone already
    assert os.listdir(tmp_path) == ["a"]


def test_bad_input_changes_nothing(tmp_path: Path) -> None:
    publisher = Publisher()
    (tmp_path / "file").write_text("not ours")
    with pytest.raises(waypost.AlreadyExistsError, match="file"):
        publisher.save(tmp_path / "file", {"step": 1})
    with pytest.raises(waypost.InvalidArgumentError, match=r"tree\['mode'\]: a builtins.object"):
        publisher.save(tmp_path / "a", {"mode": object()})
    assert os.listdir(tmp_path) == ["file"]


def test_leftovers_of_a_save_that_was_cut_off_are_cleared(tmp_path: Path) -> None:
    (tmp_path / ".a.part").mkdir()
    (tmp_path / ".a.part" / "state.index.tmp").write_bytes(b"torn")
    Publisher().save(tmp_path / "a", {"step": 1}, fill=lambda directory: Path(directory, "config").touch())
    assert os.listdir(tmp_path) == ["a"]
    assert "config" in os.listdir(tmp_path / "a")
    assert "state.index.tmp" not in os.listdir(tmp_path / "a")


@pytest.mark.parametrize("is_there", [False, True])
def test_of_two_that_save_there_one_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_there: bool) -> None:
    """At every moment of the other's save: while it fills the directory, saves, and gives it its name."""
    weights = torch.arange(LARGE, dtype=torch.float32)
    refused = 0

    def fill(directory: str) -> None:
        Path(directory, "more.txt").write_text("first")

    def try_other(*_: Any) -> None:
        nonlocal refused
        with pytest.raises(waypost.AbortedError, match=r"save .*/a: it is being saved by another"):
            Publisher(other).save(tmp_path / "a", {"w": torch.zeros(3)}, fill=lambda directory: 1 / 0)
        refused += 1

    with slow_engine() as engine, Engine() as other:
        if is_there:
            Publisher(other).save(tmp_path / "a", {"w": torch.zeros(3)})
        first = Publisher(engine)
        first.save(tmp_path / "a", {"w": weights}, borrowed={weights.data_ptr()}, fill=fill, wait=False)
        try_other()
        first.settle()
        first.save(tmp_path / "a", {"w": weights}, fill=lambda directory: (fill(directory), try_other()))
        monkeypatch.setattr(
            _publisher, "_publish", lambda *paths, publish=_publisher._publish: (try_other(), publish(*paths))
        )
        first.save(tmp_path / "a", {"w": weights}, fill=fill)
        assert refused == 3
        monkeypatch.undo()
        assert torch.equal(waypost.load(prefix_of(tmp_path / "a"))["w"], weights)
        assert (tmp_path / "a" / "more.txt").read_text() == "first"
        Publisher(other).save(tmp_path / "a", {"w": torch.zeros(3)})
        assert torch.equal(waypost.load(prefix_of(tmp_path / "a"))["w"], torch.zeros(3))
    assert os.listdir(tmp_path) == ["a"]


def test_the_lock_of_a_killed_save_is_none(tmp_path: Path) -> None:
    (tmp_path / ".a.lock").write_bytes(b"")
    Publisher().save(tmp_path / "a", {"w": torch.zeros(3)})
    assert os.listdir(tmp_path) == ["a"]


def test_no_hidden_name_is_one_that_lightning_takes_for_a_checkpoint(tmp_path: Path) -> None:
    # Lightning goes on from the highest number in names with "ckpt_" in them; left-overs must not count.
    seen: set[str] = set()
    path = tmp_path / "hpc_ckpt_1.ckpt"
    Publisher().save(path, {"step": 1}, fill=lambda directory: seen.update(os.listdir(tmp_path)))
    hidden = {_publisher._hidden(str(path), what) for what in ("part", "lock", "removed")}
    assert {str(tmp_path / name) for name in seen} == {_publisher._hidden(str(path), what) for what in ("part", "lock")}
    assert not [name for name in hidden if "ckpt_" in os.path.basename(name)]
    assert _publisher._hidden("/d/epoch=1.ckpt", "part") == "/d/.epoch=1.ckpt.part"


def test_a_save_that_fails_gives_the_path_free(tmp_path: Path) -> None:
    publisher = Publisher()
    with pytest.raises(ZeroDivisionError):
        publisher.save(tmp_path / "a", {"w": torch.zeros(3)}, fill=lambda directory: 1 / 0)
    publisher.save(tmp_path / "a", {"w": torch.zeros(3)})
    assert os.listdir(tmp_path) == ["a"]


def test_a_damaged_leftover_is_cleared(tmp_path: Path) -> None:
    part = tmp_path / ".a.part"
    part.mkdir()
    (part / "state.index").write_bytes(b"no index")
    Publisher().save(tmp_path / "a", {"w": torch.zeros(3)})
    assert os.listdir(tmp_path) == ["a"]
    assert not any(found.damage for found in waypost.verify(prefix_of(tmp_path / "a")))


def test_an_optimizer_s_memory_is_what_its_step_changes() -> None:
    model = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.BatchNorm1d(2))
    optimizer = torch.optim.Adam(model.parameters())
    model(torch.ones(4, 3)).sum().backward()
    optimizer.step()
    tree = {"model": model.state_dict(), "optimizer": optimizer.state_dict()}
    flat = flattened(tree, optimizer_memory([optimizer]))
    theirs = {leaf.name for leaf in flat.leaves if leaf.kind == "torch"}
    ours = {leaf.name: leaf.value for leaf in flattened(tree, None).leaves}
    copied = {
        leaf.name for leaf in flat.leaves if leaf.name in theirs and leaf.value.data_ptr() != ours[leaf.name].data_ptr()
    }
    assert copied == {"model/1.running_mean", "model/1.running_var", "model/1.num_batches_tracked"}
