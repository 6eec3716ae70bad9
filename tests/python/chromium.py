"""Chromium without a screen, driven by its DevTools protocol over a pair of pipes.

The pipes (file descriptors 3 and 4 of the browser, messages in JSON that end with a zero byte) need no port and
no package, and no driver that must fit the browser's version; when they close, the browser ends by itself.
"""
import base64
import fcntl
import json
import os
import pathlib
import select
import shutil
import signal
import subprocess
import time

DEADLINE_S = 180
POLL_S = 0.1
# Elements of the page that fit a selector, also those inside shadow roots.
DEEP_SELECTOR = """
window.deep = (selector, root = document) => [
  ...root.querySelectorAll(selector),
  ...[...root.querySelectorAll('*')].filter((e) => e.shadowRoot).flatMap((e) => deep(selector, e.shadowRoot))];
"""
# Without WebGL TensorBoard draws its curves as SVG, which a test can read.  Nothing but this machine is reached.
OPTIONS = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-3d-apis", "--disable-dev-shm-usage",
           "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync",
           "--disable-extensions", "--no-proxy-server", "--hide-scrollbars", "--remote-debugging-pipe",
           "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"]


def stop(process):
    """Ends a process that leads its own session, with all that it started."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    process.wait()


def program():
    """Where Chromium is; tools/install.sh --for-tests installs it."""
    found = shutil.which("chromium")
    if found is None:
        raise AssertionError("there is no chromium on the path: tools/install.sh --for-tests installs it")
    return found


class Browser:
    """One page of a fresh Chromium; its profile and its log are in `directory`."""

    def __init__(self, directory, width=1280, height=800):
        self.number, self.buffer, self.session = 0, b"", None
        self.log = directory / "chromium.log"
        to_browser, self.write_fd = self._pipe()
        self.read_fd, from_browser = self._pipe()
        # The shell puts the pipes where the browser looks for them.
        command = ["bash", "-c", f'exec "$0" "$@" 3<&{to_browser} 4>&{from_browser}', program(), *OPTIONS,
                   f"--user-data-dir={directory / 'profile'}", f"--window-size={width},{height}", "about:blank"]
        environment = os.environ | {"HOME": str(directory)}
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment,
                                            pass_fds=(to_browser, from_browser), start_new_session=True)
        os.close(to_browser)
        os.close(from_browser)
        try:
            self._attach(width, height)
        except BaseException:
            self.close()
            raise

    def _attach(self, width, height):
        """Takes the browser's first page."""
        page = next(target for target in self.call("Target.getTargets")["targetInfos"] if target["type"] == "page")
        self.session = self.call("Target.attachToTarget", targetId=page["targetId"], flatten=True)["sessionId"]
        self.call("Page.enable")
        self.call("Page.addScriptToEvaluateOnNewDocument", source=DEEP_SELECTOR)
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)

    @staticmethod
    def _pipe():
        """A pipe whose descriptors are clear of 3 and 4."""
        low = os.pipe()
        high = tuple(fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 10) for fd in low)
        for fd in low:
            os.close(fd)
        return high

    def close(self):
        stop(self.process)
        os.close(self.read_fd)
        os.close(self.write_fd)

    def _send(self, request):
        data = json.dumps(request).encode() + b"\0"
        try:
            while data:
                data = data[os.write(self.write_fd, data):]
        except BrokenPipeError:
            raise AssertionError(f"Chromium has ended, see {self.log}") from None

    def _message(self, deadline):
        while b"\0" not in self.buffer:
            if not select.select([self.read_fd], [], [], max(0, deadline - time.monotonic()))[0]:
                raise AssertionError(f"Chromium has not answered for {DEADLINE_S} s, see {self.log}")
            piece = os.read(self.read_fd, 1 << 20)
            if not piece:
                raise AssertionError(f"Chromium has ended, see {self.log}")
            self.buffer += piece
        message, self.buffer = self.buffer.split(b"\0", 1)
        return json.loads(message)

    def call(self, method, **parameters):
        """One call of the protocol; its result."""
        self.number += 1
        request = {"id": self.number, "method": method, "params": parameters}
        self._send(request | {"sessionId": self.session} if self.session else request)
        deadline = time.monotonic() + DEADLINE_S
        while (message := self._message(deadline)).get("id") != self.number:
            pass  # an event
        if "error" in message:
            raise AssertionError(f"{method}: {message['error']['message']}")
        return message["result"]

    def evaluate(self, expression):
        """The value of a JavaScript expression."""
        told = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in told:
            raise AssertionError(f"{expression}: {told['exceptionDetails'].get('exception', {}).get('description')}")
        return told["result"].get("value")

    def wait_for(self, expression, accept=bool):
        """Waits until the value of a JavaScript expression is accepted, and returns it."""
        deadline = time.monotonic() + DEADLINE_S
        while True:
            value = self.evaluate(expression)
            if accept(value):
                return value
            if time.monotonic() > deadline:
                raise AssertionError(f"after {DEADLINE_S} s still {repr(value)[:1000]}: {expression}")
            time.sleep(POLL_S)

    def wait_until_still(self, expression, accept):
        """The same, and nothing that the value tells of moves any more."""
        seen = []
        return self.wait_for(expression, lambda value: seen.append(value) or (accept(value) and value in seen[-2:-1]))

    def open(self, address):
        self.call("Page.navigate", url=address)
        self.wait_for("typeof deep === 'function' && document.readyState === 'complete'")

    def screenshot(self, path):
        picture = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=False)
        pathlib.Path(path).write_bytes(base64.b64decode(picture["data"]))
