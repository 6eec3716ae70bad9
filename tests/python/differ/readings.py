"""What is read otherwise; the reasons stand in differences.py."""
import re

from .difference import V1_SHARDS, Difference
from .trees import REAL_TIME_MIN, checkpoints


class NotUtf8(Difference):
    def is_expected(self, run, command):
        if command["op"] not in ["get_checkpoint_state", "latest_checkpoint"]:
            return False
        file = run.absolute(command["directory"]) + "/" + (command["latest_filename"] or "checkpoint")
        return b"\xe9" in (run.files.get(file) or b"")

    def settle(self, run, command, answers):
        told = answers["tensorflow"].get("error", {}).get("class")
        if told != "UnicodeDecodeError" or "ok" not in answers["waypost"]:
            return "TensorFlow does not decode it, Waypost reads it"
        answers["tensorflow"] = answers["waypost"]
        return True


class Directories(Difference):
    def is_expected(self, run, command):
        paths = command["paths"] if "paths" in command else [command.get("path")]
        functions = ["checkpoint_exists", "get_checkpoint_mtimes", "recover_last_checkpoints", "remove_checkpoint"]
        return command["op"] in functions and command.get("version") != 2 and any(
            run.absolute(path) + "/" in {*run.files, "{root}/"} and run.absolute(path) + ".index" not in run.files
            for path in paths)

    def settle(self, run, command, answers):
        if command["op"] == "recover_last_checkpoints":
            run.ended = True
            return True
        if command["op"] in ["checkpoint_exists", "remove_checkpoint"]:
            is_right = answers["waypost"] == {"ok": {"checkpoint_exists": False}.get(command["op"])}
        else:
            is_right = all(time < REAL_TIME_MIN for time in answers["waypost"]["ok"])
            answers["tensorflow"]["ok"] = [time for time in answers["tensorflow"]["ok"] if time < REAL_TIME_MIN]
        if not is_right:
            return "Waypost takes no directory for a checkpoint"
        if command["op"] in ["checkpoint_exists", "remove_checkpoint"]:
            answers["tensorflow"] = answers["waypost"]
        return True


class GlobCharacters(Difference):
    CHARACTERS = re.compile(r"[][?*\\]")

    def path(self, run, command):
        if command["op"] == "latest_checkpoint":
            state = run.tell("tensorflow", {**command, "op": "get_checkpoint_state"}).get("ok")
            return state["model_checkpoint_path"] if state else ""
        return command["path"]

    def is_expected(self, run, command):
        if command["op"] == "remove_checkpoint":  # of format V2; shards of V1 are what the pattern is for
            return command["version"] == 2 and self.CHARACTERS.search(command["path"])
        if command["op"] not in ["checkpoint_exists", "latest_checkpoint", "restore"]:
            return False
        return self.CHARACTERS.search(V1_SHARDS.sub("", self.path(run, command)))

    def settle(self, run, command, answers):
        if command["op"] == "remove_checkpoint":
            files = [run.without_shard_counts(tree.files()).keys() for tree in run.trees.values()]
            run.ended = files[0] != files[1]
            return run.ended if files[0] <= files[1] else "Waypost removes what has this name"
        path = self.path(run, command)
        there = {run.absolute(path), run.absolute(path) + ".index"} & {*run.files, *checkpoints(run.files)} != set()
        if command["op"] == "restore":
            if ("ok" in answers["waypost"]) != there:
                return "Waypost restores what is there by this name"
            run.ended = answers["tensorflow"].keys() != answers["waypost"].keys()
            return run.ended
        if answers["waypost"] != {"ok": there if command["op"] == "checkpoint_exists" else path if there else None}:
            return "Waypost finds what is there by this name"
        shown = answers["tensorflow"] != answers["waypost"]
        answers["tensorflow"] = answers["waypost"]
        return shown
