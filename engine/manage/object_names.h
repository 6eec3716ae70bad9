// Restoring a checkpoint of objects (tf.train.Checkpoint) by the names that its variables had.
//
// The rules are those of TensorFlow's Saver (python/training/saver.py,
// saver_from_object_based_checkpoint).
#pragma once

#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "manage/engine_impl.h"
#include "waypost/engine.h"
#include "waypost/error.h"

namespace waypost {

// The checkpoint's keys by those names; nullopt when it is none of objects.  Throws what Restore
// does: kNotFound when its files are missing, kDataLoss when the map is damaged.
std::optional<std::map<std::string, std::string>> ReadObjectKeys(
    Engine::Impl& engine, const StoredCheckpoint& checkpoint);

// `tensors` under the checkpoint's keys.  Throws kNotFound, listing what is missing on either side,
// when one of them is not in the map, and kDataLoss when two variables have one key.
std::vector<NamedTensor> UnderObjectKeys(std::span<const NamedTensor> tensors,
                                         const std::map<std::string, std::string>& keys,
                                         const std::string& prefix);

// The error of a restore of `renamed`, with the names of `tensors`.
RestoreError UnderOwnNames(const RestoreError& error, std::span<const NamedTensor> renamed,
                           std::span<const NamedTensor> tensors);

// That a restore goes by the names that variables had.
void LogObjectNames(const std::string& prefix);

}  // namespace waypost
