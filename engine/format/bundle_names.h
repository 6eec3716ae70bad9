// The names of a checkpoint's files (docs/format.md, "Files").
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace waypost {

std::string IndexPath(const std::string& prefix);  // PREFIX.index
// PREFIX.data-SSSSS-of-NNNNN
std::string DataPath(const std::string& prefix, int shard, int shard_count);
// PREFIX without a trailing "-[0-9?]+-of-[0-9]+" (as TensorFlow strips V1's shard suffix) + "." +
// suffix
std::string MetaGraphPath(const std::string& prefix, std::string_view suffix = "meta");

// Names of a save that is not committed: PATH.waypost-<16 hex digits>.tmp, and the lock file
// PREFIX.waypost-<16 hex digits>.lock that says the save is alive.
std::string TemporaryPath(const std::string& path, std::uint64_t save_id);
std::string LockPath(const std::string& prefix, std::uint64_t save_id);
std::string SaveIdText(std::uint64_t save_id);  // 16 lower-case hex digits

// BASE.<16 hex digits>.data-SSSSS-of-NNNNN: a data file in a storage directory, to which the
// prefix's own name is a link.  It carries the id of the save that made it, so that checkpoints of
// one name may share a storage directory.
std::string StoredDataName(const std::string& prefix, std::uint64_t save_id, int shard,
                           int shard_count);

// Reading names back; they work on whole paths and on base names alike.  nullopt: another kind of
// name.
struct TemporaryName {
  std::string path;  // what the file was to become
  std::uint64_t save_id = 0;
};
std::optional<TemporaryName> ParseTemporaryName(std::string_view name);

struct LockName {
  std::string prefix;
  std::uint64_t save_id = 0;
};
std::optional<LockName> ParseLockName(std::string_view name);

struct StoredDataParts {
  std::string base;  // of the prefix
  std::uint64_t save_id = 0;
  int shard = 0;
  int shard_count = 0;
};
std::optional<StoredDataParts> ParseStoredDataName(std::string_view name);

struct DataName {
  std::string prefix;
  int shard = 0;
  int shard_count = 0;
};
// Only the spelling that DataPath writes: the name maps back to itself.
std::optional<DataName> ParseDataName(std::string_view name);

}  // namespace waypost
