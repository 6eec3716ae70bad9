#include "format/bundle_names.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <utility>

namespace waypost {
namespace {

constexpr std::string_view kIdMark = ".waypost-";
constexpr std::string_view kTemporaryEnd = ".tmp";
constexpr std::string_view kLockEnd = ".lock";
constexpr std::size_t kIdDigits = 16;
constexpr std::size_t kNumberDigitsMin = 5;

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

// Takes NAME.waypost-<16 hex digits>END apart into NAME and the number.
std::optional<std::pair<std::string, std::uint64_t>> SplitSaveId(std::string_view name,
                                                                 std::string_view end) {
  const std::size_t tail = kIdMark.size() + kIdDigits + end.size();
  if (name.size() < tail || !name.ends_with(end)) return std::nullopt;
  const std::string_view stem = name.substr(0, name.size() - tail);
  const std::string_view digits = name.substr(stem.size() + kIdMark.size(), kIdDigits);
  std::uint64_t save_id = 0;
  const auto parsed = std::from_chars(digits.data(), digits.data() + digits.size(), save_id, 16);
  // Upper-case digits and a stray mark are seen by writing the name again.
  if (parsed.ptr != digits.data() + digits.size() ||
      name.substr(stem.size()) != fmt::format("{}{}{}", kIdMark, SaveIdText(save_id), end)) {
    return std::nullopt;
  }
  return std::pair(std::string(stem), save_id);
}

// The number of decimal digits that `text` ends with.
std::size_t TrailingDigits(std::string_view text) {
  const auto other = std::find_if_not(text.rbegin(), text.rend(), IsDigit);
  return static_cast<std::size_t>(other - text.rbegin());
}

// Takes a number of at least five digits off the end of `name`.
std::optional<int> TakeNumber(std::string_view& name) {
  const std::size_t digits = TrailingDigits(name);
  if (digits < kNumberDigitsMin) return std::nullopt;
  const std::string_view text = name.substr(name.size() - digits);
  int number = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), number);
  if (parsed.ec != std::errc{}) return std::nullopt;
  name.remove_suffix(digits);
  return number;
}

bool TakeSuffix(std::string_view& name, std::string_view suffix) {
  if (!name.ends_with(suffix)) return false;
  name.remove_suffix(suffix.size());
  return true;
}

// `prefix` without "-[0-9?]+-of-[0-9]+" at its end.
std::string_view WithoutShardSuffix(std::string_view prefix) {
  constexpr std::string_view kOf = "-of-";
  std::string_view rest = prefix;
  const std::size_t count_digits = TrailingDigits(rest);
  rest.remove_suffix(count_digits);
  if (count_digits == 0 || !TakeSuffix(rest, kOf)) return prefix;
  const auto other =
      std::find_if_not(rest.rbegin(), rest.rend(), [](char c) { return IsDigit(c) || c == '?'; });
  if (other == rest.rbegin() || other == rest.rend() || *other != '-') return prefix;
  return rest.substr(0, static_cast<std::size_t>(rest.rend() - other) - 1);
}

}  // namespace

std::string IndexPath(const std::string& prefix) { return prefix + ".index"; }

std::string DataPath(const std::string& prefix, int shard, int shard_count) {
  return fmt::format("{}.data-{:05d}-of-{:05d}", prefix, shard, shard_count);
}

std::string MetaGraphPath(const std::string& prefix, std::string_view suffix) {
  return fmt::format("{}.{}", WithoutShardSuffix(prefix), suffix);
}

std::string SaveIdText(std::uint64_t save_id) { return fmt::format("{:016x}", save_id); }

std::string TemporaryPath(const std::string& path, std::uint64_t save_id) {
  return fmt::format("{}{}{}{}", path, kIdMark, SaveIdText(save_id), kTemporaryEnd);
}

std::string LockPath(const std::string& prefix, std::uint64_t save_id) {
  return fmt::format("{}{}{}{}", prefix, kIdMark, SaveIdText(save_id), kLockEnd);
}

std::optional<TemporaryName> ParseTemporaryName(std::string_view name) {
  auto parts = SplitSaveId(name, kTemporaryEnd);
  if (!parts || parts->first.empty()) return std::nullopt;
  return TemporaryName{std::move(parts->first), parts->second};
}

std::optional<LockName> ParseLockName(std::string_view name) {
  auto parts = SplitSaveId(name, kLockEnd);
  if (!parts || parts->first.empty()) return std::nullopt;
  return LockName{std::move(parts->first), parts->second};
}

std::string StoredDataName(const std::string& prefix, std::uint64_t save_id, int shard,
                           int shard_count) {
  return DataPath(fmt::format("{}.{}", prefix, SaveIdText(save_id)), shard, shard_count);
}

std::optional<StoredDataParts> ParseStoredDataName(std::string_view name) {
  std::optional<DataName> data = ParseDataName(name);
  if (!data || data->prefix.size() < kIdDigits + 1) return std::nullopt;
  const std::size_t dot = data->prefix.size() - kIdDigits - 1;
  const std::string_view digits = std::string_view(data->prefix).substr(dot + 1);
  StoredDataParts parts;
  const auto parsed =
      std::from_chars(digits.data(), digits.data() + digits.size(), parts.save_id, 16);
  if (data->prefix[dot] != '.' || parsed.ptr != digits.data() + digits.size() ||
      digits != SaveIdText(parts.save_id)) {
    return std::nullopt;
  }
  parts.base = data->prefix.substr(0, dot);
  parts.shard = data->shard;
  parts.shard_count = data->shard_count;
  return parts;
}

std::optional<DataName> ParseDataName(std::string_view name) {
  std::string_view rest = name;
  const auto shard_count = TakeNumber(rest);
  if (!shard_count || !TakeSuffix(rest, "-of-")) return std::nullopt;
  const auto shard = TakeNumber(rest);
  if (!shard || !TakeSuffix(rest, ".data-")) return std::nullopt;
  DataName parsed{std::string(rest), *shard, *shard_count};
  // A superfluous leading zero is seen by writing the name again.
  if (*shard >= *shard_count || DataPath(parsed.prefix, *shard, *shard_count) != name) {
    return std::nullopt;
  }
  return parsed;
}

}  // namespace waypost
