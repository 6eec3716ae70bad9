// EventWriter: the thread behind FileWriter.  It frames events as records of one file and makes
// them durable.
//
//   FileWriter -> bounded queue of records -> [EventWriter's thread] -> FileSystem
//
// The file appears with the first event, as LOGDIR/events.out.tfevents.SECONDS.HOST and the suffix;
// where that name is taken, with ".PID.N" before the suffix.  It never touches a file that was
// there before.
//
// Threads:  any thread may call; one thread of its own, "waypost-events", does all writing.
// Errors:   the first failure ends the writing; every later call throws it again.
// Lifetime: `fs` and `clock` are borrowed and must outlive the writer.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "base/bounded_queue.h"
#include "base/clock.h"
#include "io/file_system.h"

namespace waypost {

struct EventWriterOptions {
  std::string logdir;
  std::size_t max_queue = 10;
  double flush_secs = 120;
  std::string filename_suffix = {};
};

class EventWriter {
 public:
  // Makes the directory, with parents.  kInvalidArgument for options that make no sense.
  EventWriter(FileSystem& fs, const Clock& clock, const EventWriterOptions& options);
  // Closes; an error that no call has thrown is logged.
  ~EventWriter();
  EventWriter(const EventWriter&) = delete;
  EventWriter& operator=(const EventWriter&) = delete;

  // Hands over one serialized Event; waits while the queue is full.  kFailedPrecondition when
  // closed.
  void Add(std::string event);
  // Returns when everything added before is durable, under a name that a power cut leaves in place.
  // It is an error if the file has been removed meanwhile.  After Close there is nothing left to
  // do.
  void Flush();
  void Close();

  const std::string& logdir() const noexcept { return options_.logdir; }

 private:
  struct Item {
    std::string event;
    std::uint64_t flush = 0;  // the number of a Flush(), which carries no event; 0 for an event
  };

  void Run() noexcept;
  void WriteUntilClosed();
  void Write(const std::string& event);
  void WriteRecord(const std::string& event);
  void OpenFile();
  void SyncFile();
  void CheckStillThere() const;
  void Fail(std::exception_ptr error);
  void ThrowIfFailed();
  bool WasErrorThrown();

  FileSystem& fs_;
  const Clock& clock_;
  const EventWriterOptions options_;

  // Of the thread alone.
  std::unique_ptr<WritableFile> file_;
  FileStat file_stat_;
  bool name_durable_ = false;
  std::chrono::steady_clock::time_point sync_deadline_ =
      std::chrono::steady_clock::time_point::max();

  std::mutex mutex_;
  std::condition_variable flushed_or_failed_;
  std::uint64_t flushes_requested_ = 0;  // Guarded by mutex_.
  std::uint64_t flushes_done_ = 0;       // Guarded by mutex_.
  std::exception_ptr error_;             // Guarded by mutex_.
  bool error_thrown_ = false;            // Guarded by mutex_.
  bool close_called_ = false;            // Guarded by mutex_.

  BoundedQueue<Item> queue_;
  std::jthread thread_;
};

}  // namespace waypost
