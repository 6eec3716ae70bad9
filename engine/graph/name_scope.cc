// Names as TensorFlow makes them: scopes, uniqueness, validity.
#include <fmt/format.h>

#include <algorithm>

#include "graph/graph_model.h"
#include "waypost/error.h"

namespace waypost {
namespace {

bool IsAlphanumeric(char c) noexcept {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

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

std::string LowerCase(std::string text) {
  for (char& c : text) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return text;
}

}  // namespace

std::string Graph::Impl::FullName(std::string_view name) const {
  return scope_.empty() ? std::string(name) : fmt::format("{}/{}", scope_, name);
}

std::string Graph::Impl::UniqueName(std::string_view name) {
  CheckName(name, scope_.empty());
  const std::string full_name = FullName(name);
  const std::string key = LowerCase(full_name);
  const int asked_before = names_in_use_[key]++;
  if (asked_before == 0) return full_name;
  // "loss" asked for a second time tries loss_1 first; that one may have been taken under its own
  // name.
  for (int suffix = asked_before;; ++suffix) {
    if (names_in_use_.try_emplace(fmt::format("{}_{}", key, suffix), 1).second) {
      return fmt::format("{}_{}", full_name, suffix);
    }
  }
}

void Graph::Impl::EnterScope(const std::string& name) {
  if (name.empty()) {
    scope_.clear();
  } else if (name.back() == '/') {
    CheckName(name, true);
    scope_ = name.substr(0, name.size() - 1);
  } else {
    scope_ = UniqueName(name);
  }
}

NameScope::NameScope(Graph& graph, const std::string& name)
    : graph_(&graph), outer_(graph.impl().scope()) {
  graph.impl().EnterScope(name);
  const std::string& scope = graph.impl().scope();
  name_ = scope.empty() ? scope : scope + '/';
}

NameScope::~NameScope() { graph_->impl().set_scope(std::move(outer_)); }

}  // namespace waypost
