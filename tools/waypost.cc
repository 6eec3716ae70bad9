// The program `waypost`: looks at checkpoints and event files, converts checkpoints, and measures
// saves and restores.
#include <CLI/CLI.hpp>
#include <exception>
#include <string>

#include "base/log.h"
#include "base/version.h"
#include "commands.h"
#include "inspect/terminal.h"

namespace waypost::tool {
namespace {

ExitStatus Run(const Action& action) {
  try {
    const ExitStatus status = action();
    FinishOutput();
    return status;
  } catch (const Error& error) {
    PrintError(error.what());
    return StatusOf(error);
  } catch (const std::exception& error) {
    PrintError(error.what());
    return kUsedWrongly;
  }
}

int Main(int argc, char** argv) {
  SetLogLevel(LogLevel::kWarning);  // Which way the bytes take is none of a command's business.
  CLI::App program("Looks at checkpoints and event files, and converts checkpoints.", "waypost");
  program.set_version_flag("--version", std::string("waypost ") + kVersion);
  program.require_subcommand(0, 1);  // none is told below: CLI11 would not name a wrong one
  program.footer("Exit status: 0 done, 1 found wanting (a difference, damage), 2 used wrongly.");
  Action action;
  AddLs(program, action);
  AddCat(program, action);
  AddVerify(program, action);
  AddConvert(program, action);
  AddDiff(program, action);
  AddLatest(program, action);
  AddRecover(program, action);
  AddEvents(program, action);
  AddGraph(program, action);
  AddBench(program, action);
  try {
    program.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return program.exit(error);  // --help, --version
    PrintError(std::string(error.what()) + " (waypost --help tells more)");
    return kUsedWrongly;
  }
  if (!action) {
    PrintError("a command is required (waypost --help tells more)");
    return kUsedWrongly;
  }
  return Run(action);
}

}  // namespace
}  // namespace waypost::tool

int main(int argc, char** argv) { return waypost::tool::Main(argc, argv); }
