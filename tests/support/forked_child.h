// RunInChild runs a piece of a test in a process of its own: it may take rights away from itself,
// forbid system calls, and be looked at for what it wrote to stderr.
//
// Requires: no other thread runs.
#pragma once

#include <functional>
#include <initializer_list>
#include <string>

namespace waypost {

struct ChildResult {
  bool passed = false;  // it ended by itself, without an exception or a failed expectation
  std::string error;    // its stderr
};

ChildResult RunInChild(const std::function<void()>& body);

// From now on these system calls of the process fail.  False when the kernel has no such filters.
struct ForbiddenCall {
  int number = 0;
  int errno_value = 0;
  // Only calls whose third argument has one of these bits; 0: all.
  unsigned third_argument_bits = 0;
};
bool ForbidCalls(std::initializer_list<ForbiddenCall> calls);

// How often `part` is in `text`.
std::size_t CountOf(const std::string& text, const std::string& part);

}  // namespace waypost
