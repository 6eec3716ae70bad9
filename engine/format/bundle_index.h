// BundleIndex: the parsed and judged content of PREFIX.index.
//
//   MappedFile -> TableReader -> [BundleIndex] -> CheckpointReader, Committer, tools
//
// Every value is checked before it is used; what is wrong gives kDataLoss with the file, the tensor
// and the reason.  After Parse the following holds:
//   - 1 <= shard_count; the version is one we may read; the byte order is one of the two;
//   - keys ascend strictly, every key is a tensor's name or a slice key that a `slices` list names;
//   - dtype is known; shapes have a count that times the element's width fits 63 bits;
//   - size_bytes is what dtype and shape ask for (strings and variants: at least what they must
//   have);
//   - 0 <= offset, offset + size_bytes fits 63 bits, 0 <= shard < shard_count;
//   - slices lie within their tensor, have its dtype and their own shape, and do not overlap;
//   - chunk checksums, where present, are as many as the size asks for and combine to crc32c.
// Whether the data files are long enough is seen when they are opened.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "waypost/tensor.h"
#include "wire/bundle_messages.h"

namespace waypost {

// One stored extent: a whole tensor's, or one slice's.
struct StoredExtent {
  TensorSlice slice;  // empty for a tensor stored whole
  int shard = 0;
  std::uint64_t offset = 0;
  std::uint64_t size_bytes = 0;
  std::uint32_t crc32c = 0;  // unmasked
  std::vector<std::uint32_t> chunk_crc32c;
};

struct StoredTensor {
  std::string name;
  DType dtype = DType::kInvalid;
  Shape shape;
  bool is_sliced = false;
  std::vector<StoredExtent> extents;  // one if not sliced; in the order of the `slices` list
};

class BundleIndex {
 public:
  // `path` is for messages.  Throws kDataLoss, or kInvalidArgument for a version that we may not
  // read.
  static BundleIndex Parse(std::span<const std::byte> file, const std::string& path);

  const BundleHeader& header() const noexcept { return header_; }
  // Ascending by name, byte by byte.
  const std::vector<StoredTensor>& tensors() const noexcept { return tensors_; }
  // nullptr when there is none.
  const StoredTensor* Find(std::string_view name) const noexcept;

 private:
  BundleHeader header_;
  std::vector<StoredTensor> tensors_;
};

// What an index is made from; the writer's side.
class BundleIndexWriter {
 public:
  explicit BundleIndexWriter(BundleHeader header);

  // Adds a tensor or slice.  `full_shape` and `slice` as in NamedTensor: an empty slice is a tensor
  // stored whole.  Slices of one name are listed in the order they are added.  Entries may come in
  // any order. A slice as large as the whole is stored as the whole.  `entry` has the stored shape
  // and no slices. Throws kInvalidArgument for a duplicate, for a name both whole and in slices,
  // and for slices of one name that differ in dtype or full shape.
  void Add(const std::string& name, const Shape& full_shape, const TensorSlice& slice,
           const BundleEntry& entry);

  // The bytes of the index file: LevelDB's table, block_size 262144, no compression.
  std::string Finish();

 private:
  void AddWhole(const std::string& name, const BundleEntry& entry);
  void AddSlice(const std::string& name, const Shape& full_shape, const TensorSlice& slice,
                const BundleEntry& entry);

  BundleHeader header_;
  std::map<std::string, std::string> entries_;  // encoded key -> encoded entry
  std::map<std::string, BundleEntry> sliced_;   // name -> the sliced tensor's own entry
};

}  // namespace waypost
