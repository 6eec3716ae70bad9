"""What is common to the listed differences: their base, and what a save is about to do."""
import re

V1_SHARDS = re.compile(r"-\?{5}-of-\d{5}$")


class Difference:
    """is_expected says when it will show, before the command; settle checks it and makes the sides the same again, and
    returns whether it showed, or a text that says what is wrong."""

    @property
    def name(self):
        return type(self).__name__


def saved_prefix(run, command):
    """What a save writes; None for other commands."""
    if command["op"] != "save":
        return None
    path, options = command["path"], run.savers[command["saver"]]
    if "global_step" in command["options"]:
        step = run.step_number(command["options"]["global_step"])
        path += f"-{step:08d}" if options.get("pad_step_number") else f"-{step}"
    return run.absolute(path)


def is_v1(run, command):
    return run.savers[command["saver"]].get("write_version", 2) == 1


def counted(run, command):
    """Of a save: what it stops counting, at most one, and last_checkpoints after it."""
    path = command["path"] + saved_prefix(run, command)[len(run.absolute(command["path"])):]
    if is_v1(run, command) and run.savers[command["saver"]].get("sharded"):
        parts = [part for parts in run.tensors(command["saver"]).values() for part in parts]
        path += f"-?????-of-{len({part['device'] for part in parts}):05d}"
    kept = run.savers[command["saver"]].get("max_to_keep", 5)
    paths = [each for each in run.last[command["saver"]] if each != path] + [path]
    if not kept:
        last = run.last[command["saver"]]
        return [], last if last[-1:] == [path] else [*last, path]
    return paths[:len(paths) > kept], paths[len(paths) > kept:]


def waypost_meta_graph(run, command):
    """Of a save, where Waypost writes the meta graph."""
    prefix, options = saved_prefix(run, command), run.savers[command["saver"]]
    is_sharded_v1 = is_v1(run, command) and options.get("sharded")
    return meta_graph(prefix + "-0-of-1" if is_sharded_v1 else prefix, command)


def meta_graph(prefix, command):
    return re.sub(r"-[\d?]+-of-\d+$", "", prefix) + "." + command["options"].get("meta_graph_suffix", "meta")
