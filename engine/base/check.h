// WAYPOST_CHECK: a broken invariant of Waypost itself, never a fault of a caller, a file or a disk.
//
// It is on in every build: going on after one could write a wrong checkpoint.
#pragma once

namespace waypost::internal {

[[noreturn]] void CheckFailed(const char* condition, const char* file, int line) noexcept;

}  // namespace waypost::internal

#define WAYPOST_CHECK(condition)      \
  ((condition) ? static_cast<void>(0) \
               : ::waypost::internal::CheckFailed(#condition, __FILE__, __LINE__))
