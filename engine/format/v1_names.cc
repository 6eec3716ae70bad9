#include "format/v1_names.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "format/bundle_names.h"

namespace waypost {
namespace {

constexpr std::string_view kOf = "-of-";
constexpr std::string_view kAnyShard = "?????";
constexpr std::size_t kDigits = 5;
constexpr std::string_view kJournal = ".publish";

// A number of five digits.
std::optional<int> NumberOf(std::string_view text) {
  if (!std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; })) return std::nullopt;
  int number = 0;
  std::from_chars(text.data(), text.data() + text.size(), number);
  return number;
}

struct Parts {
  std::string_view prefix;
  std::string_view shard;
  int shard_count = 0;
};

// PREFIX-xxxxx-of-NNNNN taken apart.
std::optional<Parts> Split(std::string_view path) {
  constexpr std::size_t kTail = 1 + kDigits + kOf.size() + kDigits;
  if (path.size() <= kTail) return std::nullopt;
  const std::string_view tail = path.substr(path.size() - kTail);
  const std::optional<int> shard_count = NumberOf(tail.substr(kTail - kDigits));
  if (tail[0] != '-' || tail.substr(1 + kDigits, kOf.size()) != kOf || !shard_count ||
      *shard_count == 0) {
    return std::nullopt;
  }
  return Parts{path.substr(0, path.size() - kTail), tail.substr(1, kDigits), *shard_count};
}

}  // namespace

std::string V1ShardPath(const std::string& prefix, int shard, int shard_count) {
  return fmt::format("{}-{:05d}{}{:05d}", prefix, shard, kOf, shard_count);
}

std::string V1ShardedPath(const std::string& prefix, int shard_count) {
  return fmt::format("{}-{}{}{:05d}", prefix, kAnyShard, kOf, shard_count);
}

std::optional<V1ShardedName> ParseV1ShardedPath(std::string_view path) {
  const std::optional<Parts> parts = Split(path);
  if (!parts || parts->shard != kAnyShard) return std::nullopt;
  return V1ShardedName{std::string(parts->prefix), parts->shard_count};
}

std::optional<V1ShardName> ParseV1ShardPath(std::string_view path) {
  const std::optional<Parts> parts = Split(path);
  const std::optional<int> shard = parts ? NumberOf(parts->shard) : std::nullopt;
  if (!shard || *shard >= parts->shard_count) return std::nullopt;
  return V1ShardName{std::string(parts->prefix), *shard, parts->shard_count};
}

std::string V1JournalPath(const std::string& prefix, std::uint64_t save_id) {
  return TemporaryPath(prefix + std::string(kJournal), save_id);
}

bool IsV1Journal(std::string_view path) noexcept { return path.ends_with(kJournal); }

}  // namespace waypost
