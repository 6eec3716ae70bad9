// TensorLoader streams parts of stored tensors through a few windows, verifies them and hands them
// on.
//
//   RestorePlanner -> [TensorLoader] -> PartConsumer (a restore, a reader's call, verify, diff)
//
// Parts are read in the order of their place in the files; neighbours share a window, so that a
// hundred thousand small tensors cost a few large reads.  Several windows are in flight; their
// content is consumed strictly in order.
//
// Fixed-width tensors are checked against their chunk checksums where the entry has them and the
// whole extent's otherwise.  Strings and variants carry checksums of another kind: their bytes are
// handed on unchecked, and the consumer verifies them when it decodes (string_tensor.h).
//
// Threads:  one thread at a time.
// Errors:   what is wrong with a part goes to PartConsumer::OnDamage; all else throws.
// Lifetime: pool, ring and reader are borrowed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "format/bundle_index.h"
#include "io/io_ring.h"
#include "memory/buffer_pool.h"
#include "restore/bundle_reader.h"
#include "waypost/error.h"

namespace waypost {

// A range of one stored extent.  Where the extent has chunk checksums the range begins and ends at
// chunks (or at the extent's end), else it is the whole extent.
struct LoadPart {
  const StoredTensor* tensor = nullptr;
  const StoredExtent* extent = nullptr;
  std::uint64_t begin = 0;  // bytes from the start of the extent
  std::uint64_t end = 0;
  std::size_t user = 0;  // the consumer's own

  std::uint64_t file_begin() const noexcept { return extent->offset + begin; }
  std::uint64_t file_end() const noexcept { return extent->offset + end; }
};

// The part that reads all of `extent`.
LoadPart WholeExtent(const StoredTensor& tensor, const StoredExtent& extent, std::size_t user = 0);
// The least part that covers [begin, end) of `extent` and can be verified.
LoadPart CoveringPart(const StoredTensor& tensor, const StoredExtent& extent, std::uint64_t begin,
                      std::uint64_t end, std::size_t user = 0);

class PartConsumer {
 public:
  virtual ~PartConsumer() = default;
  // The next bytes of a part, `offset` counted from the start of the extent; ascending and without
  // gaps. They are not verified yet, and are gone after OnWindowDone.
  virtual void OnBytes(const LoadPart& part, std::uint64_t offset,
                       std::span<const std::byte> bytes) = 0;
  // All of the part was handed on, and it is what was saved.
  virtual void OnPartDone(const LoadPart& part) = 0;
  // The part is damaged or cannot be read; nothing more comes of it.  Throwing ends the loading.
  virtual void OnDamage(const LoadPart& part, const Error& error) = 0;
  // The bytes handed on since the last call are about to be overwritten.
  virtual void OnWindowDone() {}
};

class TensorLoader {
 public:
  // At most `windows_max` windows are used at once (at least 1; 0: as many as the pool has).
  TensorLoader(BufferPool& pool, IoRing& ring, std::size_t windows_max = 0);

  // Loads the parts, in any order given.
  void Load(const BundleReader& reader, std::vector<LoadPart> parts, PartConsumer& consumer);

 private:
  BufferPool& pool_;
  IoRing& ring_;
  std::size_t windows_max_;
};

// Throws when the part's data file is missing (kNotFound) or ends before the part (kDataLoss): what
// can be known before reading, and before memory is allocated for it.
void RequirePresent(const BundleReader& reader, const LoadPart& part);

// "FILE: tensor NAME at offset N": how every message about stored bytes begins.
std::string PartContext(const BundleReader& reader, const LoadPart& part);

}  // namespace waypost
