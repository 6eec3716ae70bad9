#include "restore/tensor_loader.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/log.h"
#include "base/units.h"
#include "io/network_file.h"
#include "restore/bundle_reader.h"
#include "restore/mapped_load.h"
#include "restore/v1_load.h"
#include "restore/window_load.h"

namespace waypost {
namespace {

// From here on the cache is quicker than the drive, although the rest comes through it as well.
constexpr std::uint64_t kHotPercent = 80;

// Reads of no more than this gain from the cache's read-ahead, and a drive's answer to each by
// itself takes longer than all else: a hundred thousand small tensors, one after the other.
constexpr std::uint64_t kSmallBytes = kMiB;

bool IsSmall(std::span<const LoadPart> parts) {
  std::uint64_t wanted = 0;
  for (const FileRange& range : RangesOf(parts, kWindowBytes)) wanted += range.end - range.begin;
  return wanted <= kSmallBytes;
}

bool IsHot(const DataFile& file, std::span<const LoadPart> parts) {
  std::uint64_t wanted = 0;
  std::uint64_t cached = 0;
  for (const FileRange& range : RangesOf(parts, kWindowBytes)) {
    const std::optional<std::uint64_t> bytes = file.CachedBytes(range.begin, range.end);
    if (!bytes) return false;
    wanted += range.end - range.begin;
    cached += std::min(*bytes, range.end - range.begin);  // counted in whole pages
  }
  return static_cast<double>(cached) * 100 >= static_cast<double>(wanted) * kHotPercent;
}

// nullptr: the windows will do.
std::unique_ptr<MappedFile> TryMap(const DataFile& file) {
  try {
    return file.Map();
  } catch (const Error& error) {
    LogWarning(fmt::format("{}; it is read through windows", error.what()));
    return nullptr;
  }
}

// Reports what is wrong with a part that can be seen without reading.  False: nothing is to be
// read.
bool MayBeRead(const StoredCheckpoint& reader, const LoadPart& part, PresenceCheck& presence,
               PartConsumer& consumer) {
  if (part.begin == part.end) {
    if (HasByteChecksum(*part.tensor) && part.extent->size_bytes == 0 && part.extent->crc32c != 0) {
      consumer.OnDamage(
          part, Error(Code::kDataLoss,
                      fmt::format("{}: checksum mismatch of no bytes", PartContext(reader, part))));
    } else {
      consumer.OnPartDone(part);
    }
    return false;
  }
  try {
    presence.Require(part);
    return true;
  } catch (const Error& error) {
    consumer.OnDamage(part, error);
    return false;
  }
}

}  // namespace

TensorLoader::TensorLoader(FileSystem& fs, BufferPool& pool, const TensorLoaderOptions& options)
    : fs_(fs), pool_(pool), options_(options) {
  if (options_.windows_max == 0) options_.windows_max = pool.window_count();
}

void TensorLoader::Load(const StoredCheckpoint& reader, std::vector<LoadPart> parts,
                        PartConsumer& consumer) {
  if (reader.v1() != nullptr)
    return LoadV1(reader, std::move(parts), consumer, pool_, options_.stop);
  PresenceCheck presence(reader);
  std::erase_if(parts,
                [&](const LoadPart& part) { return !MayBeRead(reader, part, presence, consumer); });
  SortByPlace(parts);
  for (std::size_t begin = 0; begin < parts.size();) {
    std::size_t end = begin + 1;
    while (end < parts.size() && parts[end].extent->shard == parts[begin].extent->shard) ++end;
    LoadFile(*reader.bundle(), std::span(parts).subspan(begin, end - begin), consumer);
    begin = end;
  }
}

void TensorLoader::LoadFile(const BundleReader& reader, std::span<const LoadPart> parts,
                            PartConsumer& consumer) {
  const int shard = parts.front().extent->shard;
  const std::shared_ptr<DataFile> file = reader.RequireDataFile(shard);
  const bool is_small = IsSmall(parts);
  if (options_.past_cache) file->DropCached();
  const bool is_hot = !options_.past_cache && (is_small || IsHot(*file, parts));
  if (is_hot && !is_small && !IsNetworkFile(reader.DataFilePath(shard)) &&
      std::ranges::all_of(parts,
                          [&](const LoadPart& part) { return consumer.TakesMapped(part); })) {
    if (const std::unique_ptr<MappedFile> mapping = TryMap(*file)) {
      LoadMapped(reader, *mapping, parts, consumer, options_.stop);
      return;
    }
  }
  WindowLoad(reader, *file, parts, consumer, pool_, Ring(),
             {.windows_max = options_.windows_max, .through_cache = is_hot, .stop = options_.stop})
      .Run();
}

IoRing& TensorLoader::Ring() {
  if (!ring_) {
    ring_ = std::make_unique<IoRing>(
        fs_.MakeIoBackend({.depth = options_.windows_max, .staging = pool_.memory()}));
  }
  return *ring_;
}

}  // namespace waypost
