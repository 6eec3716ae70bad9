#include "disk/crash_states.h"

#include <algorithm>
#include <cstring>

#include "base/bytes.h"
#include "base/check.h"

namespace waypost {
namespace {

constexpr std::size_t kBlockBytes = 4096;

}  // namespace

CrashStates::CrashStates(const std::vector<std::string>& initial, const std::vector<DiskEntry>& log)
    : initial_(initial), log_(log) {
  FlushedUpTo(0);
}

void CrashStates::Make(std::size_t done, LateWrites late, std::mt19937_64& random,
                       const std::vector<std::span<std::byte>>& images) {
  FlushedUpTo(done);
  for (std::size_t i = 0; i < disks_.size(); ++i) {
    WAYPOST_CHECK(images[i].size() == disks_[i].flushed.size());
    std::ranges::copy(AsBytes(disks_[i].flushed), images[i].begin());
    if (late == LateWrites::kAllLost) continue;
    for (const std::size_t write : disks_[i].unflushed) {
      late == LateWrites::kAllKept ? Apply(log_[write], images[i])
                                   : ApplySome(log_[write], random, images[i]);
    }
  }
}

void CrashStates::Apply(const DiskEntry& write, std::span<std::byte> image) const {
  WAYPOST_CHECK(write.offset + write.bytes.size() <= image.size());
  std::memcpy(image.data() + write.offset, write.bytes.data(), write.bytes.size());
}

void CrashStates::ApplySome(const DiskEntry& write, std::mt19937_64& random,
                            std::span<std::byte> image) const {
  const auto fate = random() % 4;
  if (fate == 0) return;
  if (fate < 3) return Apply(write, image);
  for (std::size_t begin = 0; begin < write.bytes.size(); begin += kBlockBytes) {
    if (random() % 2 == 0) continue;
    Apply({.offset = write.offset + begin, .bytes = write.bytes.substr(begin, kBlockBytes)}, image);
  }
}

void CrashStates::FlushedUpTo(std::size_t done) {
  if (disks_.empty() || done < done_) {
    disks_.assign(initial_.size(), {});
    for (std::size_t i = 0; i < initial_.size(); ++i) disks_[i].flushed = initial_[i];
    done_ = 0;
  }
  for (; done_ < done; ++done_) {
    const DiskEntry& entry = log_[done_];
    if (entry.event == DiskEvent::kMark) continue;
    Disk& disk = disks_[entry.disk];
    if (entry.event == DiskEvent::kWrite) {
      disk.unflushed.push_back(done_);
      continue;
    }
    for (const std::size_t write : disk.unflushed) {
      Apply(log_[write], std::as_writable_bytes(std::span(disk.flushed)));
    }
    disk.unflushed.clear();
  }
}

}  // namespace waypost
