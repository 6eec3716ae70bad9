#include "restore/part_feeder.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "base/crc32c.h"
#include "base/errno_error.h"
#include "base/units.h"

namespace waypost {

void PartFeeder::Feed(std::span<const std::byte> bytes) {
  WAYPOST_CHECK(!is_over() && bytes.size() <= part_->end - next_);
  const std::uint64_t offset = next_;
  bool is_copied = false;
  if (!HasByteChecksum(*part_->tensor)) {
    next_ += bytes.size();
  } else if (!Check(bytes, is_copied)) {
    return;
  }
  if (!is_copied) consumer_->OnBytes(*part_, offset, bytes);
  if (next_ == part_->end) consumer_->OnPartDone(*part_);
}

void PartFeeder::Fail(int errno_value) {
  const std::string context = PartContext(*reader_, *part_);
  if (errno_value != 0) {
    Damage(ErrnoError("read", context, errno_value, IoDirection::kRead));
  } else {
    Damage({Code::kDataLoss, fmt::format("{}: the file was cut while it was read", context)});
  }
}

bool PartFeeder::Check(std::span<const std::byte> bytes, bool& is_copied) {
  while (!bytes.empty()) {
    const auto piece = bytes.first(
        static_cast<std::size_t>(std::min<std::uint64_t>(bytes.size(), UnitEnd() - next_)));
    const std::optional<std::uint32_t> copied = consumer_->Copy(*part_, next_, piece, crc32c_);
    is_copied = copied.has_value();
    crc32c_ = is_copied ? *copied : ExtendCrc32c(crc32c_, piece);
    const bool is_unit_over = next_ + piece.size() == UnitEnd();
    next_ += piece.size();
    bytes = bytes.subspan(piece.size());
    if (is_unit_over && !CheckUnit()) return false;
  }
  return true;
}

std::uint64_t PartFeeder::UnitEnd() const noexcept {
  const StoredExtent& extent = *part_->extent;
  if (extent.chunk_crc32c.empty()) return extent.size_bytes;
  return std::min(AlignDown(next_, kChunkBytes) + kChunkBytes, extent.size_bytes);
}

// next_ is at the end of a unit.
bool PartFeeder::CheckUnit() {
  const StoredExtent& extent = *part_->extent;
  const bool is_chunked = !extent.chunk_crc32c.empty();
  const auto chunk = static_cast<std::size_t>((next_ - 1) / kChunkBytes);
  const std::uint32_t stored = is_chunked ? extent.chunk_crc32c[chunk] : extent.crc32c;
  const std::uint32_t computed = std::exchange(crc32c_, 0);
  if (computed == stored) return true;
  LoadPart unit = *part_;
  unit.begin = is_chunked ? chunk * kChunkBytes : 0;
  Damage({Code::kDataLoss, fmt::format("{}: checksum mismatch (stored {:08x}, computed {:08x})",
                                       PartContext(*reader_, unit), stored, computed)});
  return false;
}

void PartFeeder::Damage(const Error& error) {
  is_damaged_ = true;
  consumer_->OnDamage(*part_, error);
}

}  // namespace waypost
