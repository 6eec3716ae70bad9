// waypost recover: completes or removes what dead saves left in a directory.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <memory>

#include "commands.h"
#include "format/bundle_names.h"
#include "inspect/terminal.h"
#include "inspect/text.h"
#include "io/path_kind.h"
#include "save/sweeper.h"
#include "waypost/error.h"

namespace waypost::tool {
namespace {

struct RecoverOptions {
  std::string directory;
  bool dry_run = false;
  bool json = false;
};

std::string FoundText(const FoundSave& save) {
  std::string text =
      fmt::format("{} save {}", save.is_alive ? "live" : "dead", SaveIdText(save.save_id));
  if (!save.prefix.empty()) text += fmt::format(" of {}", save.prefix);
  if (!save.holder.empty()) text += fmt::format(" by {}", save.holder);
  if (!save.is_alive) text += save.is_committed ? ", committed" : ", not committed";
  text += fmt::format(", files under temporary names: {} ({} bytes)", save.temporary_count,
                      save.temporary_bytes);
  return save.is_alive ? text + ": it is left alone" : text;
}

std::string ActionText(const SweepAction& action, bool dry_run) {
  switch (action.kind) {
    case SweepAction::Kind::kRemoved:
      return fmt::format("{} {}", dry_run ? "would remove" : "removed", action.path);
    case SweepAction::Kind::kRenamed:
      return fmt::format("{} {} to {}", dry_run ? "would rename" : "renamed", action.path,
                         action.new_path);
    case SweepAction::Kind::kRetired: break;
  }
  return fmt::format("{} {}", dry_run ? "would retire" : "retired", action.path);
}

std::size_t CountOf(const SweepReport& report, SweepAction::Kind kind) {
  return static_cast<std::size_t>(std::ranges::count(
      report.actions, kind, [](const SweepAction& action) { return action.kind; }));
}

void PrintReport(const RecoverOptions& options, const SweepReport& report) {
  if (report.found.empty()) {
    if (!report.warnings.empty()) return;
    PrintLine(options.directory + ": nothing to recover");
    return;
  }
  for (const FoundSave& save : report.found) {
    PrintLine(fmt::format("{}: {}", options.directory, FoundText(save)));
  }
  for (const SweepAction& action : report.actions) PrintLine(ActionText(action, options.dry_run));
  PrintLine(fmt::format(
      "{}: dead saves: {}, files {}removed: {}, renamed: {}, checkpoints "
      "retired: {}",
      options.directory, std::ranges::count(report.found, false, &FoundSave::is_alive),
      options.dry_run ? "that would be " : "", CountOf(report, SweepAction::Kind::kRemoved),
      CountOf(report, SweepAction::Kind::kRenamed), CountOf(report, SweepAction::Kind::kRetired)));
}

std::string_view KindName(SweepAction::Kind kind) {
  switch (kind) {
    case SweepAction::Kind::kRemoved: return "remove";
    case SweepAction::Kind::kRenamed: return "rename";
    case SweepAction::Kind::kRetired: break;
  }
  return "retire";
}

void PrintJson(const RecoverOptions& options, const SweepReport& report) {
  Json found = Json::array();
  for (const FoundSave& save : report.found) {
    found.push_back({{"save_id", SaveIdText(save.save_id)},
                     {"prefix", JsonText(save.prefix)},
                     {"holder", JsonText(save.holder)},
                     {"alive", save.is_alive},
                     {"committed", save.is_alive ? Json(nullptr) : Json(save.is_committed)},
                     {"temporary_files", save.temporary_count},
                     {"temporary_bytes", save.temporary_bytes}});
  }
  Json actions = Json::array();
  for (const SweepAction& action : report.actions) {
    Json line = {{"action", KindName(action.kind)}, {"path", JsonText(action.path)}};
    if (action.kind == SweepAction::Kind::kRenamed) line["to"] = JsonText(action.new_path);
    actions.push_back(std::move(line));
  }
  Json warnings = Json::array();
  for (const std::string& warning : report.warnings) warnings.push_back(JsonText(warning));
  Print(JsonLine({{"directory", JsonText(options.directory)},
                  {"dry_run", options.dry_run},
                  {"found", std::move(found)},
                  {"actions", std::move(actions)},
                  {"warnings", std::move(warnings)}}));
}

ExitStatus Recover(const RecoverOptions& options) {
  if (IsFile(PosixFileSystem(), options.directory)) {
    throw Error(Code::kInvalidArgument,
                fmt::format("recover {}: it is no directory", options.directory));
  }
  const SweepReport report =
      RecoverDirectory(PosixFileSystem(), options.directory, options.dry_run);
  for (const std::string& warning : report.warnings) PrintError(warning);
  if (options.json) {
    PrintJson(options, report);
  } else {
    PrintReport(options, report);
  }
  return report.warnings.empty() ? kDone : kFoundWanting;
}

}  // namespace

void AddRecover(CLI::App& program, Action& action) {
  CLI::App* command = program.add_subcommand(
      "recover", "Complete or remove what saves that were killed left behind");
  const auto options = std::make_shared<RecoverOptions>();
  command->add_option("DIR", options->directory, "A directory of checkpoints")->required();
  command->add_flag("--dry-run", options->dry_run, "Tell what would be done, and change nothing");
  command->add_flag("--json", options->json, "Print one line of JSON");
  command->callback([options, &action] { action = [options] { return Recover(*options); }; });
}

}  // namespace waypost::tool
