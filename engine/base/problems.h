// Problems: all that is wrong with a request, for one message of bounded length.
#pragma once

#include <fmt/format.h>

#include <cstddef>
#include <string>

#include "waypost/error.h"

namespace waypost {

class Problems {
 public:
  void Add(Code code, const std::string& text) {
    code_ = count_ == 0 || code_ == code ? code : Code::kInvalidArgument;
    ++count_;
    if (count_ <= kListedMax) text_ += (text_.empty() ? "" : "; ") + text;
  }

  bool empty() const noexcept { return count_ == 0; }

  // "CONTEXT: PROBLEM; PROBLEM", with the code that all of them have, else kInvalidArgument.
  void ThrowIfAny(const std::string& context) const {
    if (count_ == 0) return;
    throw Error(
        code_,
        fmt::format("{}: {}{}", context, text_,
                    count_ > kListedMax ? fmt::format("; and {} more", count_ - kListedMax) : ""));
  }

 private:
  static constexpr std::size_t kListedMax = 20;

  std::size_t count_ = 0;
  Code code_ = Code::kInvalidArgument;
  std::string text_;
};

}  // namespace waypost
