// waypost recover: removes what dead saves left in a directory.
#include <CLI/CLI.hpp>
#include <memory>

#include "commands.h"
#include "inspect/terminal.h"
#include "save/sweeper.h"

namespace waypost::tool {
namespace {

ExitStatus Recover(const std::string& directory) {
  const SweepReport report = RecoverDirectory(PosixFileSystem(), directory);
  for (const std::string& action : report.actions) PrintLine(action);
  for (const std::string& warning : report.warnings) PrintError(warning);
  if (report.actions.empty() && report.warnings.empty())
    PrintLine(directory + ": nothing to recover");
  return report.warnings.empty() ? kDone : kFoundWanting;
}

}  // namespace

void AddRecover(CLI::App& program, Action& action) {
  CLI::App* command = program.add_subcommand(
      "recover", "Complete or remove what saves that were killed left behind");
  const auto directory = std::make_shared<std::string>();
  command->add_option("DIR", *directory, "A directory of checkpoints")->required();
  command->callback([directory, &action] { action = [directory] { return Recover(*directory); }; });
}

}  // namespace waypost::tool
