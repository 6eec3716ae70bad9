// V1Reader: an opened checkpoint of TensorFlow's old format, its files mapped.
//
//   FindV1Files -> [V1Reader] -> V1Values -> StoredCheckpoint, tools
//
// The first entry of each file says which slices of which tensors the file has; slices of several
// files are joined under the tensor's name.  That is read and judged when the reader is made: of
// every tensor the following holds then, and else it is kDataLoss:
//   - it has a name, a dtype that V1 has, and a shape whose bytes fit 63 bits;
//   - all that say something of it agree in dtype and shape;
//   - slices lie within it and do not overlap;
//   - its elements have room in its files.
// Elements are looked for by the key of their slice, and judged when they are asked for: there is
// no place in a file to be told beforehand, and no checksum but that of the table's block.
//
// A sharded checkpoint must have all of its shards: what a missing one holds nobody can tell.
// While a save replaces files (v1_save.cc), all that are opened are of one save.
//
// Threads:  any, at once.
// Errors:   kNotFound without the files, kInvalidArgument for a version that we may not read,
//           kDataLoss for damage; messages name the file and the tensor.
// Lifetime: `fs` is borrowed.  The files stay mapped as long as the reader lives, whatever becomes
//           of their names.  Whoever cuts one in place (nobody does that who replaces files by
//           rename) may kill this process with SIGBUS.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "format/tensor_index.h"
#include "format/v1_files.h"
#include "io/file_system.h"
#include "waypost/error.h"

namespace waypost {

class V1Reader final : public TensorIndex {
 public:
  // `path`: the file, or PREFIX-?????-of-NNNNN.
  V1Reader(FileSystem& fs, const std::string& path);
  ~V1Reader() override;
  V1Reader(const V1Reader&) = delete;
  V1Reader& operator=(const V1Reader&) = delete;

  int file_count() const noexcept { return static_cast<int>(files_.size()); }
  const std::string& FilePath(int file) const noexcept;

  // In an extent `shard` is the number of its file, `size_bytes` what the elements take in memory
  // (0 for strings); `offset` is another number for each, and without further meaning.
  const std::vector<TensorReference>& tensors() const override { return references_; }
  const StoredTensor* Find(std::string_view name) const override;

  // One stored slice.
  struct Slice {
    const StoredTensor* tensor = nullptr;
    const StoredExtent* extent = nullptr;
  };
  // For every slice, by its position: its entry, whose block is verified, or why there is none.
  // The bytes are good for the call only, and may be those of the mapped file.
  struct Visitor {
    std::function<void(std::size_t slice, std::span<const std::byte> entry)> on_entry;
    std::function<void(std::size_t slice, const Error& error)> on_damage;
  };
  // Reads each block that holds one of `slices`, which are of one file, once.
  void ReadSlices(std::span<const Slice> slices, const Visitor& visitor) const;

  // Looks at every byte of every file, also at those that no reading needs.  The reason stands at
  // the end of what ReadSlices says of a slice in a damaged block.
  struct Damage {
    std::string file;
    std::string reason;
  };
  std::vector<Damage> FindDamage() const;

 private:
  class File;
  using TensorsByName = std::unordered_map<std::string, StoredTensor*>;

  bool TryOpen(FileSystem& fs, const std::string& path);
  void AddTensors(int number, TensorsByName& known);
  void JudgeSlices(const StoredTensor& tensor) const;

  std::vector<std::unique_ptr<File>> files_;  // by number
  std::vector<std::unique_ptr<StoredTensor>> tensors_;
  std::vector<TensorReference> references_;  // by name
};

}  // namespace waypost
