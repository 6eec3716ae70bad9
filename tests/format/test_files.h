// Files for the format tests: the golden ones, and tables put together by hand with right checksums
// and whatever content a test wants.
#pragma once

#include <cstdint>
#include <fstream>
#include <iterator>
#include <map>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "base/crc32c.h"
#include "format/table_writer.h"
#include "support/test_paths.h"

namespace waypost {

// A file of tests/golden.
inline std::string ReadGolden(const std::string& name) {
  std::ifstream file(TestDataDir() + "/golden/" + name, std::ios::binary);
  if (!file) throw std::runtime_error("no golden file " + name);
  return {std::istreambuf_iterator<char>(file), {}};
}

inline const nlohmann::json& GoldenExpectations() {
  static const nlohmann::json expected = nlohmann::json::parse(ReadGolden("expected.json"));
  return expected;
}

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
  TableWriter table;
  for (const auto& [key, value] : entries) table.Add(key, value);
  return table.Finish();
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

}  // namespace waypost
