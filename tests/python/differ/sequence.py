"""Random sequences of commands.

The commands are those of saver_driver (tests/judge/saver_driver.cc), and some that run.py makes of others:
    {"op": "set", "number": n}           every variable gets its n-th value
    {"op": "restart", "process": bool}   new objects, or a new process
    {"op": "edit", "path", "text"}       a state file by hand; the text is Latin-1 for its bytes
    {"op": "delete", "path", "kinds"}    files of a checkpoint: "index", "data", "meta"
A path may be {"pick": n, "form": "absolute" | "relative"}: the n-th of the checkpoints that are there.
"""
import random

from . import variables as variables_module
from .trees import STATE_NAMES

HOURS = [0.0, 0.1, 1.0, 2.5, 10000.0]
STEPS = [0, 1, 2, 3, 7, -3, 99999999, 123456789, 2**40]
NAMES = ["m", "m", "m", "model.ckpt", "sp ace", "quo\"te's", "umläut", "n-00001-of-00002", "m.index"]
DIRECTORIES = ["{root}", "{root}", "{root}/a", "{root}/a/b", "{root}/other", "{root}/new", "{root}/new/deep"]
EDITS = [
    "",
    "# nothing\n",
    "model_checkpoint_path: \"{root}/m-1\"\nall_model_checkpoint_paths: \"{root}/m-1\"\n",
    "model_checkpoint_path: 'm-1' # the latest\r\nall_model_checkpoint_paths: 'm-0'\r\n"
    "all_model_checkpoint_paths: 'm-1'\r\n",
    "model_checkpoint_path: \"m-\" '1'; all_model_checkpoint_paths: ['m-0', \"a/m-1\"],\n",
    "all_model_checkpoint_paths: \"m-1\"\n",
    "model_checkpoint_path: \"m-1\"\nunknown_field: 3\n",
    "model_checkpoint_path: \"m-1\"\nmodel_checkpoint_path: \"../other/m-2\"\n",
    "model_checkpoint_path: \"\\155\\x2d1\"\nall_model_checkpoint_timestamps: 1e9 "
    "all_model_checkpoint_timestamps: .5\n",
    "model_checkpoint_path: \"m-1\nall_model_checkpoint_paths: \"m-1\"\n",
    "model_checkpoint_path: \"m-1\"\nlast_preserved_timestamp: 12.25\nall_model_checkpoint_timestamps: inf\n",
    "<model_checkpoint_path: 'x'>\n",
    "model_checkpoint_path: \"\"\n",
    "model_checkpoint_path: \"caf\xc3\xa9\"\n",
    "model_checkpoint_path: \"caf\xe9\"\n",
]


ODD_PATHS = ["{root}/a/", "", "{root}/a", "a", ".", "..", "{root}/checkpoint", "checkpoint", "b/checkpoint",
             "{root}/none/none", "m.index", "{root}/m-1.index", "m/"]


class Generator:
    def __init__(self, seed):
        self.rng = random.Random(seed)
        self.home = self.path()
        self.variables = variables_module.random_variables(self.rng) if self.chance(0.98) else []

    def sequence(self):
        yield {"op": "start", "variables": self.variables}
        for saver in [1, 2][:self.rng.choice([1, 1, 2])]:
            yield self.new_saver(saver)
        for _ in range(self.rng.randrange(4, 24)):
            yield from self.some()
        if self.chance(0.05):
            yield from self.glob_characters()

    def chance(self, probability):
        return self.rng.random() < probability

    # ---- Paths ----

    def path(self):
        name = self.rng.choice(NAMES)
        if self.chance(0.6):
            return f"{self.rng.choice(DIRECTORIES)}/{name}"
        return self.rng.choice(["", "", "./", "a/", "../", "new/", "new/deeper/", "../a/"]) + name

    def save_path(self):
        return self.home if self.chance(0.75) else self.path()

    def pick(self):
        return {"pick": self.rng.randrange(1000), "form": "absolute" if self.chance(0.8) else "relative"}

    def some_path(self):
        if self.chance(0.8):
            return self.pick()
        return self.rng.choice([self.path(), self.home, "{root}/m-1", "{root}/none", "m-2"])

    def directory(self):
        return self.rng.choice(DIRECTORIES) if self.chance(0.75) else self.rng.choice(["", ".", "a", "../other", "a/"])

    def latest_filename(self):
        return "" if self.chance(0.8) else self.rng.choice(STATE_NAMES)

    # ---- Commands ----

    def some(self):
        make = self.rng.choices([function for function, _ in MAKERS], [weight for _, weight in MAKERS])[0]
        yield from make(self)

    def saver(self):
        return 1 if self.chance(0.8) else 2

    def new_saver(self, number):
        """Options of a saver."""
        options = {} if self.chance(0.6) else self.var_list()
        if self.chance(0.8):
            options["max_to_keep"] = self.rng.choice([None, 0, 1, 1, 2, 2, 3, 5])
        if self.chance(0.02):
            options["max_to_keep"] = -1
        if self.chance(0.6):
            options["keep_checkpoint_every_n_hours"] = self.rng.choice(HOURS)
        if self.chance(0.3):
            options["sharded"] = True
        if self.chance(0.2):
            options["name"] = self.rng.choice(["save", "other", "scope/inner"])
        if self.chance(0.15):
            options["write_version"] = 1
        for option, probability in [("pad_step_number", 0.15), ("save_relative_paths", 0.25), ("allow_empty", 0.1),
                                    ("reshape", 0.15), ("restore_sequentially", 0.1), ("defer_build", 0.05)]:
            if self.chance(probability):
                options[option] = True
        if self.chance(0.1):
            options["filename"] = "some/file"
        return {"op": "new_saver", "saver": number, "options": options}

    def var_list(self):
        """Some of the variables, listed or under other names; sometimes wrong."""
        names = [variable["name"] for variable in self.variables]
        parts = [part["name"] for part in variables_module.all_parts(self.variables) if "whole" in part]
        if not names:
            return {}
        some = self.rng.sample(names, self.rng.randrange(1, len(names) + 1))
        if parts and self.chance(0.4):  # a part alone leaves holes
            some = [name for name in some if name != "emb"]
            some += self.rng.sample(parts, self.rng.randrange(1, len(parts) + 1))
        if self.chance(0.05):
            some.append(self.rng.choice(names + parts))
        if self.chance(0.5):
            return {"var_list": {"list": some}}
        keys = [self.rng.choice([name, f"other/{name}"]) for name in some]
        if parts and self.chance(0.3):
            some.append(parts if self.chance(0.8) else parts[:1])
            keys.append("slices")
        return {"var_list": {"map": dict(zip(keys, some))}}

    def make_saver(self):
        yield self.new_saver(self.saver())

    def make_build(self):
        yield {"op": "build", "saver": self.saver()}

    def make_set(self):
        yield {"op": "set", "number": self.rng.randrange(10**6)}

    def save_options(self):
        options = {}
        if self.chance(0.8):
            options["global_step"] = self.rng.choice(STEPS)
        if self.chance(0.1) and any(variable["name"] == "step" and variable["dtype"] in ["int32", "int64"] and
                                    not variable["shape"] for variable in self.variables):
            options["global_step"] = {"variable": "step"}
        if self.chance(0.05):
            options["strip_default_attrs"] = True
        if self.chance(0.15):
            options["latest_filename"] = self.rng.choice(STATE_NAMES)
        if self.chance(0.1):
            options["meta_graph_suffix"] = "graph"
        if self.chance(0.15):
            options["write_meta_graph"] = False
        if self.chance(0.1):
            options["write_state"] = False
        return options

    def make_save(self):
        for _ in range(self.rng.choice([1, 1, 1, 3])):
            if self.chance(0.5):
                yield {"op": "clock", "advance": self.rng.choice([0, 1, 600, 1200, 3600, 9000, -3600])}
            if self.chance(0.5):
                yield {"op": "set", "number": self.rng.randrange(10**6)}
            yield {"op": "save", "saver": self.saver(), "path": self.save_path(), "options": self.save_options()}

    def glob_characters(self):
        """Names that are not literal to TensorFlow."""
        yield self.new_saver(1)
        name = self.rng.choice(["m[1]", "back\\slash", "[", "m*", "m?"])
        yield {"op": "save", "saver": 1, "path": "{root}/" + name, "options": {}}
        for path in [f"{{root}}/{name}", "{root}/m?", "{root}/*", "{root}/m-[0-9]"]:
            yield {"op": "checkpoint_exists", "path": path}
        yield {"op": "latest_checkpoint", "directory": "{root}", "latest_filename": ""}
        yield {"op": "restore", "saver": 1, "path": f"{{root}}/{name}"}

    def make_odd(self):
        """What is mostly an error."""
        save = {"op": "save", "saver": self.saver(), "path": self.save_path(), "options": self.save_options()}
        kind = self.rng.choice(["latest_filename", "meta_graph_suffix", "path", "unset", "restore", "files", "state"])
        if kind in save["options"] or kind in ["latest_filename", "meta_graph_suffix"]:
            name = save["path"].rpartition("/")[2]
            save["options"][kind] = self.rng.choice(
                ["a/b", "b/", ".", "..", name, f"{name}.index", f"{name}.meta", "index"]
                if kind == "latest_filename" else ["index", "", "a/b", "data-00000-of-00001"])
            yield save
        elif kind == "path":
            yield {**save, "path": self.rng.choice(ODD_PATHS)}
        elif kind == "unset":
            yield {"op": "start", "variables": self.variables, "is_set": False}
            yield self.new_saver(1)
            yield {**save, "saver": 1}
            yield {"op": "set", "number": 0}
        elif kind == "restore":
            yield {"op": "restore", "saver": self.saver(), "path": self.rng.choice(ODD_PATHS)}
        elif kind == "files":
            paths = [self.rng.choice(ODD_PATHS) for _ in range(2)]
            yield {"op": "get_checkpoint_mtimes", "paths": paths}
            yield {"op": "recover_last_checkpoints", "saver": self.saver(), "paths": paths}
            yield {"op": "checkpoint_exists", "path": paths[0]}
            yield {"op": "remove_checkpoint", "path": paths[1], "version": self.rng.choice([1, 2]),
                   "meta_graph_suffix": "meta"}
        else:
            where = {"directory": self.rng.choice(["{root}/none", "none", "{root}/a/b/../..", "{root}/"]),
                     "latest_filename": ""}
            for op in ["get_checkpoint_state", "latest_checkpoint"]:
                yield {"op": op, **where}
            yield {**next(self.make_update()), **where}

    def make_restore(self):
        yield {"op": "restore", "saver": self.saver(), "path": self.some_path(), "cross": self.chance(0.5)}

    def make_restore_latest(self):
        yield {"op": "restore", "saver": self.saver(), "path": {"latest": self.directory()}, "cross": self.chance(0.5)}

    def make_restore_all(self):
        yield {"op": "restore_all", "saver": self.saver(), "cross": self.chance(0.5)}

    def make_clock(self):
        yield {"op": "clock", "advance": self.rng.choice([1, 600, 3599, 3600, 3601, 36000, 10**6, -600, -36000])}

    def make_recover(self):
        yield {"op": "recover_last_checkpoints", "saver": self.saver(),
               "paths": [self.some_path() for _ in range(self.rng.randrange(5))]}

    def make_set_last(self):
        paths = [self.some_path() for _ in range(self.rng.randrange(5))]
        yield {"op": "set_last_checkpoints", "saver": self.saver(), "paths": paths}

    def make_set_last_with_time(self):
        paths = [self.some_path() for _ in range(self.rng.randrange(5))]
        yield {"op": "set_last_checkpoints_with_time", "saver": self.saver(), "paths": paths,
               "seconds": [self.rng.choice([0.0, 1e9, 1e9 + 7200.5, 1e10]) for _ in paths]}

    def make_mtimes(self):
        yield {"op": "get_checkpoint_mtimes", "paths": [self.some_path() for _ in range(self.rng.randrange(5))]}

    def make_remove(self):
        yield {"op": "remove_checkpoint", "path": self.some_path(), "version": self.rng.choice([1, 2, 2, 2]),
               "meta_graph_suffix": self.rng.choice(["meta", "meta", "graph"])}

    def make_latest(self):
        yield {"op": "latest_checkpoint", "directory": self.directory(), "latest_filename": self.latest_filename(),
               "cross": self.chance(0.3)}

    def make_state(self):
        yield {"op": "get_checkpoint_state", "directory": self.directory(), "latest_filename": self.latest_filename(),
               "cross": self.chance(0.3)}

    def make_update(self):
        paths = [self.some_path() for _ in range(self.rng.randrange(4))]
        times = [self.rng.choice([1.0, 1e9, 1700003600.123456, 1e16, 0.1, 1e-7]) for _ in
                 range(self.rng.choice([0, 0, len(paths), len(paths) + 1]))]
        is_written = self.chance(0.7)
        yield {"op": "update_checkpoint_state" if is_written else "generate_checkpoint_state",
               "directory": self.directory(), "path": self.some_path(), "all_paths": paths,
               "latest_filename": self.latest_filename(), "timestamps": times,
               "last_preserved_timestamp": self.rng.choice([None, None, 1700000000.5]),
               "save_relative_paths": is_written and self.chance(0.4)}

    def make_exists(self):
        yield {"op": "checkpoint_exists", "path": self.some_path()}

    def make_edit(self):
        directory = self.rng.choice(DIRECTORIES[:5])
        yield {"op": "edit", "path": f"{directory}/{self.rng.choice(STATE_NAMES[:1] * 4 + STATE_NAMES)}",
               "text": self.rng.choice(EDITS)}
        if self.chance(0.6):
            yield {"op": "get_checkpoint_state", "directory": directory, "latest_filename": ""}
            yield {"op": "latest_checkpoint", "directory": directory, "latest_filename": ""}

    def make_delete(self):
        kinds = [["index"], ["data"], ["meta"], ["data", "meta"], ["index", "data", "meta"]]
        yield {"op": "delete", "path": self.pick(), "kinds": self.rng.choice(kinds)}

    def make_restart(self):
        yield {"op": "restart", "process": self.chance(0.3)}
        yield self.new_saver(1)
        if self.chance(0.7):
            yield {"op": "recover_last_checkpoints", "saver": 1, "paths": {"state": self.directory()}}

    def make_start(self):
        if not self.variables:
            return
        self.variables = variables_module.altered(self.rng, self.variables)
        yield {"op": "start", "variables": self.variables}
        yield self.new_saver(1)
        yield from self.make_restore_all()

    def make_chdir(self):
        yield {"op": "chdir", "directory": self.rng.choice(["{root}/a", "{root}/a/b", "{root}/other"])}


MAKERS = [(Generator.make_set, 4), (Generator.make_save, 30), (Generator.make_restore, 8),
          (Generator.make_restore_latest, 5), (Generator.make_restore_all, 2), (Generator.make_clock, 4),
          (Generator.make_recover, 4), (Generator.make_latest, 4), (Generator.make_state, 4),
          (Generator.make_update, 5), (Generator.make_exists, 3), (Generator.make_mtimes, 3),
          (Generator.make_remove, 3), (Generator.make_set_last, 2), (Generator.make_set_last_with_time, 2),
          (Generator.make_build, 1), (Generator.make_edit, 3), (Generator.make_delete, 3),
          (Generator.make_restart, 3), (Generator.make_start, 4), (Generator.make_chdir, 4),
          (Generator.make_saver, 3), (Generator.make_odd, 3)]


def random_sequence(seed):
    return list(Generator(seed).sequence())
