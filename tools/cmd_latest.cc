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
  bool verified = false;
  bool json = false;
};

// Throws when there is none.
CheckpointState ReadState(const std::string& directory) {
  FileSystem& fs = PosixFileSystem();
  fs.List(directory);  // an error of its own when there is no such directory
  std::optional<CheckpointState> state = ReadCheckpointState(fs, directory);
  if (!state) {
    throw Error(Code::kFailedPrecondition,
                StateFilePath(directory) + ": no such file, so no latest checkpoint");
  }
  return *std::move(state);
}

void RequireExists(const CheckpointState& state, const std::string& directory) {
  if (CheckpointExists(PosixFileSystem(), state.model_checkpoint_path)) return;
  throw Error(Code::kFailedPrecondition,
              fmt::format("{}: it names {}, which does not exist", StateFilePath(directory),
                          state.model_checkpoint_path));
}

// The newest whole checkpoint; says on stderr which ones it is not.
std::string FindVerified(const CheckpointState& state, const std::string& directory,
                         std::vector<SkippedCheckpoint>& skipped) {
  const std::optional<std::string> prefix = FindWhole(PosixFileSystem(), state, skipped);
  for (const SkippedCheckpoint& checkpoint : skipped) {
    PrintError(fmt::format("{} is passed over: {}", checkpoint.prefix, checkpoint.reason));
  }
  if (prefix) return *prefix;
  throw Error(Code::kFailedPrecondition,
              fmt::format("{}: no checkpoint that it names is whole", StateFilePath(directory)));
}

ExitStatus Latest(const LatestOptions& options) {
  const CheckpointState state = ReadState(options.directory);
  std::vector<SkippedCheckpoint> skipped;
  std::string latest = state.model_checkpoint_path;
  if (options.verified) {
    latest = FindVerified(state, options.directory, skipped);
  } else {
    RequireExists(state, options.directory);
  }
  if (!options.json) {
    PrintLine(latest);
    return kDone;
  }
  Json all = Json::array();
  for (const std::string& prefix : state.all_model_checkpoint_paths)
    all.push_back(JsonText(prefix));
  Json line = {{"model_checkpoint_path", JsonText(latest)},
               {"all_model_checkpoint_paths", std::move(all)}};
  if (options.verified) {
    line["skipped"] = Json::array();
    for (const SkippedCheckpoint& checkpoint : skipped) {
      line["skipped"].push_back(
          {{"prefix", JsonText(checkpoint.prefix)}, {"reason", JsonText(checkpoint.reason)}});
    }
  }
  Print(JsonLine(line));
  return kDone;
}

}  // namespace

void AddLatest(CLI::App& program, Action& action) {
  CLI::App* command =
      program.add_subcommand("latest", "Print the latest checkpoint of a directory");
  const auto options = std::make_shared<LatestOptions>();
  command->add_option("DIR", options->directory, "The directory of the `checkpoint` state file")
      ->required();
  command->add_flag("--verified", options->verified,
                    "Read and check it, and fall back to the newest one that is whole");
  command->add_flag("--json", options->json, "Print JSON, with all checkpoints that are kept");
  command->callback([options, &action] { action = [options] { return Latest(*options); }; });
}

}  // namespace waypost::tool
