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
#include "restore/load_part.h"
#include "restore/restore_ledger.h"
#include "restore/restore_planner.h"

namespace waypost {

// What the writers of one restore share.  Pieces are written by the thread that loads their file.
struct RestoreWork {
  const BundleReader& reader;
  std::span<const NamedTensor> targets;
  std::vector<Device*> devices;      // the owner of each target's memory
  std::vector<RestorePiece> pieces;  // a LoadPart's `user` is a position in them
  RestoreLedger ledger;
  void* stream = nullptr;
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
  void OnPartDone(const LoadPart& part) override;
  [[noreturn]] void OnDamage(const LoadPart& /*part*/, const Error& error) override { throw error; }
  // Waits for all copies; those that failed spoil their targets, and the first of them is thrown.
  void OnWindowDone() override;

 private:
  struct PendingCopy {
    Device* device = nullptr;
    Device::Ticket ticket = 0;
    std::size_t target = 0;
  };

  bool CopiesWithChecksum(const RestorePiece& piece) const;
  void AssignStrings(const LoadPart& part, RestorePiece& piece);

  RestoreWork& work_;
  std::vector<PendingCopy> pending_;
  std::map<std::size_t, std::string> strings_;  // bytes of the string extents under way, by piece
};

}  // namespace waypost
