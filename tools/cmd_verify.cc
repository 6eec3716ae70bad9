// waypost verify: reads all of a checkpoint, a state file or an event file, and reports all that is
// damaged.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <memory>

#include "commands.h"
#include "inspect/terminal.h"
#include "inspect/text.h"
#include "verify/verify.h"

namespace waypost::tool {
namespace {

struct VerifyOptions {
  std::vector<std::string> paths;
  bool json = false;
};

Json FindingsJson(const Findings& findings) {
  Json damage = Json::array();
  for (const std::string& line : findings.damage.lines()) damage.push_back(JsonText(line));
  Json json = {{"bytes", findings.size_bytes},
               {"damage_count", findings.damage.count()},
               {"damage", std::move(damage)}};
  const auto with = [&json](Json front) {
    front.update(json);
    return front;
  };
  switch (findings.kind) {
    case Findings::Kind::kCheckpoint:
      return with({{"prefix", JsonText(findings.path)},
                   {"tensors", findings.count},
                   {"format", findings.is_v1 ? "V1" : "V2"}});
    case Findings::Kind::kStateFile:
      return with({{"state_file", JsonText(findings.path)}, {"checkpoints", findings.count}});
    case Findings::Kind::kEventFile:
      return with({{"event_file", JsonText(findings.path)}, {"events", findings.count}});
  }
  return json;
}

std::string_view CountedAs(Findings::Kind kind) {
  switch (kind) {
    case Findings::Kind::kCheckpoint: return "tensors";
    case Findings::Kind::kStateFile: return "checkpoints named";
    case Findings::Kind::kEventFile: return "events";
  }
  return "";
}

void PrintFindings(const Findings& findings) {
  for (const std::string& line : findings.damage.lines()) PrintLine(line);
  if (const std::size_t more = findings.damage.count() - findings.damage.lines().size(); more > 0) {
    PrintLine(fmt::format("{}: ... and {} more", findings.path, more));
  }
  const std::string result =
      findings.damage.empty() ? "no damage" : fmt::format("{} damaged", findings.damage.count());
  PrintLine(fmt::format("{}: {} {}, {} bytes, {}{}{}", findings.path, findings.count,
                        CountedAs(findings.kind), findings.size_bytes, result,
                        findings.rate.empty() ? "" : fmt::format(", {}", findings.rate),
                        findings.is_v1 ? " (format V1: a checksum for each block of the file, none "
                                         "for a tensor)"
                                       : ""));
}

ExitStatus RunVerify(const VerifyOptions& options) {
  ExitStatus status = kDone;
  const auto print = [&](const Findings& findings) {
    if (options.json) {
      Print(JsonLine(FindingsJson(findings)));
    } else {
      PrintFindings(findings);
    }
    if (!findings.damage.empty()) status = std::max(status, kFoundWanting);
  };
  for (const std::string& path : options.paths) {
    try {
      Verify(PosixFileSystem(), path, {.on_terminal = !options.json}, print);
    } catch (const Error& error) {
      PrintError(error.what());
      status = kUsedWrongly;  // and the other paths are looked at all the same
    }
  }
  return status;
}

}  // namespace

void AddVerify(CLI::App& program, Action& action) {
  CLI::App* command =
      program.add_subcommand("verify", "Read checkpoints and event files and report all damage");
  const auto options = std::make_shared<VerifyOptions>();
  command
      ->add_option("PATH", options->paths,
                   "Checkpoints, event files, `checkpoint` state files with all that they name, or "
                   "directories of such")
      ->required();
  command->add_flag("--json", options->json, "Print one line of JSON for each of them");
  command->callback([options, &action] { action = [options] { return RunVerify(*options); }; });
}

}  // namespace waypost::tool
