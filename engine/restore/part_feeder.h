// PartFeeder hands the bytes of one part on as they come, and checks them on the way.
//
// Chunk by chunk where the entry has chunk checksums, else against the whole extent's.  A consumer
// that copies gets the bytes while their CRC is computed (PartConsumer::Copy); any other one gets
// them when all complete chunks among them are checked.
//
// Threads: one at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "restore/load_part.h"

namespace waypost {

class PartFeeder {
 public:
  // All are borrowed.
  PartFeeder(const StoredCheckpoint& reader, const LoadPart& part, PartConsumer& consumer)
      : reader_(&reader), part_(&part), consumer_(&consumer), next_(part.begin) {}

  const LoadPart& part() const noexcept { return *part_; }
  // Where in the file the next byte is.
  std::uint64_t file_position() const noexcept { return part_->extent->offset + next_; }
  // Everything was handed on, or the part is damaged.
  bool is_over() const noexcept { return is_damaged_ || next_ == part_->end; }

  // The next bytes.  Requires: !is_over(), and not more bytes than are left.
  void Feed(std::span<const std::byte> bytes);
  // The next bytes cannot be read.  `errno_value`: why, or 0 when the file ends before them.
  void Fail(int errno_value);

 private:
  // Runs the CRC over the bytes.  False, and the damage reported, when a checksum differs.
  bool Check(std::span<const std::byte> bytes, bool& is_copied);
  std::uint64_t UnitEnd() const noexcept;
  bool CheckUnit();
  void Damage(const Error& error);

  const StoredCheckpoint* reader_;
  const LoadPart* part_;
  PartConsumer* consumer_;
  std::uint64_t next_;        // bytes from the start of the extent
  std::uint32_t crc32c_ = 0;  // of the unit under way
  bool is_damaged_ = false;
};

}  // namespace waypost
