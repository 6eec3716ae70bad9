// OwnProcess: tells a forked child from the process that made an object.
//
// A child has none of its parent's threads, and the parent's saves go on: in a child every call is
// refused, and no destructor may touch ring, threads or files.
#pragma once

#include <fmt/format.h>
#include <unistd.h>

#include <string_view>

#include "waypost/error.h"

namespace waypost {

class OwnProcess {
 public:
  bool IsForked() const noexcept { return ::getpid() != pid_; }
  // `what` is the call that is refused: "save", "restore".
  void Require(std::string_view what) const {
    if (IsForked()) {
      throw Error(Code::kFailedPrecondition,
                  fmt::format("{}: this process was forked from the one that made the engine, "
                              "which alone may use it",
                              what));
    }
  }

 private:
  pid_t pid_ = ::getpid();
};

}  // namespace waypost
