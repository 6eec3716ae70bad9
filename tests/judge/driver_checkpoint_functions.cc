#include <fmt/format.h>

#include <cmath>
#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "driver_functions.h"
#include "waypost/checkpoint_state.h"

namespace waypost {
namespace {

using nlohmann::json;

template <typename Value>
json OrNull(const std::optional<Value>& value) {
  return value ? json(*value) : json();
}

// JSON has no infinity and no NaN.
json Seconds(double seconds) {
  return std::isfinite(seconds) ? json(seconds) : json(fmt::format("{}", seconds));
}

json Told(const std::optional<CheckpointState>& state) {
  if (!state) return nullptr;
  json times = json::array();
  for (const double seconds : state->all_model_checkpoint_timestamps) {
    times.push_back(Seconds(seconds));
  }
  return {{"model_checkpoint_path", state->model_checkpoint_path},
          {"all_model_checkpoint_paths", state->all_model_checkpoint_paths},
          {"all_model_checkpoint_timestamps", std::move(times)},
          {"last_preserved_timestamp", OrNull(state->last_preserved_timestamp)}};
}

UpdateCheckpointStateOptions ReadUpdateOptions(const json& command) {
  UpdateCheckpointStateOptions options;
  options.all_model_checkpoint_paths = command.at("all_paths").get<std::vector<std::string>>();
  options.latest_filename = command.at("latest_filename");
  options.all_model_checkpoint_timestamps = command.at("timestamps").get<std::vector<double>>();
  if (const json& last = command.at("last_preserved_timestamp"); !last.is_null()) {
    options.last_preserved_timestamp = last.get<double>();
  }
  options.save_relative_paths = command.at("save_relative_paths");
  return options;
}

}  // namespace

DriverFunctions CheckpointFunctions() {
  return {
      {"chdir",
       [](const json& c) {
         return std::filesystem::current_path(c.at("directory").get<std::string>()), json();
       }},
      {"get_checkpoint_state",
       [](const json& c) {
         return Told(GetCheckpointState(c.at("directory"), c.at("latest_filename")));
       }},
      {"latest_checkpoint",
       [](const json& c) {
         return OrNull(LatestCheckpoint(c.at("directory").get<std::string>(),
                                        c.at("latest_filename").get<std::string>()));
       }},
      {"update_checkpoint_state",
       [](const json& c) {
         UpdateCheckpointState(c.at("directory"), c.at("path"), ReadUpdateOptions(c));
         return json();
       }},
      {"generate_checkpoint_state",
       [](const json& c) {
         return Told(
             GenerateCheckpointState(c.at("directory"), c.at("path"), ReadUpdateOptions(c)));
       }},
      {"checkpoint_exists", [](const json& c) { return CheckpointExists(c.at("path")); }},
      {"get_checkpoint_mtimes", [](const json& c) { return GetCheckpointMtimes(c.at("paths")); }},
      {"remove_checkpoint",
       [](const json& c) {
         RemoveCheckpoint(c.at("path"), c.at("version"), c.at("meta_graph_suffix"));
         return json();
       }},
  };
}

}  // namespace waypost
