// The commands of saver_driver, by name.
#pragma once

#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <string>

#include "driver_job.h"

namespace waypost {

using DriverFunctions = std::map<std::string, std::function<nlohmann::json(const nlohmann::json&)>>;

// Those that act on a job: its variables and savers.
DriverFunctions JobFunctions(Job& job);
// Those on the state file and on the files of checkpoints.
DriverFunctions CheckpointFunctions();

}  // namespace waypost
