// What a decoder may answer to bad bytes.
#pragma once

#include <algorithm>
#include <initializer_list>

#include "base/check.h"
#include "waypost/error.h"

namespace waypost {

// Calls `function`, which must come back or throw an Error of one of these codes; all others stop
// the process.
template <typename Function>
void TryFor(std::initializer_list<Code> codes, Function function) {
  try {
    function();
  } catch (const Error& error) {
    WAYPOST_CHECK(std::ranges::find(codes, error.code()) != codes.end());
  }
}

// The answers of a decoder of one file.
template <typename Function>
void Try(Function function) {
  TryFor({Code::kDataLoss, Code::kInvalidArgument}, function);
}

}  // namespace waypost
