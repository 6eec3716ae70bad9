// BundleMaker: checkpoints put together by hand, with extents anywhere and with or without chunk
// checksums, on a simulated disk.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/crc32c.h"
#include "base/units.h"
#include "format/bundle_index.h"
#include "format/bundle_names.h"
#include "format/index_maker.h"
#include "support/sim_disk.h"

namespace waypost {

inline std::string RandomBytes(std::size_t size, std::mt19937_64& random) {
  std::string bytes(size, '\0');
  for (std::size_t i = 0; i < size; i += 8) {
    const std::uint64_t word = random();
    std::memcpy(bytes.data() + i, &word, std::min<std::size_t>(8, size - i));
  }
  return bytes;
}

class BundleMaker {
 public:
  struct Place {
    int shard = 0;
    std::uint64_t offset = 0;
    bool has_chunks = false;  // chunk checksums, where the extent is long enough for them
  };

  explicit BundleMaker(int shard_count = 1) { header_.shard_count = shard_count; }

  BundleHeader& header() { return header_; }
  std::string& data(int shard) { return data_[shard]; }

  // A whole tensor, or with `slice` a part of one of `full_shape`.
  void Add(const std::string& name, DType dtype, const Shape& shape, std::string_view bytes,
           const Place& place, const TensorSlice& slice = {}, const Shape& full_shape = {}) {
    std::string& file = data_[place.shard];
    file.resize(std::max(file.size(), place.offset + bytes.size()));
    file.replace(place.offset, bytes.size(), bytes);
    Claim(name, dtype, shape, place, bytes.size(), slice, full_shape);
    added_.back().entry.crc32c = Crc32c(AsBytes(bytes));
    if (!place.has_chunks || bytes.size() <= kChunkBytes) return;
    for (std::size_t begin = 0; begin < bytes.size(); begin += kChunkBytes) {
      added_.back().entry.chunk_crc32c.push_back(Crc32c(AsBytes(bytes.substr(begin, kChunkBytes))));
    }
  }
  // Of what was added last: strings have a checksum of another kind.
  void SetChecksum(std::uint32_t crc32c) { added_.back().entry.crc32c = crc32c; }
  // Bytes that other tensors have put there.
  void AddOver(const std::string& name, const Shape& shape, const Place& place) {
    const auto size = static_cast<std::size_t>(ElementCount(shape));
    const std::string bytes = data_[place.shard].substr(place.offset, size);
    Add(name, DType::kUInt8, shape, bytes, place);
  }
  // An entry without bytes.
  void Claim(const std::string& name, DType dtype, const Shape& shape, const Place& place,
             std::uint64_t size_bytes, const TensorSlice& slice = {},
             const Shape& full_shape = {}) {
    BundleEntry entry;
    entry.dtype_number = static_cast<std::int64_t>(dtype);
    entry.shape = shape;
    entry.shard = place.shard;
    entry.offset = static_cast<std::int64_t>(place.offset);
    entry.size_bytes = static_cast<std::int64_t>(size_bytes);
    entry.has_crc32c = true;
    added_.push_back({name, slice.IsWhole() ? shape : full_shape, slice, std::move(entry)});
  }

  std::string Index() const {
    IndexMaker writer(header_);
    for (const Added& added : added_)
      writer.Add(added.name, added.full_shape, added.slice, added.entry);
    return writer.Finish();
  }
  BundleIndex Parsed() const { return BundleIndex(AsBytes(Index()), "test.index"); }

  SimDisk Disk(const std::string& prefix) const {
    SimDisk disk;
    disk.files[IndexPath(prefix)] = std::make_shared<const std::string>(Index());
    for (const auto& [shard, bytes] : data_) {
      disk.files[DataPath(prefix, shard, header_.shard_count)] =
          std::make_shared<const std::string>(bytes);
    }
    return disk;
  }

 private:
  struct Added {
    std::string name;
    Shape full_shape;
    TensorSlice slice;
    BundleEntry entry;
  };

  BundleHeader header_;
  std::vector<Added> added_;
  std::map<int, std::string> data_;
};

}  // namespace waypost
