// Keys and values as the bytes that a fuzzer changes: each preceded by a byte with its length.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "format/test_files.h"

namespace waypost {

// What is cut short is taken as far as it goes.
TableEntries EntriesOf(std::span<const std::byte> list);
// The entries of a table's file; those with a key or value of more than 255 bytes are cut.
std::string EntryListOf(const std::string& table_file);

// A checkpoint in one input: two bytes with the length of its index's entries, these, and the
// content of its data files.
struct CheckpointParts {
  TableEntries entries;
  std::string data;
};
CheckpointParts CheckpointPartsOf(std::span<const std::byte> input);
std::string CheckpointInput(const std::string& index_file, std::string_view data);

}  // namespace waypost
