// Names as TensorFlow makes them: scopes and uniqueness.
#include <fmt/format.h>

#include "graph/graph_model.h"
#include "waypost/error.h"

namespace waypost {
namespace {

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

std::string Graph::Impl::PeekUniqueName(std::string_view name) const {
  CheckName(name, scope_.empty());
  std::string full_name = FullName(name);
  const std::string key = LowerCase(full_name);
  const auto asked = names_in_use_.find(key);
  if (asked == names_in_use_.end()) return full_name;
  // "loss" asked for a second time tries loss_1 first; that one may have been taken under its own
  // name.
  int suffix = asked->second;
  while (names_in_use_.count(fmt::format("{}_{}", key, suffix)) != 0) ++suffix;
  return fmt::format("{}_{}", full_name, suffix);
}

std::string Graph::Impl::UniqueName(std::string_view name) {
  std::string full_name = PeekUniqueName(name);
  ++names_in_use_[LowerCase(FullName(name))];
  names_in_use_.try_emplace(LowerCase(full_name), 1);
  return full_name;
}

// A name that came with an imported graph; its scopes stay free, as in TensorFlow.
void Graph::Impl::ReserveName(const std::string& full_name) {
  names_in_use_.try_emplace(LowerCase(full_name), 1);
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
