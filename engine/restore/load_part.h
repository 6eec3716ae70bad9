// LoadPart and PartConsumer: what is to be read of a checkpoint, and who gets it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <stop_token>
#include <string>
#include <unordered_map>
#include <vector>

#include "format/tensor_index.h"
#include "restore/stored_checkpoint.h"
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

// Whether the stored checksums are those of the stored bytes.  Those of strings and variants are of
// another kind, and whoever decodes them checks them.
bool HasByteChecksum(const StoredTensor& tensor) noexcept;

// Ascending by data file and place in it.
void SortByPlace(std::vector<LoadPart>& parts);

struct FileRange {
  std::uint64_t begin = 0;
  std::uint64_t end = 0;
};
// The ranges of their file that `parts` lie in, those not more than `gap_max` apart in one.
// Requires: parts of one file, sorted.
std::vector<FileRange> RangesOf(std::span<const LoadPart> parts, std::uint64_t gap_max);

// Whoever is given the bytes of parts.  A part's calls come from one thread, one after the other.
class PartConsumer {
 public:
  virtual ~PartConsumer() = default;
  // The next bytes of a part, `offset` counted from the start of the extent; ascending and without
  // gaps.  Bytes whose chunk is complete are verified, the others not yet; all are gone after
  // OnWindowDone.
  virtual void OnBytes(const LoadPart& part, std::uint64_t offset,
                       std::span<const std::byte> bytes) = 0;
  // For a consumer that copies the bytes and computes their CRC in one pass: takes them, and
  // returns their CRC appended to `crc32c`.  They are not verified at all yet.  nullopt: OnBytes is
  // called for them.  The answer must be of one kind for all bytes of a part.
  virtual std::optional<std::uint32_t> Copy(const LoadPart& /*part*/, std::uint64_t /*offset*/,
                                            std::span<const std::byte> /*bytes*/,
                                            std::uint32_t /*crc32c*/) {
    return std::nullopt;
  }
  // Whether it looks only once at the bytes it is given.  Then they may be those of a mapped file,
  // which somebody may overwrite between the check and a second look.
  virtual bool TakesMapped(const LoadPart& /*part*/) const { return false; }
  // Of a V1 checkpoint, instead of OnBytes and OnPartDone: all elements of a string part, verified.
  virtual void OnStrings(const LoadPart& /*part*/, std::vector<std::string> /*strings*/) {}
  // All of the part was handed on, and it is what was saved.
  virtual void OnPartDone(const LoadPart& part) = 0;
  // The part is damaged or cannot be read; nothing more comes of it.  Throwing ends the loading.
  virtual void OnDamage(const LoadPart& part, const Error& error) = 0;
  // The bytes handed on since the last call are about to be overwritten.
  virtual void OnWindowDone() {}
};

// Throws kCancelled when a stop is requested: what ends a loading that is no longer wanted.
void ThrowIfStopped(const std::stop_token& stop);

// "FILE: tensor NAME at offset N": how every message about stored bytes of a bundle begins.
std::string PartContext(const StoredCheckpoint& reader, const LoadPart& part);

// Whether data files hold what an index says: what can be known before reading, and before memory
// is allocated.  Each file is looked at once.  Of a V1 checkpoint that is known since it was
// opened.
class PresenceCheck {
 public:
  explicit PresenceCheck(const StoredCheckpoint& reader) : reader_(reader) {}
  // Throws when the part's data file is missing (kNotFound) or ends before the part (kDataLoss).
  void Require(const LoadPart& part);

 private:
  const StoredCheckpoint& reader_;
  std::unordered_map<int, std::optional<std::uint64_t>> file_bytes_;  // by shard; nullopt: missing
};

// The same for one part.
void RequirePresent(const StoredCheckpoint& reader, const LoadPart& part);

}  // namespace waypost
