"""Which files stay or come, and what the state file says; the reasons stand in differences.py."""
import posixpath
import re
import shutil

from .difference import Difference, counted, is_v1, meta_graph, saved_prefix, waypost_meta_graph
from .tensorflow_side import parse_state
from .trees import DATA, prefix_of


class MissingDirectories(Difference):
    def is_expected(self, run, command):
        if command["op"] != "save" or not run.tensors(command["saver"]):
            return False
        directory, missing = posixpath.dirname(saved_prefix(run, command)), 0
        while directory not in ["{root}", ""] and directory + "/" not in run.files:
            directory, missing = posixpath.dirname(directory), missing + 1
        makes = 0 if run.savers[command["saver"]].get("sharded") or is_v1(run, command) else 1
        return missing > makes

    def settle(self, run, command, answers):
        if "error" in answers["waypost"]:
            return False
        if "doesn't exist, can't save" not in answers["tensorflow"].get("error", {}).get("message", ""):
            return "TensorFlow misses the directory"
        directory = posixpath.dirname(saved_prefix(run, command))
        run.trees["tensorflow"].real(directory).mkdir(parents=True)
        answers["tensorflow"] = run.tell("tensorflow", command)
        return True


class FailedSave(Difference):
    def is_expected(self, run, command):
        return command["op"] == "save"

    def settle(self, run, command, answers):
        if "error" not in answers["tensorflow"] or "error" not in answers["waypost"]:
            return False
        left = {side: tree.files().keys() - run.real_files[side] for side, tree in run.trees.items()}
        if left["waypost"]:
            return f"Waypost leaves nothing: {left['waypost']}"
        for path in left["tensorflow"]:
            run.trees["tensorflow"].remove(path)
        if is_v1(run, command) and answers["waypost"]["error"]["code"] == "Unimplemented":
            # A dtype that the format does not have; TensorFlow may have met another error before.
            answers["tensorflow"] = {"error": {"class": "UnimplementedError"}}
        return bool(left["tensorflow"])


class MetaGraphOfShards(Difference):
    def is_expected(self, run, command):
        prefix = saved_prefix(run, command)
        return (prefix and is_v1(run, command) and run.savers[command["saver"]].get("sharded") and
                re.search(r"-[\d?]+-of-\d+$", prefix) and command["options"].get("write_meta_graph", True))

    def settle(self, run, command, answers):
        if "ok" not in answers["waypost"]:
            return False
        tree = run.trees["tensorflow"]
        written = tree.real(meta_graph(saved_prefix(run, command), command))
        written.rename(tree.real(waypost_meta_graph(run, command)))
        return True


class RewrittenCheckpoint(Difference):
    def is_expected(self, run, command):
        prefix = saved_prefix(run, command)
        return prefix and not is_v1(run, command) and any(
            path == f"{prefix}.index" or (DATA.fullmatch(path) or [None, None])[1] == prefix or path == f"{prefix}.data"
            for path in run.files)

    def settle(self, run, command, answers):
        prefix = saved_prefix(run, command)
        if "ok" not in answers["waypost"]:
            return False
        counts = {}
        for path in run.trees["waypost"].files():
            if (data := DATA.fullmatch(path)) and data[1] == prefix:
                counts[data[2]] = counts.get(data[2], 0) + 1
        if f"{prefix}.index" in run.files and [int(count) for count in counts] != list(counts.values()):
            return f"Waypost has one whole set of data files: {counts}"
        run.rewritten.add(prefix)
        return True


class RewrittenMetaGraph(Difference):
    def is_expected(self, run, command):
        prefix = saved_prefix(run, command)
        if not prefix or command["options"].get("write_meta_graph", True):
            return False
        return waypost_meta_graph(run, command) in run.files

    def settle(self, run, command, answers):
        meta = waypost_meta_graph(run, command)
        if "ok" not in answers["waypost"]:
            return False
        if meta in run.trees["waypost"].files():
            return "Waypost removes the meta graph"
        shown = meta in run.trees["tensorflow"].files()  # Else retention has removed it just now.
        run.trees["tensorflow"].remove(meta)
        return shown


class StatePaths(Difference):
    """A state file whose paths lead elsewhere in TensorFlow, and to the checkpoints in Waypost."""

    def told(self, run, command):
        """The state file, whether its paths are relative, and the paths."""
        if command["op"] == "update_checkpoint_state":
            def spelled(path):
                if not command["save_relative_paths"] or not path.startswith("{root}"):
                    return path
                return posixpath.relpath(path, run.absolute(command["directory"]))
            paths = command["all_paths"]
            if not paths or spelled(paths[-1]) != spelled(command["path"]):
                paths = [*paths, command["path"]]
            return (command["directory"], command["latest_filename"] or "checkpoint", command["save_relative_paths"],
                    paths)
        if command["op"] == "save" and command["options"].get("write_state", True):
            return (posixpath.dirname(command["path"]), command["options"].get("latest_filename", "checkpoint"),
                    run.savers[command["saver"]].get("save_relative_paths", False), counted(run, command)[1])
        return None

    def settle(self, run, command, answers):
        directory, name, is_relative, paths = self.told(run, command)
        if any("ok" not in answer for answer in answers.values()):
            return False
        directory = run.absolute(directory)
        paths = [run.absolute(path) for path in paths]
        if is_relative:
            paths = [posixpath.relpath(path, directory) for path in paths]
        texts = [tree.read(f"{directory}/{name}") for tree in run.trees.values()]
        state = parse_state(texts[1])
        listed = [posixpath.normpath(path) for path in [*state.all_model_checkpoint_paths, state.model_checkpoint_path]]
        if listed != [*paths, paths[-1]]:
            return f"Waypost lists {paths}, not {texts[1]}"
        run.trees["tensorflow"].write(f"{directory}/{name}", texts[1])
        return texts[0] != texts[1]


class RelativeBesideAbsolute(StatePaths):
    def is_expected(self, run, command):
        told = self.told(run, command)
        return (told and command["op"] == "save" and told[0].startswith("{root}") and
                not all(path.startswith("{root}") for path in told[3]))


class RelativeTwice(StatePaths):
    def is_expected(self, run, command):
        told = self.told(run, command)
        return (told and told[2] and not told[0].startswith("{root}") and
                any(path.startswith("{root}") for path in told[3]))


class CountedTwice(Difference):
    def is_expected(self, run, command):
        if command["op"] != "save" or not command["options"].get("write_state", True):
            return False
        gone, paths = counted(run, command)
        return gone and run.absolute(gone[0]) in map(run.absolute, paths)

    def settle(self, run, command, answers):
        prefix = run.absolute(counted(run, command)[0][0])
        if "ok" not in answers["waypost"]:
            return False
        files = [tree.files().keys() for tree in run.trees.values()]
        meta = meta_graph(prefix, command)
        lost = {path for path in run.real_files["tensorflow"] - files[0] if path == meta or prefix_of(path) == prefix}
        if not lost:
            return False  # It is one of those that stay for ever.
        kept = {path for path in files[1] - files[0] if path == meta or prefix_of(path) == prefix}
        if lost != {meta} and not kept & lost - {meta}:
            return f"Waypost keeps what TensorFlow deletes: {lost}"
        for path in kept:
            shutil.copy2(run.trees["waypost"].real(path), run.trees["tensorflow"].real(path))
        return bool(kept)


class OtherFormat(Difference):
    def is_expected(self, run, command):
        if command["op"] != "save" or not command["options"].get("write_state", True):
            return False
        gone, paths = counted(run, command)
        if not gone or run.absolute(gone[0]) in map(run.absolute, paths):
            return False
        return (f"{run.absolute(gone[0])}.index" in run.files) == is_v1(run, command)

    def settle(self, run, command, answers):
        prefix = run.absolute(counted(run, command)[0][0])
        if "ok" not in answers["waypost"]:
            return False
        files = [tree.files().keys() for tree in run.trees.values()]
        left = {path for path in files[0] - files[1] if prefix_of(path) == prefix}
        for path in left:
            run.trees["tensorflow"].remove(path)
        return bool(left)
