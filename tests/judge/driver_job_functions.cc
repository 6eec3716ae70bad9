#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "driver_functions.h"
#include "driver_values.h"

namespace waypost {
namespace {

using nlohmann::json;

// {"list": [NAME]}, or {"map": {KEY: NAME or [NAME of a part]}}.
VarList ReadVarList(const json& told, const Job& job) {
  if (told.contains("list")) {
    std::vector<Variable> variables;
    for (const std::string name : told.at("list")) {
      const VariableOrSlices found = job.Find(name);
      variables.insert(variables.end(), found.variables().begin(), found.variables().end());
    }
    return variables;
  }
  std::map<std::string, VariableOrSlices> items;
  for (const auto& [key, value] : told.at("map").items()) {
    if (value.is_string()) {
      items.emplace(key, job.Find(value));
      continue;
    }
    std::vector<Variable> parts;
    for (const std::string name : value) parts.push_back(job.variables().at(name));
    items.emplace(key, parts);
  }
  return items;
}

SaverOptions ReadSaverOptions(const json& told, const Job& job) {
  SaverOptions options;
  if (told.contains("var_list")) options.var_list = ReadVarList(told.at("var_list"), job);
  options.reshape = told.value("reshape", options.reshape);
  if (told.contains("max_to_keep")) {
    const json& count = told.at("max_to_keep");
    options.max_to_keep = count.is_null() ? 0 : count.get<int>();
  }
  options.keep_checkpoint_every_n_hours =
      told.value("keep_checkpoint_every_n_hours", options.keep_checkpoint_every_n_hours);
  options.sharded = told.value("sharded", options.sharded);
  options.name = told.value("name", options.name);
  options.restore_sequentially = told.value("restore_sequentially", options.restore_sequentially);
  options.defer_build = told.value("defer_build", options.defer_build);
  options.allow_empty = told.value("allow_empty", options.allow_empty);
  options.write_version = told.value("write_version", options.write_version);
  options.pad_step_number = told.value("pad_step_number", options.pad_step_number);
  options.save_relative_paths = told.value("save_relative_paths", options.save_relative_paths);
  options.filename = told.value("filename", options.filename);
  options.now_seconds = job.Clock();
  return options;
}

SaverSaveOptions ReadSaveOptions(const json& told, const Job& job) {
  SaverSaveOptions options;
  if (told.contains("global_step")) {
    const json& step = told.at("global_step");
    options.global_step = step.is_number() ? GlobalStep(step.get<std::int64_t>())
                                           : GlobalStep(job.variables().at(step.at("variable")));
  }
  options.latest_filename = told.value("latest_filename", options.latest_filename);
  options.meta_graph_suffix = told.value("meta_graph_suffix", options.meta_graph_suffix);
  options.write_meta_graph = told.value("write_meta_graph", options.write_meta_graph);
  options.write_state = told.value("write_state", options.write_state);
  options.strip_default_attrs = told.value("strip_default_attrs", options.strip_default_attrs);
  return options;
}

json NewSaver(Job& job, const json& command) {
  job.NewSaver(command.at("saver"), ReadSaverOptions(command.at("options"), job));
  return nullptr;
}

json Set(Job& job, const json& command) {
  job.session().Initialize();
  for (const auto& [name, value] : command.at("values").items()) {
    SetValue(job.session().Value(job.variables().at(name)), value);
  }
  return nullptr;
}

json Get(Job& job) {
  json values = json::object();
  for (const auto& [name, variable] : job.variables()) {
    values[name] = GetValue(job.session().Value(variable));
  }
  return values;
}

json Save(Job& job, const json& command) {
  return job.saver(command.at("saver"))
      .Save(job.session(), command.at("path"), ReadSaveOptions(command.at("options"), job));
}

json Definition(const Saver& saver) {
  const std::optional<SaverDef> def = saver.AsSaverDef();
  if (!def) return nullptr;
  return {{"filename_tensor_name", def->filename_tensor_name},
          {"save_tensor_name", def->save_tensor_name},
          {"restore_op_name", def->restore_op_name},
          {"max_to_keep", def->max_to_keep},
          {"sharded", def->sharded},
          {"keep_checkpoint_every_n_hours", def->keep_checkpoint_every_n_hours},
          {"version", def->version}};
}

}  // namespace

DriverFunctions JobFunctions(Job& job) {
  const auto saver = [&job](const json& command) -> Saver& {
    return job.saver(command.at("saver"));
  };
  return {
      {"start", [&job](const json& c) { return job.Start(c.at("variables")), json(); }},
      {"clock", [&job](const json& c) { return job.SetSeconds(c.at("seconds")), json(); }},
      {"set", [&job](const json& c) { return Set(job, c); }},
      {"get", [&job](const json&) { return Get(job); }},
      {"new_saver", [&job](const json& c) { return NewSaver(job, c); }},
      {"save", [&job](const json& c) { return Save(job, c); }},
      {"restore",
       [&job, saver](const json& c) {
         return saver(c).Restore(job.session(), c.at("path")), json();
       }},
      {"build", [saver](const json& c) { return saver(c).Build(), json(); }},
      {"as_saver_def", [saver](const json& c) { return Definition(saver(c)); }},
      {"last_checkpoints", [saver](const json& c) { return saver(c).last_checkpoints(); }},
      {"set_last_checkpoints",
       [saver](const json& c) { return saver(c).SetLastCheckpoints(c.at("paths")), json(); }},
      {"set_last_checkpoints_with_time",
       [saver](const json& c) {
         std::vector<std::pair<std::string, double>> checkpoints;
         for (std::size_t i = 0; i < c.at("paths").size(); ++i) {
           checkpoints.emplace_back(c.at("paths").at(i), c.at("seconds").at(i));
         }
         return saver(c).SetLastCheckpointsWithTime(checkpoints), json();
       }},
      {"recover_last_checkpoints",
       [saver](const json& c) { return saver(c).RecoverLastCheckpoints(c.at("paths")), json(); }},
  };
}

}  // namespace waypost
