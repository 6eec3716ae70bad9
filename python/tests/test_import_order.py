"""TensorFlow, PyTorch and Waypost in one process, imported in every order, with and without another malloc.

TensorFlow gives its protobuf to the whole process, and Waypost's graph library has its own, opened with
RTLD_DEEPBIND; with a preloaded malloc that flag also decides whose free a pointer meets.  Each process
saves a tree, a graph with its .meta and events, and reads them back with both.

By default each order runs once, every other one under jemalloc; with WAYPOST_TEST_FULL=1 each runs both ways.
The torch that is appended to TensorFlow's environment is WAYPOST_TORCH_SITE, else that of the running Python.
"""

from __future__ import annotations

import importlib.util
import itertools
import os
import re
import subprocess
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from ctypes.util import find_library
from pathlib import Path

import pytest
import waypost

NAMES = ("tensorflow", "torch", "waypost")
ORDERS = list(itertools.permutations(NAMES))
IS_FULL = bool(os.environ.get("WAYPOST_TEST_FULL"))
CASES = [
    (order, preload)
    for i, order in enumerate(ORDERS)
    for preload in (("", "jemalloc") if IS_FULL else (("", "jemalloc")[i % 2],))
]

PROGRAM = """
import importlib, pathlib
sys.path.append(sys.argv[2])
directory = pathlib.Path(sys.argv[1])
for name in sys.argv[3].split(","):
    importlib.import_module(name)
import numpy, tensorflow.compat.v1 as tf, torch, waypost
from waypost import summary, train
from waypost.torch.graph import graph_of

tree = {"w": torch.arange(5.0), "n": numpy.ones(3), "step": 1}
waypost.save(directory / "tree", tree)
into = {"w": torch.zeros(5), "n": numpy.zeros(3), "step": 0}
assert waypost.restore(directory / "tree", into)["step"] == 1 and torch.equal(into["w"], tree["w"])

train.Variable(numpy.arange(3, dtype=numpy.float32), name="v")
loss = train.placeholder("float32", name="loss")
summary.scalar("loss", loss)
merged = summary.merge_all()
saver = train.Saver()
with train.Session() as sess, summary.FileWriter(directory / "logs", sess.graph) as writer:
    writer.add_summary(sess.run(merged, {loss: 0.5}), 1)
    writer.add_graph(graph_of(torch.nn.Linear(2, 2), torch.ones(1, 2)))
    saver.save(sess, str(directory / "m"))
for _ in range(50):  # memory goes to and fro between the libraries
    content = train.export_meta_graph().SerializeToString()
    train.MetaGraphDef.FromString(content).graph_def.nodes()
try:
    train.GraphDef.FromString(b"node { na")  # an error thrown across
except waypost.InvalidArgumentError:
    pass
else:
    raise AssertionError("text that is no graph was parsed")

with tf.Graph().as_default(), tf.Session() as sess:
    theirs = tf.train.import_meta_graph(str(directory / "m.meta"))
    theirs.restore(sess, str(directory / "m"))
    assert sess.run("v/Read/ReadVariableOp:0").tolist() == [0, 1, 2]
    path = train.Saver().save(sess, str(directory / "back"))
with train.Graph().as_default(), train.Session() as sess:
    train.import_meta_graph(f"{path}.meta").restore(sess, path)
    assert sess.run(train.global_variables()[0]).tolist() == [0, 1, 2]
(log,) = (directory / "logs").iterdir()
kinds = [event.WhichOneof("what") for event in tf.train.summary_iterator(str(log))]
assert kinds == [event.kind for event in train.summary_iterator(log)], kinds
assert len(kinds) == 5
print("done")
"""


@pytest.fixture(scope="module")
def runs(
    tensorflow: Callable[..., str], tmp_path_factory: pytest.TempPathFactory
) -> dict[tuple[tuple[str, ...], str], Future[str]]:
    """All of them, as many at once as there are cores to import with."""
    site = os.environ.get("WAYPOST_TORCH_SITE")
    if site is None:
        spec = importlib.util.find_spec("torch")
        if spec is None or spec.origin is None:
            pytest.skip("no PyTorch: WAYPOST_TORCH_SITE names the site-packages that have it")
        site = str(Path(spec.origin).parents[1])
    jemalloc = find_library("jemalloc")
    pool = ThreadPoolExecutor(2)
    found: dict[tuple[tuple[str, ...], str], Future[str]] = {}
    for order, preload in CASES:
        if preload and jemalloc is None:
            continue
        directory = tmp_path_factory.mktemp("order")
        environment = {"LD_PRELOAD": str(jemalloc)} if preload else {}
        found[order, preload] = pool.submit(tensorflow, PROGRAM, directory, site, ",".join(order), **environment)
    return found


@pytest.mark.parametrize(("order", "preload"), CASES, ids=["-".join([*order, preload]) for order, preload in CASES])
def test_saves_graphs_and_events(
    order: tuple[str, ...], preload: str, runs: dict[tuple[tuple[str, ...], str], Future[str]]
) -> None:
    if (order, preload) not in runs:
        pytest.skip("no libjemalloc (Debian: libjemalloc2)")
    assert runs[order, preload].result().splitlines()[-1] == "done"


def test_graph_library_takes_memory_from_operator_new_only() -> None:
    """Whoever replaces malloc, libstdc++'s operator new and delete end at the malloc that libstdc++ itself
    was bound to, and so does a preloaded operator new.  A call of malloc or free in the library would be
    bound to libc's by RTLD_DEEPBIND.
    """
    library = next(Path(waypost.__file__).parent.glob("libwaypost_graph.so"))
    listed = subprocess.run(["nm", "-D", "--undefined-only", library], capture_output=True, text=True, check=False)
    if listed.returncode != 0:
        pytest.skip(f"nm: {listed.stderr}")
    names = set(re.findall(r" U (\w+)", listed.stdout))
    assert names & {"_Znwm", "_ZdlPvm", "_ZdlPv"}
    assert not names & {
        "malloc", "free", "calloc", "realloc", "posix_memalign", "aligned_alloc", "strdup", "strndup",
        "getline", "asprintf", "vasprintf", "realpath",
    }  # fmt: skip


def test_the_module_itself_has_no_protobuf() -> None:
    module = next(Path(waypost.__file__).parent.glob("_native*.so"))
    listed = subprocess.run(["nm", "-D", module], capture_output=True, text=True, check=False)
    if listed.returncode != 0:
        pytest.skip(f"nm: {listed.stderr}")
    assert "google8protobuf" not in listed.stdout
