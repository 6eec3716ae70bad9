#include "format/safetensors_writer.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <numeric>

#include "base/bytes.h"
#include "base/escape.h"
#include "base/units.h"
#include "waypost/error.h"
#include "wire/utf8.h"

namespace waypost {
namespace {

constexpr std::uint64_t kHeaderAlignment = 8;

// Requires: `text` is UTF-8.
std::string Quoted(std::string_view text) { return nlohmann::json(text).dump(); }

std::string MetadataText(const SafetensorsMetadata& metadata, const std::string& path) {
  std::string text;
  for (const auto& [key, value] : metadata) {
    if (!IsUtf8(key) || !IsUtf8(value)) {
      throw Error(Code::kInvalidArgument,
                  fmt::format("write {}: metadata {} must be UTF-8", path, Printable(key)));
    }
    text += fmt::format("{}{}:{}", text.empty() ? "" : ",", Quoted(key), Quoted(value));
  }
  return fmt::format("{}:{{{}}}", Quoted(kSafetensorsMetadataKey), text);
}

std::uint64_t BytesOf(const SafetensorsItem& item) {
  return static_cast<std::uint64_t>(ElementCount(item.shape)) * ElementBytes(item.dtype);
}

std::vector<std::size_t> OrderOf(std::span<const SafetensorsItem> items) {
  std::vector<std::size_t> order(items.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::ranges::sort(order, [&](std::size_t a, std::size_t b) {
    const int rank_a = SafetensorsDTypeOf(items[a].dtype)->rank;
    const int rank_b = SafetensorsDTypeOf(items[b].dtype)->rank;
    return rank_a != rank_b ? rank_a > rank_b : items[a].name < items[b].name;
  });
  return order;
}

}  // namespace

std::string WhyNotInSafetensors(const SafetensorsItem& item) {
  if (SafetensorsDTypeOf(item.dtype) == nullptr) {
    return fmt::format("safetensors have no dtype {}", DTypeName(item.dtype));
  }
  if (!IsUtf8(item.name)) return "its name is no UTF-8";
  if (item.name == kSafetensorsMetadataKey) return "its name means something else in safetensors";
  return "";
}

SafetensorsLayout LayOutSafetensors(std::span<const SafetensorsItem> items,
                                    const SafetensorsMetadata& metadata, const std::string& path,
                                    std::size_t header_bytes_max) {
  SafetensorsLayout layout;
  layout.order = OrderOf(items);
  std::string header = "{";
  if (!metadata.empty()) header += MetadataText(metadata, path);
  std::uint64_t end = 0;
  for (const std::size_t i : layout.order) {
    const SafetensorsItem& item = items[i];
    const std::uint64_t begin = end;
    end += BytesOf(item);
    if (header.size() > 1) header += ',';
    header +=
        fmt::format(R"({}:{{"dtype":"{}","shape":[{}],"data_offsets":[{},{}]}})", Quoted(item.name),
                    SafetensorsDTypeOf(item.dtype)->name, fmt::join(item.shape, ","), begin, end);
  }
  header += '}';
  header.resize(AlignUp(header.size(), kHeaderAlignment), ' ');
  if (header.size() > header_bytes_max) {
    throw Error(Code::kInvalidArgument,
                fmt::format("write {}: a header of {} bytes, and readers take {} at most; more "
                            "files share them out",
                            path, header.size(), header_bytes_max));
  }
  AppendFixed<std::uint64_t>(layout.head, header.size());
  layout.head += header;
  layout.size_bytes = layout.head.size() + end;
  return layout;
}

std::string SafetensorsIndexText(const std::map<std::string, std::string>& files,
                                 std::uint64_t tensor_bytes) {
  std::string text = fmt::format(
      "{{\n  \"metadata\": {{\n    \"total_size\": {}\n  }},\n  \"weight_map\": {{", tensor_bytes);
  const char* separator = "\n";
  for (const auto& [name, file] : files) {
    text += fmt::format("{}    {}: {}", separator, Quoted(name), Quoted(file));
    separator = ",\n";
  }
  return text + "\n  }\n}\n";
}

}  // namespace waypost
