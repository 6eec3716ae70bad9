// The state file of a directory, and the files of a checkpoint.
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include <tuple>

#include "bindings/bindings.h"
#include "waypost/checkpoint_state.h"
#include "waypost/error.h"

namespace waypost::python {
namespace {

// The latest, all paths, their times, the time of the last one that is kept for ever.
using StateTuple =
    std::tuple<std::string, std::vector<std::string>, std::vector<double>, std::optional<double>>;

StateTuple TupleOf(CheckpointState state) {
  return {std::move(state.model_checkpoint_path), std::move(state.all_model_checkpoint_paths),
          std::move(state.all_model_checkpoint_timestamps), state.last_preserved_timestamp};
}

UpdateCheckpointStateOptions OptionsOf(const std::vector<std::string>& paths,
                                       const std::vector<double>& timestamps,
                                       const std::optional<double>& last_preserved) {
  return {.all_model_checkpoint_paths = paths,
          .latest_filename = {},
          .all_model_checkpoint_timestamps = timestamps,
          .last_preserved_timestamp = last_preserved};
}

std::optional<StateTuple> Read(const std::string& directory, const std::string& latest_filename) {
  std::optional<CheckpointState> state = GetCheckpointState(directory, latest_filename);
  if (!state) return std::nullopt;
  return TupleOf(*std::move(state));
}

void Update(const std::string& directory, const std::string& path,
            const std::vector<std::string>& paths, const std::string& latest_filename,
            const std::vector<double>& timestamps, const std::optional<double>& last_preserved) {
  UpdateCheckpointStateOptions options = OptionsOf(paths, timestamps, last_preserved);
  options.latest_filename = latest_filename;
  UpdateCheckpointState(directory, path, options);
}

StateTuple Generate(const std::string& directory, const std::string& path,
                    const std::vector<std::string>& paths, const std::vector<double>& timestamps,
                    const std::optional<double>& last_preserved) {
  return TupleOf(
      GenerateCheckpointState(directory, path, OptionsOf(paths, timestamps, last_preserved)));
}

void Remove(const std::string& prefix, int version, const std::string& meta_graph_suffix) {
  if (version != SaverDef::kV1 && version != SaverDef::kV2) {
    throw Error(Code::kInvalidArgument,
                "remove " + prefix + ": checkpoint_format_version is neither V1 (1) nor V2 (2)");
  }
  RemoveCheckpoint(prefix, static_cast<SaverDef::Version>(version), meta_graph_suffix);
}

}  // namespace

void BindState(nb::module_& module) {
  module.def("checkpoint_state", &Read, nb::arg("directory"), nb::arg("latest_filename"),
             WithoutGil(), "The latest, all paths, their times, the time of the last kept one.");
  module.def("update_checkpoint_state", &Update, nb::arg("directory"), nb::arg("path"),
             nb::arg("paths"), nb::arg("latest_filename"), nb::arg("timestamps"),
             nb::arg("last_preserved").none(), WithoutGil());
  module.def("generate_checkpoint_state", &Generate, nb::arg("directory"), nb::arg("path"),
             nb::arg("paths"), nb::arg("timestamps"), nb::arg("last_preserved").none(),
             WithoutGil());
  module.def("checkpoint_mtimes", &GetCheckpointMtimes, nb::arg("prefixes"), WithoutGil());
  module.def("remove_checkpoint_files", &Remove, nb::arg("prefix"), nb::arg("version"),
             nb::arg("meta_graph_suffix"), WithoutGil());
}

}  // namespace waypost::python
