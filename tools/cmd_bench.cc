// waypost bench: measures saves and restores of a synthetic state on this machine.
#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cerrno>
#include <fstream>
#include <memory>
#include <numeric>
#include <optional>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/errno_error.h"
#include "base/units.h"
#include "bench/figures.h"
#include "bench/plot.h"
#include "bench/report.h"
#include "bench/rounds.h"
#include "bench/size_text.h"
#include "bench/state_sizes.h"
#include "bench/work_dir.h"
#include "commands.h"
#include "inspect/terminal.h"

namespace waypost::tool {
namespace {

constexpr int kPlotRunsMax = 3;

struct BenchOptions {
  std::string directory;
  std::string bytes;          // as written; empty: not given
  std::uint64_t tensors = 0;  // 0: as `like` says
  std::string like = "llm";
  int shards = 1;
  std::vector<std::string> storage_dirs;
  std::string ring = "64M";  // as written
  std::string staging = "lazy";
  int runs = 5;
  bool json = false;
  std::string plot_path;
};

std::uint64_t SizeOf(std::string_view option, const std::string& text) {
  if (const std::optional<std::uint64_t> size = ParseSize(text)) return *size;
  throw Error(Code::kInvalidArgument,
              fmt::format("bench: {} {}: not a size such as 512M or 4G", option, text));
}

std::uint64_t RingBytes(const BenchOptions& options) {
  constexpr std::uint64_t kLeast = 4 * kWindowBytes;
  const std::uint64_t ring_bytes = SizeOf("--ring", options.ring);
  if (ring_bytes >= kLeast) return AlignUp(ring_bytes, kWindowBytes);
  throw Error(Code::kInvalidArgument,
              fmt::format("bench: --ring {}: the least is {}", options.ring, SizeText(kLeast)));
}

Staging StagingOf(const BenchOptions& options) {
  return options.staging == "lazy" ? Staging::kLazy : Staging::kFullCopy;
}

StateShape ShapeOf(const BenchOptions& options) {
  StateShape shape;
  if (!options.bytes.empty()) shape.bytes = SizeOf("--bytes", options.bytes);
  shape.tensors = options.tensors;
  shape.likeness = options.tensors > 0       ? Likeness::kEqual
                   : options.like == "small" ? Likeness::kSmall
                   : options.like == "one"   ? Likeness::kOne
                                             : Likeness::kLlm;
  return shape;
}

SaveOptions SaveOptionsOf(const BenchOptions& options, std::uint64_t state_bytes,
                          const WorkDirs& dirs) {
  SaveOptions save;
  const auto shards = static_cast<std::uint64_t>(options.shards);
  if (shards > 1) save.shard_bytes = (state_bytes + shards - 1) / shards;
  save.staging = StagingOf(options);
  save.storage_dirs = dirs.storage_paths();
  return save;
}

// ---- What would otherwise end in the middle -----------------------------------------------------

// As much as the files of one checkpoint take; there is never more at a time.
void RequireSpace(const WorkDirs& dirs, std::uint64_t state_bytes, std::uint64_t tensors) {
  constexpr std::uint64_t kBytesPerTensor = 256;  // padding and index
  constexpr std::uint64_t kMargin = 32 * kMiB;
  const std::vector<std::string> paths = dirs.data_paths();
  const std::uint64_t needed =
      (state_bytes + state_bytes / 100 + tensors * kBytesPerTensor) / paths.size() + kMargin;
  for (const std::string& path : paths) {
    const std::uint64_t available = FreeBytes(path);
    if (available >= needed) continue;
    throw Error(Code::kResourceExhausted,
                fmt::format("bench {}: {} are needed, {} are free", DirectoryOf(path),
                            SizeText(needed), SizeText(available)));
  }
}

std::optional<std::uint64_t> AvailableMemory() {
  std::ifstream file("/proc/meminfo");
  std::string name;
  std::uint64_t kib = 0;
  for (std::string unit; file >> name >> kib; std::getline(file, unit)) {
    if (name == "MemAvailable:") return kib * kKiB;
  }
  return std::nullopt;
}

// Too much would not fail but have some process killed.
void RequireMemory(const BenchOptions& options, std::uint64_t state_bytes) {
  constexpr std::uint64_t kMargin = 256 * kMiB;
  const std::uint64_t copies = StagingOf(options) == Staging::kFullCopy ? 2 : 1;
  const std::uint64_t needed = copies * state_bytes + RingBytes(options) + kMargin;
  const std::optional<std::uint64_t> available = AvailableMemory();
  if (!available || *available >= needed) return;
  throw Error(Code::kResourceExhausted,
              fmt::format("bench: {} of memory are needed, {} are available", SizeText(needed),
                          SizeText(*available)));
}

// Known before the measurement, not after it.
void RequirePlotPath(const std::string& path) {
  if (path.empty()) return;
  const std::string directory = DirectoryOf(path);
  if (::access(directory.c_str(), W_OK) != 0) {
    throw ErrnoError("write to", directory, errno, IoDirection::kWrite);
  }
  const std::optional<FileStat> stat = PosixFileSystem().Stat(path);
  if (stat && stat->is_directory) {
    throw Error(Code::kInvalidArgument, fmt::format("bench: --plot: {} is a directory", path));
  }
}

// ---- The measurement ----------------------------------------------------------------------------

// All but what the rounds and --plot find.
BenchReport Describe(const BenchOptions& options, const BigState& state, const WorkDirs& dirs) {
  BenchReport report;
  report.directory = options.directory;
  report.file_system = FileSystemName(dirs.data_paths().front());
  report.likeness = LikenessName(ShapeOf(options).likeness);
  report.tensors = state.tensors().size();
  report.state_bytes = state.size_bytes();
  report.ring_bytes = RingBytes(options);
  report.staging = options.staging;
  return report;
}

BenchReport MeasureRounds(const BenchOptions& options, const std::vector<std::uint64_t>& sizes,
                          const SaveSetup& setup, const WorkDirs& dirs, ProgressBar& bar) {
  bar.BeginStep("filling the state");
  BigState state(sizes);
  BenchReport report = Describe(options, state, dirs);
  Fio fio(dirs.path());
  Rounds rounds(dirs, state, setup, &fio, bar);
  bar.AddSteps(Rounds::kWarmUpSteps + static_cast<std::size_t>(options.runs) * rounds.steps());
  rounds.WarmUp();
  for (int run = 1; run <= options.runs; ++run) {
    report.rounds.push_back(rounds.Run(fmt::format("run {} of {}", run, options.runs)));
  }
  report.path = rounds.path();
  report.shards = rounds.shard_count();
  report.cache_was_emptied = rounds.cache_was_emptied();
  report.fio_write_command = fio.write_command();
  report.fio_read_command = fio.read_command();
  report.fio_note = fio.note();
  return report;
}

void AddPlot(const BenchOptions& options, const SaveSetup& setup, const WorkDirs& dirs,
             ProgressBar& bar, BenchReport& report) {
  const double memcpy_rate = SpreadOf(Each(report.rounds, &Round::memcpy_rate)).median;
  report.plot = MeasurePlot(dirs,
                            {.shape = ShapeOf(options),
                             .state_bytes = report.state_bytes,
                             .save = setup,
                             .runs = std::min(options.runs, kPlotRunsMax)},
                            SizePointOf(report.state_bytes, report.rounds), memcpy_rate, bar);
  const auto file = PosixFileSystem().Create(options.plot_path, CreateMode::kTruncate);
  file->Append(AsBytes(ReportSvg(report)));
  file->Close();
}

ExitStatus Bench(const BenchOptions& options) {
  const std::vector<std::uint64_t> sizes = TensorSizes(ShapeOf(options));
  const std::uint64_t state_bytes = std::accumulate(sizes.begin(), sizes.end(), std::uint64_t{0});
  const std::uint64_t ring_bytes = RingBytes(options);
  RequirePlotPath(options.plot_path);
  const WorkDirs dirs(options.directory, options.storage_dirs);
  RequireSpace(dirs, state_bytes, sizes.size());
  RequireMemory(options, state_bytes);
  const SaveSetup setup{.ring_bytes = ring_bytes,
                        .options = SaveOptionsOf(options, state_bytes, dirs)};
  ProgressBar bar(1);
  BenchReport report = MeasureRounds(options, sizes, setup, dirs, bar);
  if (!options.plot_path.empty()) AddPlot(options, setup, dirs, bar, report);
  bar.Hide();
  if (options.json) {
    Print(JsonLine(ReportJson(report)));
  } else {
    PrintReport(report);
  }
  return kDone;
}

}  // namespace

void AddBench(CLI::App& program, Action& action) {
  CLI::App* command = program.add_subcommand("bench", "Measure saves and restores on this machine");
  const auto options = std::make_shared<BenchOptions>();
  constexpr int kRunsMax = 1000, kShardsMax = 10'000;
  constexpr std::uint64_t kTensorsMax = 10'000'000;

  command->add_option("DIR", options->directory, "Where the files go meanwhile")->required();
  command->add_option("--bytes", options->bytes, "Size of the state: 512M, 4G (default 1G)")
      ->type_name("SIZE");
  CLI::Option* const tensors =
      command->add_option("--tensors", options->tensors, "So many tensors of equal size")
          ->check(CLI::Range(std::uint64_t{1}, kTensorsMax));
  command
      ->add_option("--like", options->like,
                   "llm (default): the mix of sizes of a large language model; small: of 1 to 8 "
                   "KiB, 100,000 without --bytes; one: a single tensor")
      ->check(CLI::IsMember({"llm", "small", "one"}))
      ->excludes(tensors);
  command->add_option("--shards", options->shards, "About so many data files")
      ->check(CLI::Range(1, kShardsMax));
  command->add_option("--dirs", options->storage_dirs, "Directories for the data files: a,b")
      ->delimiter(',');
  command->add_option("--ring", options->ring, "Memory of the staging ring (default 64M)")
      ->type_name("SIZE");
  command->add_option("--staging", options->staging, "lazy (default) or full-copy")
      ->check(CLI::IsMember({"lazy", "full-copy"}));
  command->add_option("--runs", options->runs, "How often everything is measured (default 5)")
      ->check(CLI::Range(1, kRunsMax));
  command->add_flag("--json", options->json, "Print one line of JSON");
  command->add_option("--plot", options->plot_path,
                      "Also measure smaller states and other rings, and draw two charts: FILE.svg");
  command->callback([options, &action] { action = [options] { return Bench(*options); }; });
}

}  // namespace waypost::tool
