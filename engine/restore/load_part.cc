#include "restore/load_part.h"

#include <fmt/format.h>

#include <algorithm>
#include <tuple>

#include "base/escape.h"
#include "base/units.h"
#include "restore/bundle_reader.h"

namespace waypost {

LoadPart WholeExtent(const StoredTensor& tensor, const StoredExtent& extent, std::size_t user) {
  return {&tensor, &extent, 0, extent.size_bytes, user};
}

LoadPart CoveringPart(const StoredTensor& tensor, const StoredExtent& extent, std::uint64_t begin,
                      std::uint64_t end, std::size_t user) {
  if (extent.chunk_crc32c.empty()) return WholeExtent(tensor, extent, user);
  return {&tensor, &extent, AlignDown(begin, kChunkBytes),
          std::min(AlignUp(end, kChunkBytes), extent.size_bytes), user};
}

bool HasByteChecksum(const StoredTensor& tensor) noexcept {
  return ElementBytes(tensor.dtype) != 0;
}

void SortByPlace(std::vector<LoadPart>& parts) {
  std::sort(parts.begin(), parts.end(), [](const LoadPart& a, const LoadPart& b) {
    return std::tuple(a.extent->shard, a.file_begin(), a.file_end()) <
           std::tuple(b.extent->shard, b.file_begin(), b.file_end());
  });
}

std::vector<FileRange> RangesOf(std::span<const LoadPart> parts, std::uint64_t gap_max) {
  std::vector<FileRange> ranges;
  for (const LoadPart& part : parts) {
    if (ranges.empty() || part.file_begin() > ranges.back().end + gap_max) {
      ranges.push_back({part.file_begin(), part.file_end()});
    } else {
      ranges.back().end = std::max(ranges.back().end, part.file_end());
    }
  }
  return ranges;
}

void ThrowIfStopped(const std::stop_token& stop) {
  if (stop.stop_requested()) throw Error(Code::kCancelled, "the loading was stopped");
}

std::string PartContext(const StoredCheckpoint& reader, const LoadPart& part) {
  return fmt::format("{}: tensor {} at offset {}", reader.DataFilePath(part.extent->shard),
                     Printable(part.tensor->name), part.file_begin());
}

void PresenceCheck::Require(const LoadPart& part) {
  if (reader_.bundle() == nullptr) return;
  auto place = file_bytes_.find(part.extent->shard);
  if (place == file_bytes_.end()) {
    const std::shared_ptr<DataFile> file = reader_.bundle()->FindDataFile(part.extent->shard);
    place = file_bytes_
                .emplace(part.extent->shard,
                         file == nullptr ? std::nullopt : std::optional(file->size()))
                .first;
  }
  const std::optional<std::uint64_t>& file_bytes = place->second;
  if (!file_bytes) {
    const std::optional<std::string> target = reader_.bundle()->LinkOf(part.extent->shard);
    throw Error(Code::kNotFound,
                target ? fmt::format("{}: the file it links to, {}, is missing",
                                     PartContext(reader_, part), *target)
                       : fmt::format("{}: no such data file", PartContext(reader_, part)));
  }
  if (part.file_end() > *file_bytes) {
    throw Error(Code::kDataLoss,
                fmt::format("{}: its {} bytes reach beyond the file's end at {}",
                            PartContext(reader_, part), part.end - part.begin, *file_bytes));
  }
}

void RequirePresent(const StoredCheckpoint& reader, const LoadPart& part) {
  PresenceCheck(reader).Require(part);
}

}  // namespace waypost
