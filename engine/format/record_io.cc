#include "format/record_io.h"

#include <fmt/format.h>

#include <utility>

#include "base/bytes.h"
#include "base/crc32c.h"
#include "waypost/error.h"

namespace waypost {
namespace {

// Length and its checksum before the data, the data's checksum after it.
constexpr std::size_t kFrontBytes = sizeof(std::uint64_t) + sizeof(std::uint32_t);
constexpr std::size_t kBackBytes = sizeof(std::uint32_t);

bool IsMaskedCrcOf(std::span<const std::byte> data, const std::byte* stored) {
  return LoadFixed<std::uint32_t>(stored) == MaskCrc32c(Crc32c(data));
}

}  // namespace

void AppendRecord(std::string& target, std::string_view data) {
  const std::uint64_t size = data.size();
  AppendFixed(target, size);
  AppendFixed(target, MaskCrc32c(Crc32c(std::as_bytes(std::span(&size, 1)))));
  target += data;
  AppendFixed(target, MaskCrc32c(Crc32c(AsBytes(data))));
}

RecordReader::RecordReader(std::span<const std::byte> file, std::string path)
    : file_(file), path_(std::move(path)) {}

bool RecordReader::Next(std::span<const std::byte>& data) {
  const auto rest = file_.subspan(static_cast<std::size_t>(offset_));
  torn_bytes_ = rest.size();
  if (rest.size() < kFrontBytes) return false;
  const auto size = LoadFixed<std::uint64_t>(rest.data());
  if (!IsMaskedCrcOf(rest.first(sizeof size), rest.data() + sizeof size)) {
    throw Error(Code::kDataLoss,
                fmt::format("{}: record at offset {}: checksum of its length does not match", path_,
                            offset_));
  }
  if (rest.size() - kFrontBytes < kBackBytes || size > rest.size() - kFrontBytes - kBackBytes) {
    return false;
  }
  const auto content = rest.subspan(kFrontBytes, static_cast<std::size_t>(size));
  if (!IsMaskedCrcOf(content, content.data() + content.size())) {
    throw Error(Code::kDataLoss,
                fmt::format("{}: record at offset {}: checksum mismatch", path_, offset_));
  }
  data = content;
  offset_ += kFrontBytes + size + kBackBytes;
  torn_bytes_ = 0;
  return true;
}

}  // namespace waypost
