// Real files of a test, read and written whole, and what `waypost verify` says of them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace waypost {

std::string ReadAll(const std::string& path);
// In place, as damage comes about; nullopt removes the file.
void WriteAll(const std::string& path, const std::optional<std::string>& content);
// The files below `directory`, sorted.
std::vector<std::string> FilesIn(const std::string& directory);

struct Verdict {
  int status = 0;  // as the tool's exit status
  std::vector<std::string> damage;
  std::optional<std::string> refused;  // why nothing was looked at
};
// What the command does, without a process of its own.
Verdict RunVerify(const std::string& path);

// The N of the first "at offset N" in a message.
std::optional<std::uint64_t> OffsetIn(const std::string& message);

}  // namespace waypost
