#include "io/directory_mark.h"

#include <fmt/format.h>

#include <charconv>
#include <cstdint>
#include <filesystem>
#include <optional>

#include "waypost/error.h"

namespace waypost {
namespace {

// The number and the space at the front of `text`, which is cut off; nullopt when there is none.
std::optional<std::uint64_t> TakeNumber(std::string_view& text) {
  std::uint64_t number = 0;
  const char* const end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, number);
  if (error != std::errc() || rest == end || *rest != ' ') return std::nullopt;
  text.remove_prefix(static_cast<std::size_t>(rest - text.data()) + 1);
  return number;
}

}  // namespace

std::string DirectoryMark(FileSystem& fs, const std::string& directory) {
  const std::optional<FileStat> stat = fs.Stat(directory);
  if (!stat || !stat->is_directory) {
    throw Error(Code::kNotFound, fmt::format("stat {}: there is no such directory", directory));
  }
  return fmt::format("{} {} {}", stat->device, stat->inode,
                     std::filesystem::absolute(directory).lexically_normal().string());
}

bool HasDirectoryMark(FileSystem& fs, const std::string& directory, std::string_view mark) {
  const std::optional<std::uint64_t> device = TakeNumber(mark);
  const std::optional<std::uint64_t> inode = device ? TakeNumber(mark) : std::nullopt;
  if (!inode || !mark.starts_with('/') || mark.find('\0') != std::string_view::npos) return false;
  const std::optional<FileStat> here = fs.Stat(directory);
  if (!here || here->inode != *inode) return false;
  try {
    const std::optional<FileStat> there = fs.Stat(std::string(mark));
    if (there && there->inode == *inode) return there->device == here->device;
    return here->device == *device;
  } catch (const Error& error) {
    // A path that nobody can follow, now or ever: whether the original is there cannot be told.
    if (error.code() != Code::kPermissionDenied && error.code() != Code::kInvalidArgument) throw;
    return false;
  }
}

}  // namespace waypost
