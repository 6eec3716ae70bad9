// SavedStrings: the strings of the constants that Save nodes of one graph name their tensors by.
//
// TensorFlow writes one for each tensor, and reads a constant with fewer so that the last one
// stands for all that are left out (Tensor::FromProto).  A small file could have one stand for very
// many, or very many nodes share a constant; all of that together is limited.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace waypost {

class SavedStrings {
 public:
  // `given`, a vector or a repeated field within the graph, as `count` strings.  nullopt where it
  // has more, or they are too large.
  template <typename Strings>
  std::optional<std::vector<std::string>> Expand(const Strings& given, std::size_t count) {
    std::vector<std::string> strings(given.begin(), given.end());
    if (strings.size() > count) return std::nullopt;
    const std::string last = strings.empty() ? "" : strings.back();
    std::uint64_t repeated = std::uint64_t{count - strings.size()} * BytesOf(last);
    // The first to be named by a constant takes no more than the file has.
    if (!seen_.insert(&given).second) {
      for (const std::string& text : strings) repeated += BytesOf(text);
    }
    if (repeated > room_) return std::nullopt;
    room_ -= repeated;
    strings.resize(count, last);
    return strings;
  }

 private:
  static std::uint64_t BytesOf(const std::string& text) { return text.size() + sizeof(text); }

  std::uint64_t room_ = std::uint64_t{64} << 20;
  std::set<const void*> seen_;
};

}  // namespace waypost
