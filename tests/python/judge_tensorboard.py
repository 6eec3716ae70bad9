"""TensorBoard, opened in Chromium on the demonstration's logs, shows its curves, its histograms and its graph.

One run goes straight through, the other is killed and resumed, as tools/demo.sh has them.  What is judged is the
page itself, after TensorBoard's own answers; the screenshots are kept.
"""
import http.client
import json
import re
import subprocess
import sys
import time
import unittest
import urllib.parse

from chromium import DEADLINE_S, POLL_S, Browser, program, stop
from judge_common import fresh, run
from judge_train import STEPS, STEPS_PER_SUMMARY, train_killed_and_resumed

RUNS = ["killed/graphs", "straight/graphs"]
SCALARS = ["summaries/accuracy", "summaries/loss"]
HISTOGRAM = "summaries/histogram_loss"
SUMMARIES = STEPS // STEPS_PER_SUMMARY
HISTOGRAMS_DRAWN = 51  # TensorBoard takes a sample

SETTINGS = "deep('button[aria-label=\"Toggle settings side pane\"]')[0]"
# Of each card its tag and, for every curve, the heights of its points on the screen.
CURVES = """
deep('scalar-card').map((card) => [
  card.querySelector('tb-truncated-path').textContent,
  [...card.querySelectorAll('line-chart path')].filter((path) => path.style.strokeWidth)
      .map((path) => path.getAttribute('d').split(/[ML]/).slice(1).map((point) => Number(point.split(',')[1])))])
"""
# Of each chart its tag, its run, and the boxes of its histograms.
HISTOGRAM_CHARTS = """
deep('tf-histogram-loader').map((chart) => [
  chart.tag, chart.run,
  deep('path.outline', chart.shadowRoot).map((path) => path.getBoundingClientRect().toJSON())])
"""
HISTOGRAM_CARDS = "deep('histogram-card').map((card) => card.querySelectorAll('.histogram path').length)"
# Of each node of the graph its name, whether it is a scope, and its box.
NODES = """
deep('g.node, g.annotation').map((node) => [
  node.dataset.name, node.classList.contains('meta'), node.getBoundingClientRect().toJSON()])
"""


class Server:
    """TensorBoard on a port of its own choice."""

    def __init__(self, logdir, directory):
        self.log = directory / "tensorboard.log"
        command = [sys.executable, "-m", "tensorboard.main", "--logdir", str(logdir), "--host", "127.0.0.1",
                   "--port", "0"]
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            start_new_session=True)
        try:
            self.port = self.wait_for(self._told_port, "TensorBoard tells no port")
        except AssertionError:
            self.close()
            raise

    def close(self):
        stop(self.process)

    def wait_for(self, look, complaint):
        """Waits until look() is not None, and returns it."""
        deadline = time.monotonic() + DEADLINE_S
        while (seen := look()) is None:
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(f"{complaint}: {self.log.read_text()[-2000:]}")
            time.sleep(POLL_S)
        return seen

    def _told_port(self):
        told = re.search(r" at http://127\.0\.0\.1:(\d+)/", self.log.read_text())
        return told and int(told[1])

    def get(self, path, **query):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=DEADLINE_S)
        try:
            connection.request("GET", f"/data/{path}?{urllib.parse.urlencode(query)}")
            return json.loads(connection.getresponse().read())
        finally:
            connection.close()

    def has_loaded(self):
        """Whether both runs are read to their ends; None if not."""
        steps = [self.get("plugin/scalars/scalars", run=run, tag=tag)[-1][1]
                 for run, tags in self.get("plugin/scalars/tags").items() for tag in tags]
        return True if steps == [STEPS - STEPS_PER_SUMMARY] * 4 else None


class TensorBoard(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        program()  # if it is not there, nothing else need be made
        directory = fresh("board")
        run("train_digits", "--dir", fresh("board/demo/straight"), "--steps", STEPS)
        train_killed_and_resumed("board/demo/killed")
        cls.screenshots = fresh("screenshots")
        cls.server = Server(directory / "demo", directory)
        cls.addClassCleanup(cls.server.close)
        cls.browser = Browser(directory, width=1280, height=1100)
        cls.addClassCleanup(cls.browser.close)
        cls.server.wait_for(cls.server.has_loaded, "TensorBoard has not read the logs")

    def open(self, dashboard):
        self.browser.open(f"http://127.0.0.1:{self.server.port}/#{dashboard}")

    def test_the_server_has_every_step_once(self):
        self.assertEqual(sorted(self.server.get("runs")), RUNS)
        for name in RUNS:
            for tag in SCALARS:
                points = self.server.get("plugin/scalars/scalars", run=name, tag=tag)
                self.assertEqual([step for _, step, _ in points], list(range(0, STEPS, STEPS_PER_SUMMARY)), (name, tag))

    def test_time_series_draws_a_curve_for_each_run(self):
        self.open("timeseries")
        self.browser.wait_for(f"Boolean({SETTINGS})")
        self.browser.evaluate(f"{SETTINGS}.click()")  # more room for the charts
        # Each run twice: as it is, and smoothed.
        whole = [SUMMARIES] * (2 * len(RUNS))
        seen = self.browser.wait_until_still(
            CURVES, lambda cards: sorted((tag, [len(curve) for curve in curves]) for tag, curves in cards) ==
            [(tag, whole) for tag in SCALARS])
        for tag, curves in seen:
            for curve in curves:  # heights count from above
                if tag == "summaries/loss":
                    self.assertGreater(curve[-1], curve[0] + 100)
                else:
                    self.assertLess(curve[-1], curve[0] - 100)
        self.browser.wait_until_still(HISTOGRAM_CARDS, lambda counts: counts == [HISTOGRAMS_DRAWN] * len(RUNS))
        self.browser.screenshot(self.screenshots / "time_series.png")

    def test_histograms_are_drawn_for_each_run(self):
        self.open("histograms")
        seen = self.browser.wait_until_still(
            HISTOGRAM_CHARTS, lambda charts: sorted([tag, name, len(boxes)] for tag, name, boxes in charts) ==
            [[HISTOGRAM, name, HISTOGRAMS_DRAWN] for name in RUNS])
        for _, name, boxes in seen:
            for box in boxes:
                self.assertGreater(min(box["width"], box["height"]), 1, name)
        self.browser.screenshot(self.screenshots / "histograms.png")

    def test_the_graph_has_its_scopes_as_nodes(self):
        self.open("graphs")
        scopes = {"hidden", "output", "save", "global_step", "batches"}
        nodes = self.browser.wait_until_still(NODES, lambda seen: scopes <= {name for name, _, _ in seen})
        self.assertLessEqual({"loss", "accuracy", HISTOGRAM, *SCALARS}, {name for name, _, _ in nodes})
        boxes = {name: box for name, scope, box in nodes if scope}
        self.assertEqual(set(boxes), scopes)
        self.assertEqual(len({(box["x"], box["y"]) for box in boxes.values()}), len(scopes), "nodes cover each other")
        for name, box in boxes.items():
            self.assertGreater(min(box["width"], box["height"]), 10, name)
        self.browser.screenshot(self.screenshots / "graph.png")


if __name__ == "__main__":
    unittest.main()
