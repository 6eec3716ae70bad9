"""Where Waypost is meant to differ from TensorFlow, and why: the only differences that are not failures."""
from . import leavings, readings, refusals

# In the order in which they are settled.
TABLE = [
    (readings.NotUtf8(),
     "A state file with other bytes than UTF-8 is an exception of Python's; Waypost takes paths for bytes."),
    (refusals.NoFileName(),
     "A path that ends in no file's name; TensorFlow makes hidden files of it, or looks for them."),
    (refusals.RefusedNames(),
     "Names by which a save would overwrite its own files, or write outside its directory; Waypost refuses "
     "them before anything is written."),
    (readings.Directories(),
     "A directory is a checkpoint to some of TensorFlow's functions, never to Waypost's."),
    (refusals.IncompleteShards(),
     "TensorFlow restores a sharded V1 checkpoint from the shards that are there; Waypost wants all of "
     "them."),
    (refusals.OtherShape(),
     "A resource variable silently takes the shape that the checkpoint has; to Waypost that is an error, "
     "as it is to TensorFlow for a reference variable."),
    (readings.GlobCharacters(),
     "TensorFlow takes prefixes for glob patterns; to Waypost they are names (but V1's P-?????-of-NNNNN)."),
    (refusals.EmptyUnset(),
     "A reference variable without elements counts as initialised in TensorFlow; Waypost wants every "
     "variable set."),
    (refusals.NegativeMaxToKeep(),
     "TensorFlow deletes every checkpoint right after its save; Waypost refuses the option."),
    (refusals.SavedTwice(),
     "A part of a partitioned variable twice, at least once among slices: to restore it is to assign it "
     "twice. Waypost refuses that as TensorFlow refuses a variable under two names."),
    (leavings.MissingDirectories(),
     "TensorFlow makes one directory level, none of them when sharded or V1; Waypost makes all."),
    (leavings.FailedSave(),
     "Of a save that fails, TensorFlow leaves shards behind; Waypost leaves nothing."),
    (refusals.V1OverV2(),
     "A checkpoint of format V1 under the prefix of one of format V2 would never be read; Waypost refuses "
     "it."),
    (leavings.MetaGraphOfShards(),
     "Of a sharded V1 checkpoint whose prefix itself ends like a shard's name, TensorFlow writes the meta "
     "graph under another name than the one by which it deletes it."),
    (leavings.RewrittenCheckpoint(),
     "A save over a checkpoint changes the count of its data files, so that the index decides which are "
     "read; and the files that it replaces go. TensorFlow overwrites data that the old index names."),
    (leavings.RewrittenMetaGraph(),
     "A save over a checkpoint that writes no meta graph removes the old one, which is not the new "
     "checkpoint's. TensorFlow leaves it."),
    (leavings.RelativeBesideAbsolute(),
     "After saves to relative paths, one to an absolute path lists them in TensorFlow's state file as they "
     "are, so that a reader takes them for paths beside it."),
    (leavings.RelativeTwice(),
     "In a directory that is given by a relative path, save_relative_paths makes absolute paths relative "
     "twice, the second time as if they were relative to the working directory."),
    (leavings.CountedTwice(),
     "A checkpoint that is counted twice, perhaps under two spellings of its path, stays as long as one of "
     "them counts. TensorFlow deletes what it still lists."),
    (leavings.OtherFormat(),
     "A checkpoint of the other format, counted by recover_last_checkpoints or set_last_checkpoints, is deleted "
     "with all its files when its turn comes. TensorFlow deletes its meta graph and leaves the data for ever."),
]
DIFFERENCES = [difference for difference, _ in TABLE]
