// TableWriter makes the sorted table that an index file is: LevelDB's TableBuilder with
// TensorFlow's parameters (docs/format.md, "The table").  It keeps one block, not the table.
//
// The bytes are those that TensorFlow writes for the same entries.
#pragma once

#include <leveldb/table_builder.h>

#include <cstddef>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace waypost {

class TableWriter {
 public:
  // Takes the next bytes of the file.  What it throws comes out of Add or Finish; the writer is of
  // no use after that.
  using Sink = std::function<void(std::span<const std::byte> bytes)>;

  explicit TableWriter(Sink sink);
  ~TableWriter();
  TableWriter(const TableWriter&) = delete;
  TableWriter& operator=(const TableWriter&) = delete;

  // Requires: `key` is greater than every key before, byte by byte; Finish() has not been called.
  void Add(std::string_view key, std::string_view value);

  // Call once.
  void Finish();

 private:
  class SinkFile;

  std::unique_ptr<SinkFile> file_;
  std::unique_ptr<leveldb::TableBuilder> builder_;
  std::string last_key_;
  bool is_empty_ = true;
};

}  // namespace waypost
