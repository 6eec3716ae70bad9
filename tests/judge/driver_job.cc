#include "driver_job.h"

#include <string>
#include <utility>

#include "driver_values.h"

namespace waypost {

using nlohmann::json;

void Job::Start(const json& variables) {
  savers_.clear();
  variables_.clear();
  partitioned_.clear();
  session_.reset();
  graph_ = std::make_unique<Graph>();
  for (const json& variable : variables) AddVariable(variable);
  session_ = std::make_unique<Session>(engine_, *graph_);
}

void Job::AddVariable(const json& told) {
  const std::string name = told.at("name");
  VariableOptions options;
  options.dtype = DTypeOf(told.at("dtype"));
  options.shape = told.at("shape").get<Shape>();
  options.device = told.at("device");
  options.kind = told.at("resource") ? VariableKind::kResource : VariableKind::kReference;
  if (!told.contains("parts")) {
    variables_.emplace(name, graph_->AddVariable(name, options));
    return;
  }
  std::vector<Variable>& parts = partitioned_[name];
  parts = graph_->AddPartitionedVariable(name, options, told.at("parts"));
  for (std::size_t i = 0; i < parts.size(); ++i) {
    variables_.emplace(name + "/part_" + std::to_string(i), parts[i]);
  }
}

VariableOrSlices Job::Find(const std::string& name) const {
  if (const auto parts = partitioned_.find(name); parts != partitioned_.end()) return parts->second;
  return variables_.at(name);
}

void Job::NewSaver(int number, const SaverOptions& options) {
  savers_.erase(number);
  savers_.emplace(number, Saver(*graph_, options));
}

}  // namespace waypost
