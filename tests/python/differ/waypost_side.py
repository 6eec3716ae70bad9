"""Runs a command on Waypost, by the program saver_driver."""
import json
import subprocess

from judge_common import BIN


class WaypostSide:
    def __init__(self, log):
        self.log = log  # what the program says besides its answers
        self.process = None

    def do(self, command):
        """{"ok": result} or {"error": {"code", "message"}}."""
        if not self.process:
            self.process = subprocess.Popen([BIN / "saver_driver"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                            stderr=self.log)
        self.process.stdin.write(json.dumps(command).encode() + b"\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise AssertionError(f"saver_driver ended, status {self.process.wait()}: {command}")
        return json.loads(line)

    def stop(self):
        """A new process does the next command."""
        if self.process:
            self.process.stdin.close()
            self.process.stdout.close()
            self.process.wait()
            self.process = None
