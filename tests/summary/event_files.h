// Event files in tests: which there are, and what they hold.
#pragma once

#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "format/record_io.h"
#include "io/file_system.h"
#include "wire/event_messages.h"

namespace waypost {

inline std::vector<std::string> RecordsOf(const std::string& path) {
  std::ifstream stream(path, std::ios::binary);
  const std::string content{std::istreambuf_iterator<char>(stream), {}};
  RecordReader reader(AsBytes(content), path);
  std::vector<std::string> records;
  for (std::span<const std::byte> data; reader.Next(data);) records.emplace_back(AsText(data));
  return records;
}

// The records of the only file in a directory.
inline std::vector<std::string> OnlyRecordsOf(const std::string& directory) {
  const std::vector<std::string> names = PosixFileSystem().List(directory);
  return names.size() == 1
             ? RecordsOf(JoinPath(directory, names[0]))
             : std::vector<std::string>{"not one file but " + std::to_string(names.size())};
}

}  // namespace waypost
