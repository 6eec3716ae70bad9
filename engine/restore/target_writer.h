// TargetWriter copies what a loader hands on to the targets of a restore.
//
//   TensorLoader -> [TargetWriter] -> host memory, or Device
//
// Host memory is written in the pass that computes the checksum, so a damaged chunk is in its
// target before it is noticed; the target is undefined then, and the ledger says so.
//
// Threads:  one at a time; each thread of a restore has its own, over one ledger.
// Lifetime: everything is borrowed.
#pragma once

#include <map>
#include <span>
#include <string>
#include <vector>

#include "device/device_registry.h"
#include "device/stream_marks.h"
#include "restore/load_part.h"
#include "restore/restore_ledger.h"
#include "restore/restore_planner.h"

namespace waypost {

// What the writers of one restore share.  Pieces are written by the thread that loads their file.
struct RestoreWork {
  const StoredCheckpoint& reader;
  std::span<const NamedTensor> targets;
  std::vector<Device*> devices;      // the owner of each target's memory
  std::vector<RestorePiece> pieces;  // a LoadPart's `user` is a position in them
  RestoreLedger ledger;
  StreamMarks marks;  // of the caller's stream; copies to devices are behind them
};

class TargetWriter final : public PartConsumer {
 public:
  explicit TargetWriter(RestoreWork& work) : work_(work) {}

  void OnBytes(const LoadPart& part, std::uint64_t offset,
               std::span<const std::byte> bytes) override;
  std::optional<std::uint32_t> Copy(const LoadPart& part, std::uint64_t offset,
                                    std::span<const std::byte> bytes,
                                    std::uint32_t crc32c) override;
  bool TakesMapped(const LoadPart& part) const override;
  void OnStrings(const LoadPart& part, std::vector<std::string> strings) override;
  void OnPartDone(const LoadPart& part) override;
  [[noreturn]] void OnDamage(const LoadPart& /*part*/, const Error& error) override { throw error; }
  // Waits for all copies; those that failed spoil their targets, and the first of them is thrown.
  void OnWindowDone() override;

 private:
  // Copies to one device that are under way, and the targets that they write to.
  struct Started {
    Device* device = nullptr;
    Device::Ticket ticket = 0;
    std::vector<std::size_t> targets;
  };
  // Those that are to be started together: many small ones cost a device as much as a large one.
  struct Gathered {
    std::vector<Device::Copy> copies;
    std::vector<std::size_t> targets;
    std::size_t bytes = 0;
  };

  bool CopiesWithChecksum(const RestorePiece& piece) const;
  // Spoils the targets when it throws.
  void Start(Device& device, Gathered& gathered);
  void Spoil(std::span<const std::size_t> targets);
  std::vector<std::string> TakeStrings(const LoadPart& part);

  RestoreWork& work_;
  std::map<Device*, Gathered> gathered_;
  std::vector<Started> started_;
  std::map<std::size_t, std::string> strings_;  // bytes of the string extents under way, by piece
};

}  // namespace waypost
