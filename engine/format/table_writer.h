// TableWriter makes the sorted table that an index file is: LevelDB's TableBuilder with
// TensorFlow's parameters, writing to memory (docs/format.md, "The table").
//
// The bytes are those that TensorFlow writes for the same entries.
#pragma once

#include <leveldb/table_builder.h>

#include <memory>
#include <string>
#include <string_view>

namespace waypost {

class TableWriter {
 public:
  TableWriter();
  ~TableWriter();
  TableWriter(const TableWriter&) = delete;
  TableWriter& operator=(const TableWriter&) = delete;

  // Requires: `key` is greater than every key before, byte by byte; Finish() has not been called.
  void Add(std::string_view key, std::string_view value);

  // The bytes of the file.  Call once.
  std::string Finish();

 private:
  class StringFile;

  std::unique_ptr<StringFile> file_;
  std::unique_ptr<leveldb::TableBuilder> builder_;
  std::string last_key_;
  bool is_empty_ = true;
};

}  // namespace waypost
