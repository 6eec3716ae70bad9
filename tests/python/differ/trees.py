"""A side's directory tree: what is in it, hand edits and deletions.

Paths are told with "{root}" for the tree's root, so that those of the two sides are the same texts.
"""
import os
import pathlib
import posixpath
import re
import shutil

STATE_NAMES = ["checkpoint", "best", "latest state"]
META_SUFFIXES = ["meta", "graph"]
DATA = re.compile(r"(.*)\.data-\d{5}-of-(\d{5})")
V1_SHARD = re.compile(r"(.*)-\d{5}-of-(\d{5})")
# Times of files are the savers' clock's, which is far from the real one.
REAL_TIME_MIN = 1.5e9


def prefix_of(path):
    """The checkpoint that a file belongs to; None for one that is none's."""
    if path.endswith("/") or posixpath.basename(path) in STATE_NAMES:
        return None
    if data := DATA.fullmatch(path):
        return data[1]
    stem, dot, suffix = path.rpartition(".")
    if dot and suffix in ["index", *META_SUFFIXES]:
        return stem
    if shard := V1_SHARD.fullmatch(path):
        return f"{shard[1]}-?????-of-{shard[2]}"
    return path


class Tree:
    def __init__(self, root):
        self.root = str(root)
        self.clear()

    def clear(self):
        shutil.rmtree(self.root, ignore_errors=True)
        for directory in ["", "a/b", "other"]:
            os.makedirs(os.path.join(self.root, directory), exist_ok=True)

    def real(self, path):
        return pathlib.Path(path.replace("{root}", self.root))

    def files(self):
        """{path: None, of a state file its bytes}; directories end in '/'."""
        found = {}
        for directory, directories, names in os.walk(self.root):
            told = "{root}" + directory[len(self.root):]
            found.update({f"{told}/{name}/": None for name in directories})
            for name in names:
                found[f"{told}/{name}"] = self.read(f"{told}/{name}") if name in STATE_NAMES else None
        return found

    def read(self, path):
        return self.real(path).read_bytes().replace(self.root.encode(), b"{root}")

    def stamp(self, seconds):
        """Gives the files that are new since the last call this time."""
        for directory, _, names in os.walk(self.root):
            for name in names:
                path = os.path.join(directory, name)
                if os.stat(path).st_mtime > REAL_TIME_MIN:
                    os.utime(path, (seconds, seconds))

    def write(self, path, content):
        self.real(path).parent.mkdir(parents=True, exist_ok=True)
        self.real(path).write_bytes(content.replace(b"{root}", self.root.encode()))

    def remove(self, path):
        if path.endswith("/"):
            shutil.rmtree(self.real(path), ignore_errors=True)
        else:
            self.real(path).unlink(missing_ok=True)


def checkpoints(files):
    """Prefixes with an index, or V1's file; in order."""
    whole = {prefix_of(path) for path in files if path.endswith(".index")}
    v1 = {prefix_of(path) for path in files
          if prefix_of(path) == path or (prefix_of(path) or "").find("-?????-of-") > 0 and not DATA.fullmatch(path)}
    return sorted(whole | v1)
