// DiskLog: what happened to a recorded disk, in order: writes, flushes, and marks by which a test
// tells where a program was.
//
// disk_recorder appends an entry once the disk has done it and before it says so to the kernel; so
// what a flush in the log comes after is what a drive must have kept.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace waypost {

enum class DiskEvent : std::uint32_t { kWrite = 1, kFlush = 2, kMark = 3 };

// Before the bytes of each entry in the file.
struct DiskEntryHeader {
  DiskEvent event = DiskEvent::kMark;
  std::uint32_t disk = 0;
  std::uint64_t offset = 0;
  std::uint64_t size = 0;
};

struct DiskEntry {
  DiskEvent event = DiskEvent::kMark;
  std::uint32_t disk = 0;
  std::uint64_t offset = 0;
  std::string bytes;  // of a write; a mark's text
};

// The names of the recorder's files, beside its disks "disk0", "disk1", ...
inline constexpr char kMarkFile[] = "mark";      // what is written to it becomes a mark
inline constexpr char kFaultsFile[] = "faults";  // takes DiskFaults

// How the disks are to misbehave from now on.  Writes and flushes are counted from then, those of
// all disks together.
struct DiskFaults {
  static constexpr std::uint64_t kNever = ~std::uint64_t{0};

  // The first that fails with EIO, and how many.  A failed write changes nothing; a write that the
  // recorder gets in pieces counts once, and fails before the first.
  std::uint64_t write_fails_at = kNever;
  std::uint64_t flush_fails_at = kNever;
  std::uint64_t fails_count = 1;
  // The first write that is told to have been done and is not, and how many.
  std::uint64_t write_lost_at = kNever;
  std::uint64_t lost_count = 1;
  // Smaller writes are not counted.
  std::uint64_t write_bytes_min = 0;
  // Each write and flush takes as much longer.
  std::uint64_t delay_us = 0;
};

// Throws waypost::Error for a log that ends within an entry.
std::vector<DiskEntry> ReadDiskLog(const std::string& path);

}  // namespace waypost
