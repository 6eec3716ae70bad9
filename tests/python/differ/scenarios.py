"""Short sequences that show each listed difference, whatever the random ones do."""

VARIABLES = [
    {"name": "v", "dtype": "float32", "shape": [2], "device": "/device:CPU:0", "resource": True},
    {"name": "w", "dtype": "int64", "shape": [], "device": "/device:CPU:1", "resource": False},
]
PARTITIONED = {"name": "emb", "dtype": "float32", "shape": [6, 4], "device": "", "resource": True, "parts": [2, 1]}
OTHER_SHAPE = [{**VARIABLES[0], "shape": [3]}, VARIABLES[1]]
SHARDED_V1 = {"sharded": True, "write_version": 1}


def start(variables=None):
    return {"op": "start", "variables": variables or VARIABLES}


def saver(**options):
    return {"op": "new_saver", "saver": 1, "options": options}


def save(path, **options):
    return {"op": "save", "saver": 1, "path": path, "options": options}


def restore(path):
    return {"op": "restore", "saver": 1, "path": path}


SCENARIOS = {
    "NotUtf8": [start(), {"op": "edit", "path": "{root}/checkpoint", "text": "model_checkpoint_path: '\xe9'\n"},
                {"op": "get_checkpoint_state", "directory": "{root}", "latest_filename": ""}],
    "NoFileName": [start(), saver(), save("{root}/a/")],
    "RefusedNames": [start(), saver(), save("{root}/m", meta_graph_suffix="index")],
    "Directories": [start(), {"op": "checkpoint_exists", "path": "{root}/a"}],
    "OtherShape": [start(), saver(), save("{root}/m"), start(OTHER_SHAPE), saver(), restore("{root}/m")],
    "GlobCharacters": [start(), saver(), save("{root}/m"), {"op": "checkpoint_exists", "path": "{root}/?"}],
    "EmptyUnset": [{**start([{**VARIABLES[1], "shape": [0]}]), "is_set": False}, saver(), save("{root}/m")],
    "NegativeMaxToKeep": [start(), saver(max_to_keep=-1)],
    "SavedTwice": [start([PARTITIONED]),
                   saver(var_list={"map": {"a": "emb/part_0", "b": ["emb/part_0", "emb/part_1"]}})],
    "MissingDirectories": [start(), saver(), save("{root}/x/y/m")],
    "FailedSave": [start([VARIABLES[0], {**VARIABLES[1], "dtype": "bfloat16"}]), saver(**SHARDED_V1), save("{root}/m")],
    "V1OverV2": [start(), saver(), save("{root}/m"), saver(write_version=1), save("{root}/m")],
    "IncompleteShards": [start(), saver(**SHARDED_V1), save("{root}/m"), saver(var_list={"list": ["v"]}),
                         {"op": "delete_file", "path": "{root}/m-00001-of-00002"}, restore("{root}/m-?????-of-00002")],
    "MetaGraphOfShards": [start(), saver(**SHARDED_V1), save("{root}/n-00001-of-00002")],
    "RewrittenCheckpoint": [start(), saver(), save("{root}/m"), save("{root}/m"), restore("{root}/m")],
    "RewrittenMetaGraph": [start(), saver(), save("{root}/m"), save("{root}/m", write_meta_graph=False)],
    "RelativeBesideAbsolute": [start(), saver(), save("m"), save("{root}/m")],
    "RelativeTwice": [start(), saver(save_relative_paths=True), save("{root}/m"), save("b/m")],
    "CountedTwice": [start(), saver(max_to_keep=1), save("m"), save("../a/m")],
    "OtherFormat": [start(), saver(), save("{root}/m"), saver(write_version=1, max_to_keep=1),
                    {"op": "recover_last_checkpoints", "saver": 1, "paths": ["{root}/m"]}, save("{root}/n")],
}
