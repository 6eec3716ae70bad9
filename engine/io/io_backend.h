// IoBackend: reads and writes at offsets, submitted and completed apart.
//
// This is what IoRing drives.  A backend only starts transfers and reports what became of them:
// short transfers, EINTR and EAGAIN are passed up as they are and settled in IoRing, once for all
// backends.
//
// Threads:  one thread at a time, and another one only while nothing is in flight: a request
// belongs
//           to the thread that submitted it.  IoBackendOptions::one_thread promises more.
// Errors:   a completion carries bytes or -errno; nothing here throws for a failed transfer.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace waypost {

class DataFile;

struct IoRequest {
  enum class Kind : std::uint8_t { kRead, kWrite };
  Kind kind = Kind::kRead;
  DataFile* file = nullptr;   // must live until the completion
  std::byte* data = nullptr;  // read: written by the backend until the completion; write: only read
  std::size_t size = 0;
  std::uint64_t offset = 0;
  std::uint64_t tag = 0;  // the submitter's; comes back with the completion
  // A read of bytes that are in the page cache: through it, not past it.
  bool through_cache = false;
};

struct IoCompletion {
  std::uint64_t tag = 0;
  std::int64_t result = 0;  // bytes transferred (0 when reading at the end of the file), or -errno
};

enum class IoBackendKind : std::uint8_t {
  kBest,         // io_uring where it works, else threads
  kUring,        // io_uring; making the backend fails where it does not work
  kThreads,      // a few threads that read and write; they start with the first requests
  kSynchronous,  // done while it is submitted: for a small file, where nothing else is worth its
                 // start
};

// What a backend is made for.
struct IoBackendOptions {
  std::size_t depth = 16;  // as many as the staging ring has windows
  IoBackendKind kind = IoBackendKind::kBest;
  // The thread that makes the backend is the only one that will ever use or destroy it.  io_uring
  // then leaves completions to that thread; used by another, the backend stops the process.
  bool one_thread = false;
  // Memory that most transfers use; a backend may register it with the kernel.  It must outlive the
  // backend.
  std::span<std::byte> staging = {};
};

class IoBackend {
 public:
  // Waits for what is in flight, whose completions are lost: IoRing leaves none.
  virtual ~IoBackend() = default;
  // Requires: fewer than depth() requests are in flight.
  virtual void Submit(const IoRequest& request) = 0;
  // Waits for at least one completion and gives those that are there, at most `completions.size()`,
  // in any order.  Requires: a request is in flight.
  virtual std::size_t Wait(std::span<IoCompletion> completions) = 0;
  // The same without waiting: gives those that are there, perhaps none.
  virtual std::size_t Poll(std::span<IoCompletion> completions) = 0;
  // Requests that may be in flight at once.
  virtual std::size_t depth() const noexcept = 0;
  // What `waypost bench` and the log call it: "io_uring", "threads".
  virtual std::string_view name() const noexcept = 0;
  // Why it is used and not a better one; empty when it is the best or was asked for.
  virtual std::string reason() const { return {}; }
};

}  // namespace waypost
