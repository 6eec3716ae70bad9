#include "damage/disk.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "io/file_system.h"
#include "verify/verify.h"
#include "waypost/error.h"

namespace waypost {

std::string ReadAll(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  EXPECT_TRUE(file) << path;
  return {std::istreambuf_iterator<char>(file), {}};
}

void WriteAll(const std::string& path, const std::optional<std::string>& content) {
  if (!content) {
    std::filesystem::remove(path);
    return;
  }
  std::ofstream file(path, std::ios::binary);
  file << *content;
  EXPECT_TRUE(file.flush()) << path;
}

std::vector<std::string> FilesIn(const std::string& directory) {
  std::vector<std::string> files;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(directory)) {
    if (entry.is_regular_file() && !entry.is_symlink()) files.push_back(entry.path());
  }
  std::ranges::sort(files);
  return files;
}

Verdict RunVerify(const std::string& path) {
  Verdict verdict;
  try {
    tool::Verify(PosixFileSystem(), path, {.on_terminal = false},
                 [&](const tool::Findings& findings) {
                   const std::vector<std::string>& lines = findings.damage.lines();
                   verdict.damage.insert(verdict.damage.end(), lines.begin(), lines.end());
                 });
    verdict.status = verdict.damage.empty() ? 0 : 1;
  } catch (const Error& error) {
    verdict.status = 2;
    verdict.refused.emplace(error.what());
  }
  return verdict;
}

std::optional<std::uint64_t> OffsetIn(const std::string& message) {
  constexpr std::string_view kBefore = "at offset ";
  const std::size_t place = message.find(kBefore);
  if (place == message.npos) return std::nullopt;
  std::uint64_t offset = 0;
  const char* const begin = message.data() + place + kBefore.size();
  const auto [end, error] = std::from_chars(begin, message.data() + message.size(), offset);
  return error == std::errc() ? std::optional(offset) : std::nullopt;
}

}  // namespace waypost
