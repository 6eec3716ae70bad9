// Padding: the bytes of Waypost's own data files that are no tensor's.
//
// Nobody reads them; but a checkpoint that is to be called whole must have them as they were
// written: zeros between the tensors and behind the last one, to the end of a page, and no byte
// more (docs/format.md, "Data files").  TensorFlow's files keep no such rule.
//
// Lifetime: reader and tensors are borrowed, the latter for their names.
#pragma once

#include <cstdint>
#include <deque>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "io/file_system.h"
#include "restore/bundle_reader.h"
#include "restore/load_part.h"

namespace waypost::tool {

class Padding {
 public:
  // `tensors`: all of the checkpoint.
  Padding(FileSystem& fs, const BundleReader& reader,
          std::span<const TensorIndex::TensorReference> tensors);

  // Data files that are missing though no tensor tells of it, or of another length than they were
  // written with.
  const std::vector<std::string>& damage() const noexcept { return damage_; }
  // The gaps as parts with the checksum of zeros, to be read in one pass with the tensors'.
  const std::vector<LoadPart>& parts() const noexcept { return parts_; }
  static bool IsPadding(const LoadPart& part) noexcept { return part.user != 0; }
  // That of a gap, counted from its begin, is not zero.
  std::string Describe(const LoadPart& part, std::uint64_t offset) const;

 private:
  struct Gap {
    StoredExtent extent;
    const StoredTensor* behind = nullptr;
  };

  void NoteMissing(const std::set<int>& shards_there, std::span<const LoadPart> stored);
  void AddFile(int shard, std::span<const LoadPart> stored);
  void AddGap(int shard, std::uint64_t begin, std::uint64_t end, const StoredTensor* behind);

  const BundleReader& reader_;
  std::vector<std::string> damage_;
  StoredTensor padding_;  // what the parts are of
  std::deque<Gap> gaps_;  // a deque: places stay
  std::vector<LoadPart> parts_;
};

}  // namespace waypost::tool
