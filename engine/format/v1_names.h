// The names of a V1 checkpoint's files (docs/format.md, "V1").
//
// One that is not sharded is the file PREFIX.  A sharded one is PREFIX-SSSSS-of-NNNNN, and is named
// by the path PREFIX-?????-of-NNNNN, whose question marks are literal.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace waypost {

std::string V1ShardPath(const std::string& prefix, int shard, int shard_count);
std::string V1ShardedPath(const std::string& prefix, int shard_count);

// Both work on whole paths and on base names alike.  nullopt: another kind of name.
struct V1ShardedName {
  std::string prefix;
  int shard_count = 0;
};
std::optional<V1ShardedName> ParseV1ShardedPath(std::string_view path);
struct V1ShardName {
  std::string prefix;
  int shard = 0;
  int shard_count = 0;
};
std::optional<V1ShardName> ParseV1ShardPath(std::string_view path);

// A save of several shards has committed when a file of this name is durable, and removes it when
// all shards have their names: as long as it stands, the temporary file of a shard that carries the
// same save id is the shard.
std::string V1JournalPath(const std::string& prefix, std::uint64_t save_id);
// Whether `path`, which a temporary name stands for (ParseTemporaryName), is that of a journal.
bool IsV1Journal(std::string_view path) noexcept;

}  // namespace waypost
