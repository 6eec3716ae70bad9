// The names that the variables of an object-based checkpoint (tf.train.Checkpoint) had.
//
// Such a checkpoint keeps, under kObjectGraphKey, a TrackableObjectGraph message
// (core/protobuf/trackable_object_graph.proto; docs/format.md, "Checkpoints of objects"): for each
// variable its name in the graph and its key in the checkpoint.
#pragma once

#include <cstddef>
#include <map>
#include <optional>
#include <span>
#include <string>

namespace waypost {

constexpr const char* kObjectGraphKey = "_CHECKPOINTABLE_OBJECT_GRAPH";

// Keys by name; of objects of one name the last one counts, as in TensorFlow.  nullopt for bytes
// that are no such message.
std::optional<std::map<std::string, std::string>> DecodeObjectGraph(
    std::span<const std::byte> bytes);

}  // namespace waypost
