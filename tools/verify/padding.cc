#include "verify/padding.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/crc32c.h"
#include "base/escape.h"
#include "base/units.h"
#include "format/bundle_names.h"

namespace waypost::tool {
namespace {

std::uint32_t Crc32cOfZeros(std::uint64_t size) {
  static constexpr std::array<std::byte, 64 * kKiB> kZeros = {};
  std::uint32_t crc = 0;
  for (; size > 0; size -= std::min<std::uint64_t>(size, kZeros.size())) {
    crc = ExtendCrc32c(crc, std::span(kZeros).first(static_cast<std::size_t>(
                                std::min<std::uint64_t>(size, kZeros.size()))));
  }
  return crc;
}

// Those of the checkpoint's data files that have their names.
std::set<int> ShardsThere(FileSystem& fs, const BundleReader& reader) {
  const std::string base = BaseName(reader.prefix());
  std::set<int> shards;
  for (const std::string& name : fs.List(DirectoryOf(reader.prefix()))) {
    const std::optional<DataName> data = ParseDataName(name);
    if (data && data->prefix == base && data->shard_count == reader.shard_count() &&
        data->shard < data->shard_count) {
      shards.insert(data->shard);
    }
  }
  return shards;
}

}  // namespace

Padding::Padding(FileSystem& fs, const BundleReader& reader,
                 std::span<const TensorIndex::TensorReference> tensors)
    : reader_(reader) {
  padding_.name = "(padding)";
  padding_.dtype = DType::kUInt8;
  std::vector<LoadPart> stored;
  for (const StoredTensor& tensor : tensors) {
    for (const StoredExtent& extent : tensor.extents) stored.push_back(WholeExtent(tensor, extent));
  }
  SortByPlace(stored);
  std::set<int> shards = ShardsThere(fs, reader);
  NoteMissing(shards, stored);
  for (const LoadPart& part : stored) shards.insert(part.extent->shard);
  auto begin = stored.begin();
  for (const int shard : shards) {
    const auto end = std::find_if(
        begin, stored.end(), [shard](const LoadPart& part) { return part.extent->shard != shard; });
    AddFile(shard, {begin, end});
    begin = end;
  }
}

// In one line: an index may say that there are billions.  A tensor tells of its own file.
void Padding::NoteMissing(const std::set<int>& shards_there, std::span<const LoadPart> stored) {
  std::set<int> known = shards_there;
  for (const LoadPart& part : stored) known.insert(part.extent->shard);
  const auto missing = static_cast<std::size_t>(reader_.shard_count()) - known.size();
  if (missing == 0) return;
  int first = 0;
  while (known.contains(first)) ++first;
  const std::string others =
      missing == 1 ? "" : fmt::format(", nor {} others in which there is no tensor", missing - 1);
  damage_.push_back(fmt::format("{}: no such data file{}", reader_.DataFilePath(first), others));
}

void Padding::AddFile(int shard, std::span<const LoadPart> stored) {
  const std::string path = reader_.DataFilePath(shard);
  const std::shared_ptr<DataFile> file = reader_.FindDataFile(shard);
  if (file == nullptr) return;  // told by its tensors, or gone since it was listed
  const std::uint64_t size = file->size();
  std::uint64_t end = 0;
  const StoredTensor* behind = nullptr;
  for (const LoadPart& part : stored) {
    AddGap(shard, end, std::min(part.file_begin(), size), behind);
    if (behind != nullptr && part.file_end() <= end) continue;
    end = part.file_end();
    behind = part.tensor;
  }
  const std::uint64_t written = AlignUp(end, kPageBytes);
  AddGap(shard, end, std::min(written, size), behind);
  if (size == written) return;
  damage_.push_back(
      fmt::format("{}: it ends at offset {} and was written up to {}", path, size, written));
}

void Padding::AddGap(int shard, std::uint64_t begin, std::uint64_t end,
                     const StoredTensor* behind) {
  if (begin >= end) return;
  Gap& gap = gaps_.emplace_back();
  gap.extent.shard = shard;
  gap.extent.offset = begin;
  gap.extent.size_bytes = end - begin;
  gap.extent.crc32c = Crc32cOfZeros(end - begin);
  gap.behind = behind;
  parts_.push_back(WholeExtent(padding_, gap.extent, gaps_.size()));
}

std::string Padding::Describe(const LoadPart& part, std::uint64_t offset) const {
  const StoredTensor* const behind = gaps_[part.user - 1].behind;
  return fmt::format("{}: tensor {} at offset {}: the padding {} it is not zero",
                     reader_.DataFilePath(part.extent->shard),
                     Printable(behind == nullptr ? "" : behind->name), part.file_begin() + offset,
                     behind == nullptr ? "before" : "behind");
}

}  // namespace waypost::tool
