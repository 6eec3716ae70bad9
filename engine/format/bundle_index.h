// BundleIndex: what PREFIX.index says, judged before it is told.
//
//   MappedFile -> TableReader -> [BundleIndex] -> CheckpointReader, Committer, tools
//
// An index may hold a million entries, and who asks for one of them need not wait for all.  So the
// frame is checked when the index is opened, and everything else when it is first asked for:
//   - opening: the footer, the index block with the place of every data block, the header;
//   - Find: the checksum and all entries of the one block that may hold the name, each entry by
//     itself; of a tensor in slices also the blocks of its slices, and the rules between them;
//   - tensors: all of that, for all blocks.
// What is wrong gives kDataLoss with the file, the tensor and the reason, and gives it again when
// it is asked for again.  Of every tensor that Find or tensors() has given the following holds:
//   - its name stands once in the index, and is no key of a slice that a `slices` list names;
//   - dtype is known; shapes have a count that times the element's width fits 63 bits;
//   - size_bytes is what dtype and shape ask for (strings and variants: at least what they must
//     have);
//   - 0 <= offset, offset + size_bytes fits 63 bits, 0 <= shard < shard_count;
//   - slices lie within their tensor, have its dtype and their own shape, do not overlap, and are
//     all that the index has under keys made of the tensor's name;
//   - chunk checksums, where present, are as many as the size asks for and combine to crc32c.
// And of the header: 1 <= shard_count; the version is one we may read; the byte order is one of the
// two.  Whether the data files are long enough is seen when they are read.
//
// Threads:  any, at once.
// Lifetime: tensors stay where they are as long as the index lives, also when it is moved.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "format/tensor_index.h"
#include "wire/bundle_messages.h"

namespace waypost {

class BundleIndex final : public TensorIndex {
 public:
  // `file` is copied, so that nobody can change or cut what is still to be read; `path` is for
  // messages.  Throws kDataLoss, or kInvalidArgument for a version that we may not read.
  BundleIndex(std::span<const std::byte> file, const std::string& path);
  BundleIndex(BundleIndex&& other) noexcept;
  BundleIndex& operator=(BundleIndex&& other) noexcept;
  ~BundleIndex() override;

  const BundleHeader& header() const noexcept;
  // Ascending by name, byte by byte.  Throws kDataLoss.
  const std::vector<TensorReference>& tensors() const override;
  // nullptr when there is none.  Throws kDataLoss.
  const StoredTensor* Find(std::string_view name) const override;

  // Goes on where tensors() would throw.
  struct Survey {
    std::vector<TensorReference> tensors;  // those that the index tells rightly
    std::vector<std::string> damage;       // a line for each; bytes that no reading needs included
  };
  Survey TakeSurvey() const;

 private:
  class Content;
  std::unique_ptr<Content> content_;
};

}  // namespace waypost
