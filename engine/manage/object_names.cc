#include "manage/object_names.h"

#include <fmt/format.h>

#include <set>
#include <string_view>

#include "base/bytes.h"
#include "base/escape.h"
#include "base/log.h"
#include "waypost/error.h"
#include "wire/object_graph.h"

namespace waypost {
namespace {

// "a, b and 4 more", "none"
std::string Listed(const std::set<std::string>& names) {
  constexpr std::size_t kListedMax = 20;
  if (names.empty()) return "none";
  std::string text;
  std::size_t count = 0;
  for (const std::string& name : names) {
    if (count == kListedMax) return text + fmt::format(" and {} more", names.size() - kListedMax);
    text += (count++ == 0 ? "" : ", ") + Printable(name);
  }
  return text;
}

// Otherwise an error about a key would not tell which variable it is about.
void RequireOwnKeys(std::span<const NamedTensor> tensors, std::span<const NamedTensor> renamed,
                    const std::string& prefix) {
  std::map<std::string_view, std::string_view> names;  // by key
  for (std::size_t i = 0; i < renamed.size(); ++i) {
    const auto [known, is_new] = names.emplace(renamed[i].name, tensors[i].name);
    if (is_new || known->second == tensors[i].name) continue;
    throw Error(Code::kDataLoss,
                fmt::format("restore {}: its graph of objects gives variables {} and {} the same "
                            "key {}",
                            prefix, Printable(known->second), Printable(tensors[i].name),
                            Printable(renamed[i].name)));
  }
}

}  // namespace

std::optional<std::map<std::string, std::string>> ReadObjectKeys(
    Engine::Impl& engine, const StoredCheckpoint& checkpoint) {
  if (checkpoint.index().Find(kObjectGraphKey) == nullptr) return std::nullopt;
  std::string bytes;
  const NamedTensor target = {.name = kObjectGraphKey,
                              .tensor = TensorView(&bytes, DType::kString, {})};
  engine.Restore(checkpoint, std::span(&target, 1), {});
  auto keys = DecodeObjectGraph(AsBytes(bytes));
  if (!keys) {
    throw Error(Code::kDataLoss, fmt::format("restore {}: {} is no graph of objects",
                                             checkpoint.prefix(), kObjectGraphKey));
  }
  return keys;
}

std::vector<NamedTensor> UnderObjectKeys(std::span<const NamedTensor> tensors,
                                         const std::map<std::string, std::string>& keys,
                                         const std::string& prefix) {
  std::vector<NamedTensor> renamed(tensors.begin(), tensors.end());
  std::set<std::string> missing;
  std::set<std::string> unused;
  for (const auto& [name, key] : keys) unused.insert(name);
  for (NamedTensor& tensor : renamed) {
    const auto found = keys.find(tensor.name);
    if (found == keys.end()) {
      missing.insert(tensor.name);
      continue;
    }
    unused.erase(tensor.name);
    tensor.name = found->second;
  }
  if (missing.empty()) {
    RequireOwnKeys(tensors, renamed, prefix);
    return renamed;
  }
  throw Error(Code::kNotFound,
              fmt::format("restore {}: it is a checkpoint of objects (tf.train.Checkpoint), which "
                          "is restored by the names that its variables had; variables not in it: "
                          "{}; names in it that are not restored: {}; {} names match",
                          prefix, Listed(missing), Listed(unused), keys.size() - unused.size()));
}

RestoreError UnderOwnNames(const RestoreError& error, std::span<const NamedTensor> renamed,
                           std::span<const NamedTensor> tensors) {
  std::map<std::string_view, std::string_view> names;  // by key
  for (std::size_t i = 0; i < renamed.size(); ++i) names[renamed[i].name] = tensors[i].name;
  const auto own = [&](std::vector<std::string> keys) {
    for (std::string& key : keys) key = names.at(key);
    return keys;
  };
  return {error.code(), error.what(), own(error.assigned()), own(error.undefined())};
}

void LogObjectNames(const std::string& prefix) {
  LogWarning(
      fmt::format("restore {}: it is a checkpoint of objects, and is restored by the names that "
                  "its variables had",
                  prefix));
}

}  // namespace waypost
