#include "format/index_checks.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <utility>

#include "base/crc32c.h"
#include "base/escape.h"
#include "base/units.h"

namespace waypost {
namespace {

// What this reader understands, as TensorFlow's kTensorBundleVersion and kTensorBundleMinProducer;
// its V1 format has the same numbers.
constexpr std::int32_t kVersion = 1;
constexpr std::int32_t kMinProducer = 0;

constexpr auto kSizeMax = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());

// A name in a message: one line, and not endless.
std::string NameText(std::string_view name) {
  constexpr std::size_t kNameBytesMax = 300;
  if (name.size() <= kNameBytesMax) return Printable(name);
  return Printable(name.substr(0, kNameBytesMax)) + "...";
}

void CheckSize(const BundleEntry& entry, DType dtype, std::uint64_t count,
               const IndexContext& context) {
  if (entry.size_bytes < 0) context.Fail(fmt::format("negative size {}", entry.size_bytes));
  const auto size = static_cast<std::uint64_t>(entry.size_bytes);
  if (dtype == DType::kVariant) return;
  if (dtype == DType::kString) {
    // A byte for each length and four for their checksum; an empty tensor may have nothing at all.
    if (!(count == 0 && size == 0) && (size < 4 || size - 4 < count)) {
      context.Fail(fmt::format("{} bytes are too few for {} strings", size, count));
    }
  } else if (size != count * ElementBytes(dtype)) {
    context.Fail(fmt::format("stored size {} where {} of shape {} has {}", size, DTypeName(dtype),
                             ShapeText(entry.shape), count * ElementBytes(dtype)));
  }
}

void CheckPlace(const BundleEntry& entry, int shard_count, const IndexContext& context) {
  if (entry.offset < 0) context.Fail(fmt::format("negative offset {}", entry.offset));
  if (entry.offset > std::numeric_limits<std::int64_t>::max() - entry.size_bytes) {
    context.Fail(fmt::format("offset {} is implausibly large", entry.offset));
  }
  if (entry.shard < 0 || entry.shard >= shard_count) {
    context.Fail(fmt::format("shard {} where there are {}", entry.shard, shard_count));
  }
}

void CheckChunks(const BundleEntry& entry, DType dtype, const IndexContext& context) {
  if (entry.chunk_crc32c.empty()) return;
  const auto size = static_cast<std::uint64_t>(entry.size_bytes);
  const std::uint64_t count = size > kChunkBytes ? (size - 1) / kChunkBytes + 1 : 0;
  if (ElementBytes(dtype) == 0 || entry.chunk_crc32c.size() != count) {
    context.Fail(fmt::format("{} chunk checksums for {} bytes of {}", entry.chunk_crc32c.size(),
                             size, DTypeName(dtype)));
  }
  std::uint32_t combined = 0;
  std::uint64_t left = size;
  for (const std::uint32_t crc : entry.chunk_crc32c) {
    const std::uint64_t chunk = std::min(left, kChunkBytes);
    combined = CombineCrc32c(combined, crc, chunk);
    left -= chunk;
  }
  if (combined != entry.crc32c) {
    context.Fail("the chunk checksums do not make up the tensor's checksum");
  }
}

}  // namespace

Error IndexContext::Fault(std::string_view reason) const {
  const std::string slice = slice_ == nullptr ? "" : " slice " + SliceText(*slice_);
  return {Code::kDataLoss,
          fmt::format("{}: tensor {}{}: {}", path_, NameText(name_), slice, reason)};
}

BundleHeader CheckedHeader(std::span<const std::byte> value, const std::string& path) {
  auto header = DecodeBundleHeader(value);
  if (!header) throw Error(Code::kDataLoss, path + ": the header cannot be parsed");
  if (header->shard_count < 1) {
    throw Error(Code::kDataLoss,
                fmt::format("{}: the header says {} shards", path, header->shard_count));
  }
  RequireReadable(*header, path);
  return *std::move(header);
}

void RequireReadable(const FormatVersion& version, const std::string& path) {
  const auto& bad = version.bad_consumers;
  if (version.min_consumer > kVersion || std::find(bad.begin(), bad.end(), kVersion) != bad.end()) {
    throw Error(Code::kInvalidArgument,
                fmt::format("{}: asks for a newer reader than version {}", path, kVersion));
  }
  if (version.producer < kMinProducer) {
    throw Error(
        Code::kInvalidArgument,
        fmt::format("{}: written by version {}, which cannot be read", path, version.producer));
  }
}

DType CheckedDType(std::int64_t number, const IndexContext& context) {
  const auto dtype = DTypeFromNumber(number);
  if (!dtype) context.Fail(fmt::format("unknown dtype number {}", number));
  if (*dtype == DType::kResource) context.Fail("dtype resource cannot be stored");
  return *dtype;
}

std::uint64_t CheckedElementCount(const Shape& shape, DType dtype, const IndexContext& context) {
  const auto count =
      static_cast<std::uint64_t>(context.Checked([&] { return ElementCount(shape); }));
  const std::uint64_t width = std::max<std::uint64_t>(ElementBytes(dtype), 1);
  if (count > kSizeMax / width) {
    context.Fail(fmt::format("shape {} has too many bytes", ShapeText(shape)));
  }
  return count;
}

StoredExtent CheckedExtent(BundleEntry& entry, DType dtype, int shard_count,
                           const IndexContext& context) {
  const std::uint64_t count = CheckedElementCount(entry.shape, dtype, context);
  CheckSize(entry, dtype, count, context);
  CheckPlace(entry, shard_count, context);
  CheckChunks(entry, dtype, context);
  StoredExtent extent;
  extent.shard = entry.shard;
  extent.offset = static_cast<std::uint64_t>(entry.offset);
  extent.size_bytes = static_cast<std::uint64_t>(entry.size_bytes);
  extent.crc32c = entry.crc32c;
  extent.chunk_crc32c = std::move(entry.chunk_crc32c);
  return extent;
}

}  // namespace waypost
