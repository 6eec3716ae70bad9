"""Both sides through one sequence, compared after each command."""
import json
import os
import posixpath
import random
import re

from . import variables as variables_module
from .differences import DIFFERENCES
from .trees import DATA, Tree, checkpoints, prefix_of

START_SECONDS = 1e9
NUMBER = re.compile(r"(_\d+)?(:0)?$")  # of a node; TensorFlow's savers have more nodes
# What each of TensorFlow's exceptions may be in Waypost.
DAMAGE = {"NotFound", "InvalidArgument", "DataLoss"}  # which of several reasons is told first is nobody's business
CODES = {
    "ValueError": {"InvalidArgument", "FailedPrecondition", "NotFound"},
    "TypeError": {"InvalidArgument"},
    "RuntimeError": {"FailedPrecondition", "InvalidArgument"},
    "NotFoundError": DAMAGE,
    "InvalidArgumentError": DAMAGE,
    "AttributeError": {"FailedPrecondition"},  # of a saver that is not built
    "FailedPreconditionError": {"FailedPrecondition", "InvalidArgument", "NotFound"},
    "UnimplementedError": {"Unimplemented", "InvalidArgument"},
    "DataLossError": DAMAGE,
    "OutOfRangeError": DAMAGE,
}


class Mismatch(Exception):
    """The sides differ, and no listed difference says so."""


class Run:
    def __init__(self, tensorflow, waypost, work):
        self.sides = {"tensorflow": tensorflow, "waypost": waypost}
        self.trees = {"tensorflow": Tree(work / "t"), "waypost": Tree(work / "w")}
        self.shown = {difference.name: 0 for difference in DIFFERENCES}

    def play(self, commands):
        """None, or what differed: (position, text)."""
        self.seconds, self.variables, self.savers, self.last = START_SECONDS, None, {}, {}
        self.rewritten, self.ended = set(), False
        for tree in self.trees.values():
            os.chdir("/")
            tree.clear()
        self.cwd = "{root}/a"  # Not the root: a path may begin with "../".
        self.both({"op": "chdir", "directory": self.cwd})
        self.both({"op": "clock", "seconds": self.seconds})
        self.files = self.compared_files()
        for position, command in enumerate(commands):
            try:
                self.step(command)
            except Mismatch as mismatch:
                return position, str(mismatch)
            if self.ended:
                break
        return None

    # ---- Commands of this file ----

    def step(self, command):
        own = getattr(self, "do_" + command["op"], None)
        if own:
            own(command)
        elif self.variables is not None and (command["op"] == "new_saver" or
                                             command.get("saver") in [None, *self.savers]):
            self.compare(self.resolve(command))

    def do_clock(self, command):
        self.seconds += command["advance"]
        self.both({"op": "clock", "seconds": self.seconds})

    def do_start(self, command):
        self.variables, self.savers, self.last, self.definitions_differ = command["variables"], {}, {}, False
        self.both(command)
        self.is_set = command.get("is_set", True)
        if self.is_set:
            self.do_set({"number": 0})

    def do_restart(self, command):
        if command["process"]:
            self.sides["waypost"].stop()
            self.both({"op": "clock", "seconds": self.seconds})
            self.both({"op": "chdir", "directory": self.cwd})
        if self.variables is not None:
            self.do_start({"op": "start", "variables": self.variables})

    def do_set(self, command):
        if self.variables is None:
            return
        self.is_set = True
        number = command["number"]
        self.both({"op": "set", "values": {variable["name"]: variables_module.value(variable, number)
                                           for variable in variables_module.all_parts(self.variables)}})

    def do_chdir(self, command):
        if command["directory"] + "/" in self.files:
            self.cwd = command["directory"]
            self.both(command)

    def do_edit(self, command):
        for tree in self.trees.values():
            tree.write(command["path"], command["text"].encode("latin-1"))
        self.files = self.compared_files()

    def do_delete(self, command):
        path = self.resolve_path(command["path"])
        for tree in self.trees.values():
            for file in tree.files():
                kind = "data" if DATA.fullmatch(file) or file == path else file.rpartition(".")[2]
                if prefix_of(file) == path and kind in command["kinds"]:
                    tree.remove(file)
        self.files = self.compared_files()

    def do_delete_file(self, command):
        for tree in self.trees.values():
            tree.remove(command["path"])
        self.files = self.compared_files()

    def do_restore_all(self, command):
        for path in checkpoints(self.files):
            self.step({**command, "op": "restore", "path": path})

    # ---- Paths ----

    def absolute(self, path):
        """The path from the root, without '.' and '..'."""
        return posixpath.normpath(path if path.startswith("{root}") else f"{self.cwd}/{path}")

    def resolve_path(self, path):
        if isinstance(path, str):
            return path
        if "latest" in path:
            return self.ask("latest_checkpoint", path["latest"]) or "{root}/none"
        there = checkpoints(self.files)
        if not there:
            return "{root}/none"
        picked = there[path["pick"] % len(there)]
        return picked if path["form"] == "absolute" else posixpath.relpath(picked, self.cwd)

    def resolve(self, command):
        command = dict(command)
        for member in ["path", "paths", "all_paths"]:
            if isinstance(command.get(member), list):
                command[member] = [self.resolve_path(path) for path in command[member]]
            elif isinstance(command.get(member), dict) and "state" in command[member]:
                state = self.ask("get_checkpoint_state", command[member]["state"])
                command[member] = state["all_model_checkpoint_paths"] if state else []
            elif member in command:
                command[member] = self.resolve_path(command[member])
        if command.get("cross"):
            for member in {"path", "directory"} & set(command):
                command[member] = self.absolute(command[member])
        return command

    def ask(self, op, directory):
        """A function of TensorFlow's, as far as it succeeds."""
        return self.tell("tensorflow", {"op": op, "directory": directory, "latest_filename": ""}).get("ok")

    def tensors(self, saver):
        """What a saver saves: {name: what is told of the variable, or of each part that goes under it}."""
        told = {part["name"]: part for part in variables_module.all_parts(self.variables)}
        var_list = self.savers[saver].get("var_list", {"list": list(told)})
        tensors = {}
        for key, value in var_list.get("map", {}).items():
            if isinstance(value, str) and value in told:  # Whole here, even if it is a part in the graph.
                tensors[key] = [{member: fact for member, fact in told[value].items()
                                 if not member.startswith("whole")}]
            else:
                tensors[key] = [told[name] for name in told if name in value or told[name].get("whole") == value]
        for part in told.values():
            if part["name"] in var_list.get("list", []) or part.get("whole") in var_list.get("list", []):
                name = self.sides["tensorflow"].variables[part["name"]].op.name
                tensors.setdefault(part.get("whole", name), []).append(part)
        return tensors

    def step_number(self, step):
        if isinstance(step, int):
            return step
        values = self.tell("tensorflow", {"op": "get"}).get("ok")
        if not values:  # It has none, so nothing will be saved.
            return 0
        value = values[step["variable"]]
        return int.from_bytes(bytes.fromhex(value), "little", signed=True)

    def checkpoint_path(self, command):
        """Where the checkpoint of a restore really is, for TensorFlow."""
        tree = self.trees["waypost" if command.get("cross") else "tensorflow"]
        return str(tree.real(self.absolute(command["path"])))

    # ---- Both sides ----

    def tell(self, side, command):
        other = {"tensorflow": "waypost", "waypost": "tensorflow"}[side] if command.get("cross") else side
        told = json.loads(json.dumps(command).replace("{root}", self.trees[other].root))
        answer = self.sides[side].do(told)
        answer = json.loads(json.dumps(answer).replace(self.trees[other].root, "{root}"))
        if command["op"] == "as_saver_def" and answer.get("ok"):
            answer["ok"] = {member: NUMBER.sub("", fact) if isinstance(fact, str) else fact
                            for member, fact in answer["ok"].items()}
        return answer

    def both(self, command):
        """For commands that cannot fail."""
        for side in self.sides:
            answer = self.tell(side, command)
            if "error" in answer:
                raise Mismatch(f"{side} cannot {command}: {answer['error']}")

    def compare(self, command):
        expected = [difference for difference in DIFFERENCES if difference.is_expected(self, command)]
        answers = {side: self.tell(side, command) for side in self.sides}
        for difference in expected:
            outcome = difference.settle(self, command, answers)
            if isinstance(outcome, str):
                raise Mismatch(f"{command}: {difference.name}: not so: {outcome}: {answers}")
            self.shown[difference.name] += outcome
            if self.ended:
                return
        self.compare_answers(command, answers["tensorflow"], answers["waypost"])
        is_done = "ok" in answers["waypost"]
        if command["op"] == "new_saver":
            self.savers.pop(command["saver"], None)
            if is_done:
                self.savers[command["saver"]] = command["options"]
            else:
                self.definitions_differ = True  # TensorFlow has used up the name's scope
        if command["op"] == "restore":
            self.compare_values(command, is_done)
        self.compare_savers(command)
        for tree in self.trees.values():
            tree.stamp(self.seconds + 0.25)
        self.files = self.compared_files()

    def compare_answers(self, command, tensorflow, waypost):
        if "ok" in tensorflow and "ok" in waypost:
            same = tensorflow["ok"] == waypost["ok"]
        else:
            same = ("error" in tensorflow and "error" in waypost and
                    waypost["error"]["code"] in CODES.get(tensorflow["error"]["class"], ()))
        if not same:
            for error in (each["error"] for each in [tensorflow, waypost] if "error" in each):
                error["message"] = error["message"][:300]
            raise Mismatch(f"{command}:\n  TensorFlow: {tensorflow}\n  Waypost:    {waypost}")

    def compare_values(self, command, is_restored):
        if not is_restored:  # What an error leaves behind is not the same.
            self.do_set({"number": random.Random(str(command)).randrange(10**6)})
            return
        values = [self.tell(side, {"op": "get"}) for side in self.sides]
        if values[0] != values[1]:
            raise Mismatch(f"{command}: other values:\n  TensorFlow: {values[0]}\n  Waypost:    {values[1]}")

    def compare_savers(self, command):
        if command["op"] in ["new_saver", "build"] and command["saver"] in self.savers and not self.definitions_differ:
            self.compare({"op": "as_saver_def", "saver": command["saver"]})
        for saver in self.savers:
            last = [self.tell(side, {"op": "last_checkpoints", "saver": saver}) for side in self.sides]
            if last[0] != last[1]:
                raise Mismatch(f"{command}: last_checkpoints of saver {saver}:\n"
                               f"  TensorFlow: {last[0]}\n  Waypost:    {last[1]}")
            self.last[saver] = last[0]["ok"]

    # ---- Files ----

    def compared_files(self):
        """The files, which must be the same; of rewritten checkpoints only one data file stands for all."""
        whole = {side: tree.files() for side, tree in self.trees.items()}
        self.real_files = {side: files.keys() for side, files in whole.items()}
        files = [self.without_shard_counts(each) for each in whole.values()]
        if files[0] != files[1]:
            told = {path: [each.get(path, "missing") for each in files] for path in sorted({**files[0], **files[1]})}
            raise Mismatch("other files, TensorFlow's and Waypost's:\n" +
                           "\n".join(f"  {path}: {first!r} {second!r}" for path, (first, second) in told.items()
                                     if first != second))
        return files[0]

    def without_shard_counts(self, files):
        def told(path):
            data = DATA.fullmatch(path)
            return f"{data[1]}.data" if data and data[1] in self.rewritten else path
        return {told(path): content for path, content in files.items()}
