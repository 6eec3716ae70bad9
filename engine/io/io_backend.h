// IoBackend: reads and writes at offsets, submitted and completed apart.
//
// This is what IoRing drives.  A backend only starts transfers and reports what became of them:
// short transfers, EINTR and EAGAIN are passed up as they are and settled in IoRing, once for all
// backends.
//
// Threads:  one thread at a time.
// Errors:   a completion carries bytes or -errno; nothing here throws for a failed transfer.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
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

// What a backend is made for.
struct IoBackendOptions {
  std::size_t depth = 16;  // as many as the staging ring has windows
  // Memory that most transfers use; a backend may register it with the kernel.  It must outlive the
  // backend.
  std::span<std::byte> staging = {};
};

class IoBackend {
 public:
  // Every submitted request must have been completed.
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
  // What `waypost bench` and the log call it: "posix".
  virtual std::string_view name() const noexcept = 0;
};

}  // namespace waypost
