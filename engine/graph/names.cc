// What TensorFlow takes as names and dtypes of nodes.  Apart from the rest, since the codec's
// library checks files by it.
#include <fmt/format.h>

#include <algorithm>

#include "graph/graph_model.h"
#include "waypost/error.h"

namespace waypost {
namespace {

bool IsAlphanumeric(char c) noexcept {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

}  // namespace

// The characters that TensorFlow takes: within a scope any name of them, at the root the first one
// is a letter, a digit or a dot.
void CheckName(std::string_view name, bool at_root) {
  const bool characters_valid = std::all_of(name.begin(), name.end(), [](char c) {
    return IsAlphanumeric(c) || std::string_view("_.\\/>-").find(c) != std::string_view::npos;
  });
  const bool first_valid = !name.empty() && (IsAlphanumeric(name.front()) || name.front() == '.');
  if (!characters_valid || (at_root && !first_valid)) {
    throw Error(Code::kInvalidArgument, fmt::format("'{}' is not a valid name in a graph", name));
  }
}

void CheckFullName(const std::string& name) { CheckName(name, true); }

void CheckDType(DType dtype, std::string_view name) {
  if (dtype == DType::kResource || dtype == DType::kVariant ||
      !DTypeFromNumber(static_cast<std::int64_t>(dtype))) {
    throw Error(
        Code::kInvalidArgument,
        fmt::format("{}: a variable or placeholder cannot have dtype {}", name, DTypeName(dtype)));
  }
}

// A slash at the end would ask TensorFlow for exactly that name, used or not; only scopes may.
void CheckNodeName(const std::string& name) {
  if (name.empty() || name.back() == '/') {
    throw Error(Code::kInvalidArgument, fmt::format("'{}' is not a valid name in a graph", name));
  }
}

}  // namespace waypost
