// waypost latest: which checkpoint of a directory is the latest.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>

#include "commands.h"
#include "inspect/terminal.h"
#include "inspect/text.h"
#include "manage/checkpoint_state_files.h"

namespace waypost::tool {
namespace {

struct LatestOptions {
  std::string directory;
  bool json = false;
};

// Throws when there is none.
CheckpointState FindLatest(const std::string& directory) {
  FileSystem& fs = PosixFileSystem();
  fs.List(directory);  // an error of its own when there is no such directory
  const std::string path = StateFilePath(directory);
  std::optional<CheckpointState> state = ReadCheckpointState(fs, directory);
  if (!state)
    throw Error(Code::kFailedPrecondition, path + ": no such file, so no latest checkpoint");
  if (!CheckpointExists(fs, state->model_checkpoint_path)) {
    throw Error(Code::kFailedPrecondition, fmt::format("{}: it names {}, which does not exist",
                                                       path, state->model_checkpoint_path));
  }
  return *std::move(state);
}

ExitStatus Latest(const LatestOptions& options) {
  const CheckpointState state = FindLatest(options.directory);
  if (!options.json) {
    PrintLine(state.model_checkpoint_path);
    return kDone;
  }
  Json all = Json::array();
  for (const std::string& prefix : state.all_model_checkpoint_paths)
    all.push_back(JsonText(prefix));
  Print(JsonLine({{"model_checkpoint_path", JsonText(state.model_checkpoint_path)},
                  {"all_model_checkpoint_paths", std::move(all)}}));
  return kDone;
}

}  // namespace

void AddLatest(CLI::App& program, Action& action) {
  CLI::App* command =
      program.add_subcommand("latest", "Print the latest checkpoint of a directory");
  const auto options = std::make_shared<LatestOptions>();
  command->add_option("DIR", options->directory, "The directory of the `checkpoint` state file")
      ->required();
  command->add_flag("--json", options->json, "Print JSON, with all checkpoints that are kept");
  command->callback([options, &action] { action = [options] { return Latest(*options); }; });
}

}  // namespace waypost::tool
