#include "bench/rounds.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <memory>

#include "base/errno_error.h"
#include "base/stopwatch.h"
#include "base/unique_fd.h"
#include "base/units.h"
#include "format/bundle_names.h"
#include "waypost/checkpoint_reader.h"

namespace waypost::tool {
namespace {

constexpr std::size_t kLimitDepth = 16;  // for each directory

double CpuSeconds() {
  struct rusage usage = {};
  ::getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) * 1e-6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

UniqueFd OpenToRead(const std::string& path) {
  UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) throw ErrnoError("open", path, errno, IoDirection::kRead);
  return fd;
}

}  // namespace

Rounds::Rounds(const WorkDirs& dirs, BigState& state, const SaveSetup& setup, Fio* fio,
               ProgressBar& bar)
    : dirs_(dirs),
      state_(state),
      setup_(setup),
      fio_(fio),
      bar_(bar),
      limit_pool_(kLimitDepth * dirs.data_paths().size()),
      limit_ring_(PosixFileSystem().MakeIoBackend({.depth = limit_pool_.window_count(),
                                                   .one_thread = true,
                                                   .staging = limit_pool_.memory()})),
      mover_(limit_ring_, limit_pool_),
      engine_(setup) {}

void Rounds::WarmUp() {
  bar_.BeginStep("warming up");
  WriteLimit();
  if (fio_ != nullptr) FioWrite();
  bar_.BeginStep("warming up");
  Save();
  dirs_.Clear();
}

Round Rounds::Run(const std::string& what) {
  Round round;
  bar_.BeginStep(what + ": plain writing");
  round.write_limit = WriteLimit();
  if (fio_ != nullptr) {
    bar_.BeginStep(what + ": fio writing");
    round.fio_write_rate = FioWrite();
  }
  bar_.BeginStep(what + ": save");
  round.save = Save();
  bar_.BeginStep(what + ": plain reading");
  EmptyCache();
  round.read_limit = ReadLimit();
  if (fio_ != nullptr) {
    bar_.BeginStep(what + ": fio reading");
    EmptyCache();
    round.fio_read_rate = FioRead();
  }
  bar_.BeginStep(what + ": restore, page cache empty");
  EmptyCache();
  round.restore_cold = Restore();
  bar_.BeginStep(what + ": restore, cached");
  FillCache();
  round.memcpy_rate = state_.memory().CopyRate();
  if (const auto link = state_.memory().MeasureLink()) {
    round.to_host_rate = link->to_host;
    round.from_host_rate = link->from_host;
  }
  round.restore_cached = Restore();
  dirs_.Clear();
  return round;
}

SaveSample Rounds::RunSave(const std::string& what) {
  bar_.BeginStep(what);
  SaveSample sample = Save();
  dirs_.Clear();
  return sample;
}

Timed Rounds::Time(std::uint64_t bytes, const std::function<void()>& action) {
  probe_.ForgetPeak();
  const double cpu_before = CpuSeconds();
  Stopwatch watch;
  action();
  const double seconds = watch.Lap();
  return {.bytes = bytes,
          .seconds = seconds,
          .cpu_seconds = CpuSeconds() - cpu_before,
          .memory_bytes = probe_.PeakExtraBytes()};
}

// As many bytes as the state has, in a fresh file of each directory, until they are durable.
Timed Rounds::WriteLimit() {
  const std::vector<std::string> paths = dirs_.data_paths();
  const std::uint64_t part_bytes =
      AlignUp((state_.size_bytes() + paths.size() - 1) / paths.size(), kPageBytes);
  std::vector<std::unique_ptr<DataFile>> files;
  const Timed timed = Time(part_bytes * paths.size(), [&] {
    std::vector<WindowMover::Part> parts;
    for (const std::string& path : paths) {
      files.push_back(PosixFileSystem().CreateData(path + "/limit"));
      files.back()->Reserve(part_bytes);
      parts.push_back({files.back().get(), part_bytes});
    }
    mover_.Write(parts);
    for (const std::unique_ptr<DataFile>& file : files) file->DataSync();
  });
  files.clear();
  dirs_.Clear();
  return timed;
}

std::optional<double> Rounds::FioWrite() {
  const std::optional<double> rate =
      fio_->Write(dirs_.data_paths().front() + "/fio", state_.size_bytes());
  dirs_.Clear();
  return rate;
}

SaveSample Rounds::Save() {
  SaveSample sample;
  std::optional<SaveHandle> handle;
  sample.whole = Time(state_.size_bytes(), [&] {
    Stopwatch watch;
    handle = SaveAsync(engine_.engine(), Prefix(), state_.tensors(), setup_.options);
    sample.call_seconds = watch.Lap();
    handle->WaitStaged();
    sample.staged_seconds = sample.call_seconds + watch.Lap();
    handle->WaitCommitted();
  });
  handle->WaitFinished();
  sample.stats = handle->stats();
  shard_count_ = CheckpointReader(Prefix()).shard_count();
  return sample;
}

// The checkpoint's own files.
Timed Rounds::ReadLimit() {
  std::vector<std::unique_ptr<DataFile>> files;
  std::vector<WindowMover::Part> parts;
  std::uint64_t bytes = 0;
  for (const std::string& path : DataFiles()) {
    files.push_back(PosixFileSystem().OpenData(path));
    parts.push_back({files.back().get(), files.back()->size()});
    bytes += parts.back().size_bytes;
  }
  return Time(bytes, [&] { mover_.Read(parts); });
}

// The largest of the files: one job of fio's reads one file as well as several.
std::optional<double> Rounds::FioRead() {
  std::string largest;
  std::uint64_t size_max = 0;
  for (const std::string& path : DataFiles()) {
    const std::uint64_t size = std::filesystem::file_size(path);
    if (size <= size_max) continue;
    largest = path;
    size_max = size;
  }
  return fio_->Read(largest, size_max);
}

Timed Rounds::Restore() {
  state_.Poison();
  const Timed timed = Time(state_.size_bytes(),
                           [&] { waypost::Restore(engine_.engine(), Prefix(), state_.tensors()); });
  const std::vector<std::string> wrong = state_.Wrong();
  if (!wrong.empty()) {
    throw Error(Code::kDataLoss, fmt::format("restore {}: tensor {} is not what was saved",
                                             Prefix(), wrong.front()));
  }
  return timed;
}

std::string Rounds::Prefix() const { return dirs_.path() + "/model"; }

std::vector<std::string> Rounds::DataFiles() const {
  std::vector<std::string> files;
  files.reserve(static_cast<std::size_t>(shard_count_));
  for (int i = 0; i < shard_count_; ++i) files.push_back(DataPath(Prefix(), i, shard_count_));
  return files;
}

// After fdatasync all pages are clean, and the kernel drops them when it is told that nobody needs
// them.
void Rounds::EmptyCache() {
  for (const std::string& path : DataFiles()) {
    const UniqueFd fd = OpenToRead(path);
    if (::fdatasync(fd.get()) != 0) throw ErrnoError("sync", path, errno, IoDirection::kWrite);
    ::posix_fadvise(fd.get(), 0, 0, POSIX_FADV_DONTNEED);
    const auto file = PosixFileSystem().OpenData(path);
    if (file->CachedBytes(0, file->size()).value_or(0) > 0) cache_was_emptied_ = false;
  }
}

void Rounds::FillCache() const {
  std::vector<std::byte> buffer(kWindowBytes);
  for (const std::string& path : DataFiles()) {
    const UniqueFd fd = OpenToRead(path);
    while (true) {
      const ssize_t size = ::read(fd.get(), buffer.data(), buffer.size());
      if (size == 0) break;
      if (size < 0 && errno != EINTR) throw ErrnoError("read", path, errno, IoDirection::kRead);
    }
  }
}

}  // namespace waypost::tool
