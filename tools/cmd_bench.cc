// waypost bench: measures saves and restores of a synthetic state on this machine.
#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cerrno>
#include <charconv>
#include <memory>
#include <numeric>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <thread>

#include "base/bytes.h"
#include "base/errno_error.h"
#include "base/units.h"
#include "bench/background_saves.h"
#include "bench/cores.h"
#include "bench/figures.h"
#include "bench/interference.h"
#include "bench/interference_report.h"
#include "bench/other_load.h"
#include "bench/plot.h"
#include "bench/report.h"
#include "bench/rounds.h"
#include "bench/state_sizes.h"
#include "bench/work_dir.h"
#include "bench/work_loop.h"
#include "commands.h"
#include "inspect/size_text.h"
#include "inspect/terminal.h"
#include "memory/available_memory.h"

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
  std::string device = "cpu";
  std::string io = "best";
  std::string access = "direct";
  int runs = 5;
  bool json = false;
  std::string plot_path;
  bool interference = false;
  std::vector<std::string> caps = {"128M", "256M", "512M", "1G", "2G"};  // as written
  double work_seconds = 1;
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

// nullopt: the host.
std::optional<int> GpuOf(const BenchOptions& options) {
  constexpr std::string_view kGpu = "cuda:";
  if (options.device == "cpu") return std::nullopt;
  const std::string_view text = options.device;
  int ordinal = -1;
  if (text.starts_with(kGpu)) {
    const char* const end = text.data() + text.size();
    const auto parsed = std::from_chars(text.data() + kGpu.size(), end, ordinal);
    if (parsed.ec != std::errc() || parsed.ptr != end) ordinal = -1;
  }
  if (ordinal >= 0) return ordinal;
  throw Error(Code::kInvalidArgument,
              fmt::format("bench: --device {}: not cpu or a GPU such as cuda:0", options.device));
}

Staging StagingOf(const BenchOptions& options) {
  return options.staging == "lazy"          ? Staging::kLazy
         : options.staging == "device-copy" ? Staging::kDeviceCopy
                                            : Staging::kFullCopy;
}

void RequireDeviceOptions(const BenchOptions& options) {
  if (GpuOf(options)) {
    if (options.plot_path.empty() && !options.interference) return;
    throw Error(Code::kInvalidArgument,
                "bench: --plot and --interference are for a state on the host, not on --device");
  }
  if (StagingOf(options) != Staging::kDeviceCopy) return;
  throw Error(Code::kInvalidArgument,
              "bench: --staging device-copy: is for a state on --device cuda:0");
}

// A GPU that is not there is a wrong use, told before anything is measured.
BigState MakeState(const BenchOptions& options, const std::vector<std::uint64_t>& sizes) {
  try {
    return BigState(sizes, GpuOf(options));
  } catch (const Error& error) {
    if (error.code() != Code::kUnavailable) throw;
    throw Error(Code::kInvalidArgument,
                fmt::format("bench: --device {}: {}", options.device, error.what()));
  }
}

// Ascending.
std::vector<std::uint64_t> CapsOf(const BenchOptions& options) {
  std::set<std::uint64_t> caps;
  for (const std::string& text : options.caps) {
    caps.insert(SizeOf("--caps", text));
    if (*caps.begin() == 0) {
      throw Error(Code::kInvalidArgument, fmt::format("bench: --caps {}: too small", text));
    }
  }
  return {caps.begin(), caps.end()};
}

PosixFileSystemOptions IoOf(const BenchOptions& options) {
  PosixFileSystemOptions io;
  io.backend = options.io == "uring"     ? IoBackendKind::kUring
               : options.io == "threads" ? IoBackendKind::kThreads
                                         : IoBackendKind::kBest;
  io.access = options.access == "dont-cache"   ? FileAccess::kDontCache
              : options.access == "write-back" ? FileAccess::kWriteBack
              : options.access == "plain"      ? FileAccess::kPlain
                                               : FileAccess::kDirect;
  return io;
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

// As much as the files of so many checkpoints take; there are never more at a time.
void RequireSpace(const WorkDirs& dirs, std::uint64_t state_bytes, std::uint64_t tensors,
                  std::uint64_t checkpoints) {
  constexpr std::uint64_t kBytesPerTensor = 256;  // padding and index
  constexpr std::uint64_t kMargin = 32 * kMiB;
  const std::vector<std::string> paths = dirs.data_paths();
  const std::uint64_t needed =
      checkpoints * (state_bytes + state_bytes / 100 + tensors * kBytesPerTensor) / paths.size() +
      kMargin;
  for (const std::string& path : paths) {
    const std::uint64_t available = FreeBytes(path);
    if (available >= needed) continue;
    throw Error(Code::kResourceExhausted,
                fmt::format("bench {}: {} are needed, {} are free", DirectoryOf(path),
                            SizeText(needed), SizeText(available)));
  }
}

// Too much would not fail but have some process killed.
void RequireMemory(const BenchOptions& options, std::uint64_t state_bytes) {
  constexpr std::uint64_t kMargin = 256 * kMiB;
  const std::uint64_t copies =
      (GpuOf(options) ? 0U : 1U) + (StagingOf(options) == Staging::kFullCopy ? 1U : 0U);
  const std::uint64_t work = options.interference ? WorkLoop::kMemoryBytes : 0;
  const std::uint64_t needed = copies * state_bytes + RingBytes(options) + work + kMargin;
  const std::optional<AvailableMemory> available = FindAvailableMemory();
  if (!available || available->bytes >= needed) return;
  throw Error(Code::kResourceExhausted,
              fmt::format("bench: {} of memory are needed, {} are available ({})", SizeText(needed),
                          SizeText(available->bytes), available->told_by));
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

BenchSubject Describe(const BenchOptions& options, const BigState& state, const SaveSetup& setup,
                      const WorkDirs& dirs) {
  const std::string data_path = dirs.data_paths().front();
  BenchSubject subject;
  subject.directory = options.directory;
  subject.file_system = FileSystemName(data_path);
  subject.path = TransferWay(*MakePosixFileSystem(setup.io), data_path);
  subject.device = GpuOf(options) ? options.device : "host";
  subject.likeness = LikenessName(ShapeOf(options).likeness);
  subject.tensors = state.tensors().size();
  subject.state_bytes = state.size_bytes();
  subject.ring_bytes = setup.engine.staging_bytes;
  subject.staging = options.staging;
  return subject;
}

BenchReport MeasureRounds(const BenchOptions& options, const std::vector<std::uint64_t>& sizes,
                          const SaveSetup& setup, const WorkDirs& dirs, ProgressBar& bar) {
  bar.BeginStep("filling the state");
  BigState state = MakeState(options, sizes);
  BenchReport report{Describe(options, state, setup, dirs)};
  report.limit_path = TransferWay(PosixFileSystem(), dirs.data_paths().front());
  Fio fio(dirs.path());
  Rounds rounds(dirs, state, setup, &fio, bar);
  bar.AddSteps(Rounds::kWarmUpSteps + static_cast<std::size_t>(options.runs) * rounds.steps());
  rounds.WarmUp();
  const OtherLoad others;
  for (int run = 1; run <= options.runs; ++run) {
    report.rounds.push_back(rounds.Run(fmt::format("run {} of {}", run, options.runs)));
  }
  report.other_cores = others.cores();
  report.shards = rounds.shard_count();
  report.cache_was_emptied = rounds.cache_was_emptied();
  report.fio_write_command = fio.write_command();
  report.fio_read_command = fio.read_command();
  report.fio_note = fio.note();
  return report;
}

void WritePlot(const BenchOptions& options, const std::string& svg) {
  const auto file = PosixFileSystem().Create(options.plot_path, CreateMode::kTruncate);
  file->Append(AsBytes(svg));
  file->Close();
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
  WritePlot(options, ReportSvg(report));
}

void BenchRounds(const BenchOptions& options, const std::vector<std::uint64_t>& sizes,
                 const SaveSetup& setup, const WorkDirs& dirs) {
  ProgressBar bar(1);
  BenchReport report = MeasureRounds(options, sizes, setup, dirs, bar);
  if (!options.plot_path.empty()) AddPlot(options, setup, dirs, bar, report);
  bar.Hide();
  if (options.json) {
    Print(JsonLine(ReportJson(report)));
  } else {
    PrintReport(report);
  }
}

void BenchInterference(const BenchOptions& options, const std::vector<std::uint64_t>& sizes,
                       const SaveSetup& setup, const WorkDirs& dirs) {
  const InterferencePlan plan{.save = setup,
                              .caps = CapsOf(options),
                              .work_seconds = options.work_seconds,
                              .pairs = options.runs};
  ProgressBar bar(1);
  bar.BeginStep("filling the state");
  const BigState state(sizes);
  InterferenceReport report{Describe(options, state, setup, dirs)};
  report.core_count = std::thread::hardware_concurrency();
  report.cores = ReadCoreLayout();
  const OtherLoad others;
  report.found = MeasureInterference(dirs, state.tensors(), plan, bar);
  report.other_cores = others.cores();
  bar.Hide();
  if (!options.plot_path.empty()) WritePlot(options, InterferenceSvg(report));
  if (options.json) {
    Print(JsonLine(InterferenceJson(report)));
  } else {
    PrintInterference(report);
  }
}

ExitStatus Bench(const BenchOptions& options) {
  const std::vector<std::uint64_t> sizes = TensorSizes(ShapeOf(options));
  const std::uint64_t state_bytes = std::accumulate(sizes.begin(), sizes.end(), std::uint64_t{0});
  const std::uint64_t ring_bytes = RingBytes(options);
  RequireDeviceOptions(options);
  RequirePlotPath(options.plot_path);
  const WorkDirs dirs(options.directory, options.storage_dirs);
  RequireSpace(dirs, state_bytes, sizes.size(),
               options.interference ? BackgroundSaves::kCheckpointsMax : 1);
  RequireMemory(options, state_bytes);
  const SaveSetup setup{.engine = {.staging_bytes = ring_bytes},
                        .options = SaveOptionsOf(options, state_bytes, dirs),
                        .io = IoOf(options)};
  if (options.interference) {
    BenchInterference(options, sizes, setup, dirs);
  } else {
    BenchRounds(options, sizes, setup, dirs);
  }
  return kDone;
}

}  // namespace

void AddBench(CLI::App& program, Action& action) {
  CLI::App* command = program.add_subcommand("bench", "Measure saves and restores on this machine");
  const auto options = std::make_shared<BenchOptions>();
  constexpr int kRunsMax = 1000, kShardsMax = 10'000;
  constexpr double kWorkSecondsMin = 0.01, kWorkSecondsMax = 600;
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
  command
      ->add_option("--staging", options->staging,
                   "lazy (default); full-copy; with --device also device-copy")
      ->check(CLI::IsMember({"lazy", "full-copy", "device-copy"}));
  command->add_option("--device", options->device,
                      "Where the state is: cpu (default), or a GPU, cuda:0; then copies between it "
                      "and page-locked memory are limits too");
  command
      ->add_option("--io", options->io,
                   "Who moves the checkpoint's bytes: best (default), which is io_uring where it "
                   "works; uring; threads.  The limits beside it stay the best")
      ->check(CLI::IsMember({"best", "uring", "threads"}));
  command
      ->add_option("--access", options->access,
                   "The best way to be tried: direct (default), past the page cache; through it: "
                   "dont-cache, write-back, plain")
      ->check(CLI::IsMember({"direct", "dont-cache", "write-back", "plain"}));
  command->add_option("--runs", options->runs, "How often everything is measured (default 5)")
      ->check(CLI::Range(1, kRunsMax));
  command->add_flag("--json", options->json, "Print one line of JSON");
  command->add_option("--plot", options->plot_path,
                      "Also measure smaller states and other rings, and draw two charts: FILE.svg; "
                      "with --interference the slow-down over the cap");
  CLI::Option* const interference = command->add_flag(
      "--interference", options->interference,
      "Measure instead how much saves in the background slow down a loop: one thread that "
      "computes, "
      "one that streams through memory, two that compute; and one over caps on the saves' rate");
  command->add_option("--caps", options->caps, "Bytes a second (default 128M,256M,512M,1G,2G)")
      ->delimiter(',')
      ->needs(interference);
  command
      ->add_option("--work", options->work_seconds,
                   "About so many seconds the loop takes by itself (default 1)")
      ->check(CLI::Range(kWorkSecondsMin, kWorkSecondsMax))
      ->needs(interference);
  command->callback([options, &action] { action = [options] { return Bench(*options); }; });
}

}  // namespace waypost::tool
