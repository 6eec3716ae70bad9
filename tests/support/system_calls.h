// SystemCalls: the C library's and liburing's functions behind the operating system's files, for a
// test program that is linked with system_calls.cc: its own versions come first, and any call can
// be told to fail or to move fewer bytes, at the n-th time.
//
//   SystemCalls::Inject({.call = "fsync", .at = 2, .errno_value = EIO, .path_part = dir});
//   ...
//   const std::vector<FailedCall> failed = SystemCalls::Clear();
//
// A call that fails is not made, but for close; a transfer of io_uring becomes one of nothing, with
// the error in its completion.  Without a fault everything is passed on.
//
// Threads: any.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace waypost {

struct CallFault {
  std::string call;  // "fsync"; a transfer of io_uring is "uring_write" or "uring_read"
  std::uint64_t at = 0;
  int errno_value = 0;
  // How often in a row from there on.
  std::uint64_t times = 1;
  // Instead of failing, a write or read moves no more; 0: it moves nothing.
  std::optional<std::size_t> short_to = {};
  // Only calls whose path, or that of whose descriptor, contains this.  Calls without a path
  // (threads, rings, memory of windows) are always meant.
  std::string path_part = {};
};

struct FailedCall {
  std::string call;
  std::string path;  // empty: it has none
  int errno_value = 0;
};

class SystemCalls {
 public:
  // One fault at a time.
  static void Inject(const CallFault& fault);
  // No more faults; what has failed, or was cut short, since Inject.
  static std::vector<FailedCall> Clear();
};

}  // namespace waypost
