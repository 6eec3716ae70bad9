// Files for the format tests: the golden ones, and tables put together by hand with right checksums
// and whatever content a test wants.
#pragma once

#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "base/crc32c.h"
#include "format/table_writer.h"
#include "support/golden.h"

namespace waypost {

// Names of the sets of expected.json that are V2 bundles.
inline std::vector<std::string> GoldenBundles() {
  std::vector<std::string> names;
  for (const auto& [name, set] : GoldenExpectations().at("sets").items()) {
    if (set.at("format") == "V2") names.push_back(name);
  }
  return names;
}

inline std::string ReadGoldenIndex(const std::string& set) {
  return ReadGolden(GoldenExpectations().at("sets").at(set).at("prefix").get<std::string>() +
                    ".index");
}

inline std::string FromHex(const std::string& hex) {
  std::string bytes;
  for (std::size_t i = 0; i + 1 < hex.size(); i += 2) {
    bytes.push_back(static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16)));
  }
  return bytes;
}

using TableEntries = std::map<std::string, std::string>;

inline std::string WriteTable(const TableEntries& entries) {
  std::string file;
  TableWriter table([&](std::span<const std::byte> bytes) { file += AsText(bytes); });
  for (const auto& [key, value] : entries) table.Add(key, value);
  table.Finish();
  return file;
}

// ---- Parts of a table ----

// An entry that shares `shared` bytes with the key before it.
inline std::string BlockEntry(std::uint32_t shared, std::string_view suffix,
                              std::string_view value) {
  std::string bytes;
  AppendVarint(bytes, shared);
  AppendVarint(bytes, suffix.size());
  AppendVarint(bytes, value.size());
  return bytes.append(suffix).append(value);
}

inline std::string BlockHandle(std::uint64_t offset, std::uint64_t size) {
  std::string bytes;
  AppendVarint(bytes, offset);
  AppendVarint(bytes, size);
  return bytes;
}

inline std::string WithRestarts(std::string entries) {
  AppendFixed<std::uint32_t>(entries, 0);
  AppendFixed<std::uint32_t>(entries, 1);
  return entries;
}

// Builds a file block by block; the last block appended becomes the index block.
class RawTable {
 public:
  // Returns the block's handle.
  std::string Append(std::string content, char compression = '\0') {
    const std::string handle = BlockHandle(bytes_.size(), content.size());
    content.push_back(compression);
    const std::uint32_t crc = MaskCrc32c(Crc32c(AsBytes(content)));
    bytes_ += content;
    AppendFixed(bytes_, crc);
    last_handle_ = handle;
    return handle;
  }
  std::string Finish() const { return FinishWithIndex(last_handle_); }
  std::string FinishWithIndex(const std::string& index_handle) const {
    std::string footer = BlockHandle(0, 0) + index_handle;
    footer.resize(40);
    AppendFixed(footer, std::uint64_t{0xDB4775248B80FB57});
    return bytes_ + footer;
  }

 private:
  std::string bytes_;
  std::string last_handle_;
};

// A table of one data block with the given content.
inline std::string TableOfBlock(std::string content, char compression = '\0') {
  RawTable table;
  const std::string handle = table.Append(std::move(content), compression);
  table.Append(WithRestarts(BlockEntry(0, "\xff\xff\xff\xff", handle)));
  return table.Finish();
}

// The same entries in many data blocks, `per_block` in each.
inline std::string WriteBlocks(const TableEntries& entries, std::size_t per_block) {
  RawTable table;
  std::string index;
  std::string block;
  std::size_t count = 0;
  for (const auto& [key, value] : entries) {
    block += BlockEntry(0, key, value);
    if (++count % per_block == 0 || count == entries.size()) {
      const std::string handle = table.Append(WithRestarts(std::exchange(block, {})));
      index += BlockEntry(0, key, handle);
    }
  }
  table.Append(WithRestarts(index));
  return table.Finish();
}

}  // namespace waypost
