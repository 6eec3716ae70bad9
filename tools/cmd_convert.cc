// waypost convert: a checkpoint in another format or layout.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <atomic>
#include <csignal>
#include <memory>
#include <stop_token>

#include "base/escape.h"
#include "commands.h"
#include "convert/convert.h"
#include "inspect/signal_watch.h"
#include "inspect/terminal.h"
#include "inspect/text.h"

namespace waypost::tool {
namespace {

constexpr std::size_t kShardsMax = 99'999;  // five digits

struct CommandOptions {
  ConvertOptions convert;
  std::string to;
  std::vector<std::string> metadata;  // key=value
  bool no_verify = false;
  bool no_meta = false;
  bool json = false;
};

SafetensorsMetadata MetadataOf(const std::vector<std::string>& pairs) {
  SafetensorsMetadata metadata;
  for (const std::string& pair : pairs) {
    const std::size_t equal = pair.find('=');
    if (equal == pair.npos) {
      throw Error(Code::kInvalidArgument, fmt::format("--metadata {}: not KEY=VALUE", pair));
    }
    metadata[pair.substr(0, equal)] = pair.substr(equal + 1);
  }
  return metadata;
}

ConvertOptions Completed(const CommandOptions& options) {
  ConvertOptions convert = options.convert;
  convert.verify = !options.no_verify;
  convert.with_meta = !options.no_meta;
  convert.metadata = MetadataOf(options.metadata);
  if (!options.to.empty()) convert.to = KindFromName(options.to);
  return convert;
}

void PrintReport(const ConvertOptions& options, const ConvertReport& report) {
  for (const SkippedTensor& tensor : report.skipped) {
    PrintLine(fmt::format("{}: left out: {}", Printable(tensor.name), tensor.reason));
  }
  const std::string joined =
      report.joined_count == 0
          ? ""
          : fmt::format(", {} of them joined from slices", report.joined_count);
  PrintLine(fmt::format("{}: {} tensors{}, {} bytes, {} files, {}", options.target,
                        report.tensor_count, joined, report.size_bytes, report.files.size(),
                        options.verify ? "verified" : "not verified"));
}

void PrintJson(const ConvertOptions& options, const ConvertReport& report) {
  Json files = Json::array();
  for (const std::string& file : report.files) files.push_back(JsonText(file));
  Json skipped = Json::array();
  for (const SkippedTensor& tensor : report.skipped) {
    skipped.push_back({{"name", JsonText(tensor.name)},
                       {"name_b64", EncodeBase64(tensor.name)},
                       {"reason", JsonText(tensor.reason)}});
  }
  Print(JsonLine({{"source", JsonText(options.source)},
                  {"source_kind", KindName(report.source_kind)},
                  {"target", JsonText(options.target)},
                  {"target_kind", KindName(report.target_kind)},
                  {"tensors", report.tensor_count},
                  {"bytes", report.size_bytes},
                  {"joined", report.joined_count},
                  {"verified", options.verify},
                  {"files", std::move(files)},
                  {"skipped", std::move(skipped)}}));
}

ExitStatus ConvertAndReport(const CommandOptions& command, const std::stop_token& stop) {
  const ConvertOptions options = Completed(command);
  const ConvertReport report = Convert(PosixFileSystem(), options, stop);
  for (const std::string& warning : report.warnings) PrintError(warning);
  if (command.json) {
    PrintJson(options, report);
  } else {
    PrintReport(options, report);
  }
  return kDone;
}

// A signal ends the conversion in order, and then the program by what that signal means.
ExitStatus RunConvert(const CommandOptions& command) {
  std::atomic<int> ended_by = 0;
  std::string what;
  try {
    std::stop_source stop;
    SignalWatch watch;
    watch.Start([&](int signal) {
      ended_by = signal;
      stop.request_stop();
    });
    return ConvertAndReport(command, stop.get_token());
  } catch (const Error& error) {
    if (ended_by == 0 || error.code() != Code::kCancelled) throw;
    what = error.what();
  }
  PrintError(what);
  ::raise(ended_by);
  return kUsedWrongly;
}

}  // namespace

void AddConvert(CLI::App& program, Action& action) {
  CLI::App* command =
      program.add_subcommand("convert", "Write a checkpoint in another format or layout");
  const auto options = std::make_shared<CommandOptions>();
  ConvertOptions& convert = options->convert;
  command
      ->add_option("SOURCE", convert.source,
                   "A prefix, a V1 checkpoint, a .safetensors file or a .safetensors.index.json")
      ->required();
  command
      ->add_option("TARGET", convert.target,
                   "What is written: safetensors where it ends in .safetensors, else V2")
      ->required();
  command->add_option("--to", options->to, "The target's format, whatever its name")
      ->check(CLI::IsMember({"v1", "v2", "safetensors"}));
  command
      ->add_option("--shards", convert.shards,
                   "Files of about equal bytes, cut between tensors; slices are joined")
      ->check(CLI::Range(std::size_t{1}, kShardsMax));
  command->add_flag("--force", convert.force,
                    "Replace a target that is there already; V1 and V2 before the new one is read "
                    "back, safetensors after it");
  command->add_flag("--no-verify", options->no_verify, "Do not read the target back");
  command->add_flag("--no-meta", options->no_meta, "Leave the .meta file out");
  command->add_option("--metadata", options->metadata,
                      "KEY=VALUE for the target's __metadata__ (safetensors)");
  command->add_flag("--skip-unsupported", convert.skip_unsupported,
                    "Leave out and list what the target's format cannot hold");
  command->add_flag("--json", options->json, "Print one line of JSON");
  command->callback([options, &action] { action = [options] { return RunConvert(*options); }; });
}

}  // namespace waypost::tool
