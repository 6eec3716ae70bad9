#include "manage/saver_entries.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>
#include <string>

#include "graph/graph_model.h"
#include "manage/variable_position.h"
#include "waypost/error.h"

namespace waypost {
namespace {

// Everything that goes under one name.
struct Named {
  std::vector<Variable> variables;
  bool is_sliced = false;
};
using ByName = std::map<std::string, Named>;

[[noreturn]] void Refuse(const std::string& why) {
  throw Error(Code::kInvalidArgument, "saver: " + why);
}

ByName FromList(std::vector<Variable> variables) {
  // TensorFlow's order, by the names of tensors: part_10:0 comes before part_1:0.
  std::ranges::stable_sort(variables, {},
                           [](const Variable& variable) { return variable.name() + ":0"; });
  ByName by_name;
  for (const Variable& variable : variables) {
    const bool is_slice = variable.slice().has_value();
    const std::string& name = is_slice ? variable.slice()->full_name : variable.name();
    const auto [place, is_new] = by_name.try_emplace(name);
    Named& named = place->second;
    if (is_new) named.is_sliced = is_slice;
    if (is_slice != named.is_sliced) {
      Refuse(fmt::format("mixing slices and non-slices with the same name: {}", name));
    }
    if (!is_slice && !is_new) {
      Refuse(fmt::format("at least two variables have the same name: {}", name));
    }
    named.variables.push_back(variable);
  }
  return by_name;
}

void RequireSlicesOfOne(const std::string& name, const std::vector<Variable>& slices) {
  if (slices.empty()) Refuse(fmt::format("{}: its list of slices is empty", name));
  for (const Variable& slice : slices) {
    if (!slice.slice()) {
      Refuse(fmt::format("{}: slices must all be slices, {} is none", name, slice.name()));
    }
    if (slice.slice()->full_name != slices.front().slice()->full_name) {
      Refuse(fmt::format("{}: slices must all be from the same tensor: {} != {}", name,
                         slices.front().slice()->full_name, slice.slice()->full_name));
    }
  }
}

ByName FromMap(const std::vector<VarList::NamedItem>& items) {
  ByName by_name;
  for (const auto& [name, item] : items) {
    if (name.empty()) Refuse("a variable has an empty name in the var_list");
    if (item.is_list()) RequireSlicesOfOne(name, item.variables());
    const auto [place, is_new] = by_name.try_emplace(name);
    if (!is_new) Refuse(fmt::format("the var_list has the name {} twice", name));
    place->second = {.variables = item.variables(), .is_sliced = item.is_list()};
  }
  return by_name;
}

ByName Collect(const VarList& list, const Graph& graph) {
  if (list.named()) return FromMap(*list.named());
  return FromList(list.listed() ? *list.listed() : graph.variables(kVariablesKey));
}

void RequireVariablesOf(const Graph& graph, const ByName& by_name) {
  for (const auto& [name, named] : by_name) {
    for (const Variable& variable : named.variables) {
      if (!PositionIn(graph, variable)) {
        Refuse(fmt::format("{}: variable '{}' is not of the saver's graph", name, variable.name()));
      }
    }
  }
}

void RequireOnce(const std::vector<SaverEntry>& entries) {
  std::map<std::size_t, const std::string*> name_of;  // by the variable's node
  for (const SaverEntry& entry : entries) {
    if (!name_of.emplace(entry.variable.output().node, &entry.name).second) {
      Refuse(fmt::format("variable {} is saved twice, the second time as {}", entry.variable.name(),
                         entry.name));
    }
  }
}

}  // namespace

std::vector<SaverEntry> SaverEntries(const VarList& list, const Graph& graph) {
  const ByName by_name = Collect(list, graph);
  RequireVariablesOf(graph, by_name);
  std::vector<SaverEntry> entries;
  for (const auto& [name, named] : by_name) {
    for (const Variable& variable : named.variables) {
      entries.push_back({.name = name, .variable = variable});
      if (!named.is_sliced) continue;
      entries.back().full_shape = variable.slice()->full_shape;
      entries.back().slice = variable.slice()->slice;
    }
  }
  RequireOnce(entries);
  return entries;
}

void PlaceOnDevices(std::vector<SaverEntry>& entries) {
  for (SaverEntry& entry : entries) entry.device = MergeDevices("", entry.variable.device());
}

VarList::VarList(std::initializer_list<VariableOrSlices> items) : listed_(std::in_place) {
  for (const VariableOrSlices& item : items) {
    listed_->insert(listed_->end(), item.variables().begin(), item.variables().end());
  }
}

VarList::VarList(const std::vector<Variable>& variables) : listed_(variables) {}

}  // namespace waypost
