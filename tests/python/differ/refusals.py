"""What Waypost refuses and TensorFlow takes; the reasons stand in differences.py."""
import posixpath

from .difference import V1_SHARDS, Difference, is_v1, meta_graph, saved_prefix
from .tensorflow_side import stored_tensors
from .trees import DATA
from .variables import all_parts


class OtherShape(Difference):
    def is_expected(self, run, command):
        if command["op"] != "restore" or run.savers[command["saver"]].get("reshape"):
            return False
        stored = stored_tensors(run.checkpoint_path(command))
        wanted = run.tensors(command["saver"])
        if any(stored.get(key, (None,))[0] != parts[0]["dtype"] for key, parts in wanted.items()):
            return False
        differing = {"whole" not in parts[0] and parts[0]["resource"] for key, parts in wanted.items()
                     if stored[key][1] != parts[0].get("whole_shape", parts[0]["shape"])}
        return differing == {True}

    def settle(self, run, command, answers):
        if "error" in answers["tensorflow"]:
            return False  # It has more errors.
        if answers["waypost"].get("error", {}).get("code") != "InvalidArgument":
            return "Waypost refuses the shape"
        answers["tensorflow"] = {"error": {"class": "InvalidArgumentError"}}
        return True


class RefusedNames(Difference):
    def is_expected(self, run, command):
        prefix = saved_prefix(run, command)
        if not prefix:
            return False
        base, options = posixpath.basename(prefix), command["options"]
        latest, suffix = options.get("latest_filename", "checkpoint"), options.get("meta_graph_suffix", "meta")
        data = DATA.fullmatch(latest)
        return (suffix in ["", "index"] or "/" in suffix or DATA.fullmatch(f"m.{suffix}") or
                latest in [".", "..", f"{base}.index", posixpath.basename(meta_graph(prefix, command))] or
                data and data[1] == base or "global_step" not in options and base == latest)

    def settle(self, run, command, answers):
        if answers["waypost"].get("error", {}).get("code") not in ["InvalidArgument", "FailedPrecondition"]:
            return "Waypost refuses the name"
        if run.trees["waypost"].files().keys() != run.real_files["waypost"]:
            return "Waypost changes nothing"
        run.ended = True
        return True


class NoFileName(Difference):
    def is_expected(self, run, command):
        return (command["op"] in ["save", "remove_checkpoint"] and "global_step" not in command.get("options", {}) and
                posixpath.basename(command["path"]) in ["", ".", ".."])

    def settle(self, run, command, answers):
        if command["op"] == "save" and not run.tensors(command["saver"]):
            return False
        if "ok" in answers["waypost"]:
            return "Waypost refuses the path"
        run.ended = True
        return "ok" in answers["tensorflow"]


class EmptyUnset(Difference):
    def is_expected(self, run, command):
        if command["op"] != "save":
            return False
        parts = [part for parts in run.tensors(command["saver"]).values() for part in parts]
        return parts and not run.is_set and all(0 in part["shape"] and not part["resource"] for part in parts)

    def settle(self, run, command, answers):
        if "error" in answers["tensorflow"]:
            return False  # It has more errors.
        if answers["waypost"].get("error", {}).get("code") != "FailedPrecondition":
            return "Waypost refuses"
        run.ended = True
        return True


class NegativeMaxToKeep(Difference):
    def is_expected(self, run, command):
        return command["op"] == "new_saver" and (command["options"].get("max_to_keep") or 0) < 0

    def settle(self, run, command, answers):
        if "error" in answers["tensorflow"]:
            return False  # It has more errors.
        if answers["waypost"].get("error", {}).get("code") != "InvalidArgument":
            return "Waypost does not take it"
        run.sides["tensorflow"].savers.pop(command["saver"])
        answers["tensorflow"] = {"error": {"class": "ValueError"}}
        return True


class SavedTwice(Difference):
    def is_expected(self, run, command):
        if command["op"] != "new_saver" or command["options"].get("defer_build"):
            return False
        values = command["options"].get("var_list", {}).get("map", {}).values()
        parts = [part["name"] for value in values for part in all_parts(run.variables)
                 if part["name"] in ([value] if isinstance(value, str) else value) or part.get("whole") == value]
        return len(parts) > len(set(parts))

    settle = NegativeMaxToKeep.settle


class V1OverV2(Difference):
    def is_expected(self, run, command):
        prefix = saved_prefix(run, command)
        return (prefix and is_v1(run, command) and f"{prefix}.index" in run.files and
                not run.savers[command["saver"]].get("sharded"))

    def settle(self, run, command, answers):
        if "error" in answers["tensorflow"]:
            return False
        if answers["waypost"].get("error", {}).get("code") != "FailedPrecondition":
            return "Waypost refuses"
        run.ended = True
        return True


class IncompleteShards(Difference):
    def is_expected(self, run, command):
        if command["op"] != "restore" or not (shards := V1_SHARDS.search(command["path"])):
            return False
        count = int(shards[0][-5:])
        begin = V1_SHARDS.sub("", run.absolute(command["path"]))
        there = [number for number in range(count) if f"{begin}-{number:05d}-of-{count:05d}" in run.files]
        return 0 < len(there) < count

    def settle(self, run, command, answers):
        if answers["waypost"].get("error", {}).get("code") not in ["NotFound", "DataLoss"]:
            return "Waypost misses the file"
        shown = "ok" in answers["tensorflow"]
        answers["tensorflow"] = {"error": {"class": "NotFoundError"}}
        return shown
