#include "manage/save_threads.h"

#include <fmt/format.h>

#include <system_error>
#include <utility>

#include "base/background.h"
#include "base/check.h"
#include "waypost/error.h"

namespace waypost {
namespace {

// A save is handed over when the one before it is committed; what may pile up are saves whose old
// files are still being removed.
constexpr std::size_t kJobsMax = 64;

}  // namespace

SaveThreads::SaveThreads(FileSystem& fs, BufferPool& pool, int threads_per_drive)
    : fs_(fs), pool_(pool), threads_per_drive_(threads_per_drive) {}

SaveThreads::~SaveThreads() {
  for (auto& [drive, threads] : io_) {
    for (Thread& thread : threads) thread.queue->Close();
  }
  if (meta_.queue) meta_.queue->Close();
}

template <typename Body>
SaveThreads::Thread SaveThreads::StartThread(Body&& body) {
  Thread thread;
  thread.queue = std::make_unique<JobQueue>(kJobsMax);
  try {
    thread.thread = std::jthread([&queue = *thread.queue, body] { body(queue); });
  } catch (const std::system_error& error) {
    throw Error(Code::kResourceExhausted,
                fmt::format("save: a thread cannot be started: {}", error.what()));
  }
  return thread;
}

std::size_t SaveThreads::Reserve(std::span<const std::uint64_t> drives) {
  std::size_t count = 0;
  for (const std::uint64_t drive : drives) {
    std::vector<Thread>& threads = io_[drive];
    threads.reserve(static_cast<std::size_t>(threads_per_drive_));  // a thread started is kept
    while (threads.size() < static_cast<std::size_t>(threads_per_drive_)) {
      threads.push_back(StartThread([this, drive](JobQueue& queue) { RunIoThread(drive, queue); }));
    }
    count += threads.size();
  }
  if (!meta_.queue) meta_ = StartThread(RunMetaThread);
  return count;
}

void SaveThreads::Run(const std::shared_ptr<SaveJob>& job) {
  for (const std::uint64_t drive : job->drives()) {
    for (Thread& thread : io_.at(drive)) WAYPOST_CHECK(thread.queue->Push(job));
  }
  WAYPOST_CHECK(meta_.queue->Push(job));
}

void SaveThreads::RunIoThread(std::uint64_t drive, JobQueue& queue) {
  EnterBackground("waypost-io");
  std::unique_ptr<IoRing> ring;
  const SaveJob::RingSource ring_source = [&]() -> IoRing& {
    if (!ring)
      ring = std::make_unique<IoRing>(
          fs_.MakeIoBackend({.one_thread = true, .staging = pool_.memory()}));
    return *ring;
  };
  while (std::optional<std::shared_ptr<SaveJob>> job = queue.Pop()) {
    (*job)->RunIo(drive, ring_source);
  }
}

void SaveThreads::RunMetaThread(JobQueue& queue) {
  EnterBackground("waypost-meta");
  while (std::optional<std::shared_ptr<SaveJob>> job = queue.Pop()) (*job)->RunMeta();
}

}  // namespace waypost
