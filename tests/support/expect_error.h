// CodeOf and MessageOf: what a call throws, for one-line expectations.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "waypost/error.h"

namespace waypost {

// nullopt when the call throws nothing.
inline std::optional<Code> CodeOf(const std::function<void()>& call) {
  try {
    call();
  } catch (const Error& error) {
    return error.code();
  }
  return std::nullopt;
}

inline std::string MessageOf(const std::function<void()>& call) {
  try {
    call();
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

}  // namespace waypost
