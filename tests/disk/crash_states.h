// CrashStates: what drives may hold when the power goes at some moment of a recorded history.
//
// A drive keeps what was written before its last flush that was done.  Of the later writes it may
// have kept any, also later ones without earlier ones, and a write in part: any of its blocks of
// 4096 bytes, which ext4 takes to be written whole.
#pragma once

#include <cstddef>
#include <cstdint>
#include <random>
#include <span>
#include <string>
#include <vector>

#include "disk/disk_log.h"

namespace waypost {

// How the writes since the last flush fared.
enum class LateWrites { kAllKept, kAllLost, kSomeKept };

class CrashStates {
 public:
  // `initial`: what each disk held at the log's beginning.  Both are borrowed.
  CrashStates(const std::vector<std::string>& initial, const std::vector<DiskEntry>& log);

  // Fills `images`, one for each disk, with what may be left when the power goes after the first
  // `done` entries of the log.  Quickest with `done` that grows from call to call.
  void Make(std::size_t done, LateWrites late, std::mt19937_64& random,
            const std::vector<std::span<std::byte>>& images);

 private:
  void Apply(const DiskEntry& write, std::span<std::byte> image) const;
  void ApplySome(const DiskEntry& write, std::mt19937_64& random, std::span<std::byte> image) const;
  void FlushedUpTo(std::size_t done);

  const std::vector<std::string>& initial_;
  const std::vector<DiskEntry>& log_;
  struct Disk {
    std::string flushed;                 // what no power cut takes away
    std::vector<std::size_t> unflushed;  // entries of the log
  };
  std::vector<Disk> disks_;
  std::size_t done_ = 0;
};

}  // namespace waypost
