// VarList: which variables a Saver saves, and under which names.
//
//   {.var_list = {}}                                   all variables of the graph
//   {.var_list = {kernel, bias}}                       these, under their own names
//   {.var_list = {{"weights", kernel}, {"b", bias}}}   under names of the checkpoint's own
//   {.var_list = {{"table", parts}}}                   the slices of a partitioned variable
//
// The rules are those of TensorFlow's var_list (python/training/saving/saveable_object_util.py);
// the Saver checks them when it is built.
#pragma once

#include <initializer_list>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "waypost/graph.h"

namespace waypost {

// A variable, or slices of one partitioned variable.
class VariableOrSlices {
 public:
  // NOLINTBEGIN(google-explicit-constructor): {a, b, parts} is the point
  VariableOrSlices(Variable variable) : variables_({std::move(variable)}) {}
  VariableOrSlices(std::vector<Variable> slices) : variables_(std::move(slices)), is_list_(true) {}
  VariableOrSlices(std::initializer_list<Variable> slices) : variables_(slices), is_list_(true) {}
  // NOLINTEND(google-explicit-constructor)

  const std::vector<Variable>& variables() const noexcept { return variables_; }
  bool is_list() const noexcept { return is_list_; }

 private:
  std::vector<Variable> variables_;
  bool is_list_ = false;
};

class VarList {
 public:
  using NamedItem = std::pair<std::string, VariableOrSlices>;

  // The graph's collection `variables`, as it is when the Saver is built.
  VarList() = default;
  // A list: each variable goes under its own name, a slice of a partitioned variable under the
  // partitioned variable's, so that all slices of one name are one tensor of the checkpoint.
  // Slices that are left out are holes in it.
  // NOLINTBEGIN(google-explicit-constructor): options are written as braces
  VarList(std::initializer_list<VariableOrSlices> items);
  VarList(const std::vector<Variable>& variables);
  // A map from names in the checkpoint.  A single variable is a whole tensor there, even if it is a
  // slice in the graph; a list has slices of one partitioned variable.
  VarList(std::initializer_list<NamedItem> items) : named_(items) {}
  VarList(const std::map<std::string, VariableOrSlices>& items)
      : named_(std::in_place, items.begin(), items.end()) {}
  // NOLINTEND(google-explicit-constructor)

  // At most one of them is set.
  const std::optional<std::vector<Variable>>& listed() const noexcept { return listed_; }
  const std::optional<std::vector<NamedItem>>& named() const noexcept { return named_; }

 private:
  std::optional<std::vector<Variable>> listed_;
  std::optional<std::vector<NamedItem>> named_;
};

}  // namespace waypost
