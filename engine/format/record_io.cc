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

bool IsMasked(std::uint32_t crc, const std::byte* stored) {
  return LoadFixed<std::uint32_t>(stored) == MaskCrc32c(crc);
}

bool IsMaskedCrcOf(std::span<const std::byte> data, const std::byte* stored) {
  return IsMasked(Crc32c(data), stored);
}

}  // namespace

void AppendRecord(std::string& target, std::string_view data) {
  const std::uint64_t size = data.size();
  AppendFixed(target, size);
  AppendFixed(target, MaskCrc32c(Crc32c(std::as_bytes(std::span(&size, 1)))));
  target += data;
  AppendFixed(target, MaskCrc32c(Crc32c(AsBytes(data))));
}

RangeCrcs::RangeCrcs(std::span<const std::byte> file) : file_(file), steps_({0}) {
  steps_.reserve(file.size() / kStepBytes + 1);
  for (std::size_t begin = 0; file.size() - begin >= kStepBytes; begin += kStepBytes) {
    steps_.push_back(ExtendCrc32c(steps_.back(), file.subspan(begin, kStepBytes)));
  }
}

std::uint32_t RangeCrcs::Of(std::uint64_t begin, std::uint64_t end) const noexcept {
  const std::uint64_t size = end - begin;
  if (size <= 2 * kStepBytes) {
    return Crc32c(file_.subspan(static_cast<std::size_t>(begin), static_cast<std::size_t>(size)));
  }
  // What CombineCrc32c makes of A and B, solved for B.
  return UpTo(end) ^ CombineCrc32c(UpTo(begin), 0, size);
}

std::uint32_t RangeCrcs::UpTo(std::uint64_t end) const noexcept {
  const auto step = static_cast<std::size_t>(end / kStepBytes);
  return ExtendCrc32c(steps_[step],
                      file_.first(static_cast<std::size_t>(end)).subspan(step * kStepBytes));
}

std::optional<std::uint64_t> FindRecord(const RangeCrcs& crcs, std::uint64_t begin) {
  const std::span<const std::byte> file = crcs.file();
  for (; begin + kFrontBytes + kBackBytes <= file.size(); ++begin) {
    const auto rest = file.subspan(static_cast<std::size_t>(begin));
    const auto size = LoadFixed<std::uint64_t>(rest.data());
    if (size > rest.size() - kFrontBytes - kBackBytes) continue;
    const std::uint64_t content = begin + kFrontBytes;
    if (IsMaskedCrcOf(rest.first(sizeof size), rest.data() + sizeof size) &&
        IsMasked(crcs.Of(content, content + size), file.data() + content + size)) {
      return begin;
    }
  }
  return std::nullopt;
}

RecordReader::RecordReader(std::span<const std::byte> file, std::string path, std::uint64_t offset,
                           const RangeCrcs* crcs)
    : file_(file), path_(std::move(path)), offset_(offset), crcs_(crcs) {}

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
  const std::uint64_t begin = offset_ + kFrontBytes;
  const std::uint32_t crc = crcs_ == nullptr ? Crc32c(content) : crcs_->Of(begin, begin + size);
  if (!IsMasked(crc, content.data() + content.size())) {
    throw Error(Code::kDataLoss,
                fmt::format("{}: record at offset {}: checksum mismatch", path_, offset_));
  }
  data = content;
  offset_ += kFrontBytes + size + kBackBytes;
  torn_bytes_ = 0;
  return true;
}

}  // namespace waypost
