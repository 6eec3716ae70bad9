// AccessLadder: which way each transfer of one file goes.
//
//   O_DIRECT -> RWF_DONTCACHE -> early write-back -> plain            (FileAccess, best first)
//
// A file begins as high as its file system and the options let it, and gives a way up for good when
// a transfer shows that the kernel refuses it.  Direct transfers need memory, offset and length in
// whole blocks; what is not in whole blocks goes the best buffered way.  Files in memory (tmpfs)
// are plain.
//
// Threads: any; a backend's threads ask and learn at once.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <string>

#include "base/unique_fd.h"
#include "io/file_system.h"

namespace waypost {

// How one transfer is to be done.
struct TransferPlan {
  FileAccess access = FileAccess::kPlain;
  int fd = -1;
  int rwf_flags = 0;     // of preadv2, pwritev2 and io_uring
  std::size_t size = 0;  // bytes, perhaps fewer than were asked for
};

class AccessLadder {
 public:
  // `fd` is the open file, borrowed; `flags` and `path` are what it was opened with.  Opens the
  // file a second time for direct transfers.
  AccessLadder(int fd, int flags, const std::string& path, FileAccess best);

  TransferPlan Plan(const IoRequest& request);
  // A transfer done as `plan` says has failed.  True when that way is refused: plan it anew.
  bool ComeDown(const TransferPlan& plan, int errno_value);
  // Begins writing back what a transfer of `plan` has written.  0 or an errno that the transfer
  // failed with after all.
  int WriteBack(const TransferPlan& plan, std::uint64_t offset, std::size_t size);

  // "direct", or "buffered with early write-back (O_DIRECT: ...; RWF_DONTCACHE: ...)".
  std::string Describe() const;

 private:
  void OpenDirect(int flags, const std::string& path);
  void AskAlignment();
  // `way` is not to be tried again.
  void Refuse(FileAccess way, const std::string& reason);
  bool IsAligned(const IoRequest& request) const noexcept;
  // The way of the next transfer that is in whole blocks.
  FileAccess best() const noexcept;
  void ReportOnce();

  const int fd_;
  const std::string path_;
  UniqueFd direct_fd_;
  std::uint64_t alignment_;  // a direct transfer's block
  std::atomic<bool> is_direct_;
  std::atomic<FileAccess> buffered_;  // the best way but direct
  std::atomic<bool> is_reported_;
  mutable std::mutex mutex_;
  std::string reasons_;  // Guarded by mutex_.
};

}  // namespace waypost
