// SaveThreads: the threads that an engine's saves run on.
//
//   Engine::Impl::Save -> [SaveThreads] -> SaveJob::RunIo (waypost-io), SaveJob::RunMeta
//   (waypost-meta)
//
// Each drive that is written to has its own I/O threads, started when it is first met; each of them
// owns one ring, made on it and used by nobody else.  One metadata thread serves all saves, one
// after the other.
//
// Threads:  one at a time calls Reserve and Run.
// Errors:   those of a save go to its SaveJob.
// Lifetime: file system and pool are borrowed.  The destructor waits until every save has finished.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <thread>
#include <vector>

#include "base/bounded_queue.h"
#include "io/file_system.h"
#include "memory/buffer_pool.h"
#include "save/save_job.h"

namespace waypost {

class SaveThreads {
 public:
  SaveThreads(FileSystem& fs, BufferPool& pool, int threads_per_drive);
  ~SaveThreads();
  SaveThreads(const SaveThreads&) = delete;
  SaveThreads& operator=(const SaveThreads&) = delete;

  // Starts the threads that are missing for these drives, and the metadata thread; returns how many
  // I/O threads will run a save to them.  Throws kResourceExhausted when a thread cannot be had.
  std::size_t Reserve(std::span<const std::uint64_t> drives);
  // Hands a started save over.  Requires: Reserve for its drives.
  void Run(const std::shared_ptr<SaveJob>& job);

 private:
  using JobQueue = BoundedQueue<std::shared_ptr<SaveJob>>;

  struct Thread {
    std::unique_ptr<JobQueue> queue;
    std::jthread thread;
  };

  void RunIoThread(std::uint64_t drive, JobQueue& queue);
  static void RunMetaThread(JobQueue& queue);
  template <typename Body>
  static Thread StartThread(Body&& body);

  FileSystem& fs_;
  BufferPool& pool_;
  const int threads_per_drive_;
  std::map<std::uint64_t, std::vector<Thread>> io_;  // by drive
  Thread meta_;
};

}  // namespace waypost
