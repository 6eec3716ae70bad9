// Child: a program that reports lines on its stdout until it ends or is killed.
//
// Threads: one at a time.  Spawned, not forked: the parent may have threads.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstddef>
#include <string>
#include <vector>

#include "base/unique_fd.h"

namespace waypost {

class Child {
 public:
  // `command`: the program's path and its arguments.  Throws waypost::Error.
  explicit Child(const std::vector<std::string>& command);
  // Kills it if it still runs.
  ~Child();
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  pid_t pid() const noexcept { return pid_; }

  // Reads lines until there are `count` in all, the time is over, or the child has closed its
  // stdout. True when there are so many.
  bool WaitForLines(std::size_t count, std::chrono::nanoseconds timeout);

  // SIGKILL; returns when it is gone.  False when it had ended by itself.
  bool Kill();
  // Waits for its end.  0 when it succeeded.
  int Wait();

  // Complete once it is gone.
  const std::vector<std::string>& lines() const noexcept { return lines_; }

 private:
  // False at the end of the pipe.
  bool ReadSome();
  int Reap();

  pid_t pid_ = -1;
  UniqueFd pipe_;
  std::string line_;  // the beginning of one that is not complete
  std::vector<std::string> lines_;
};

}  // namespace waypost
