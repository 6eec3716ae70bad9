// EventWriter: the thread behind FileWriter.  It frames events as records of one file and makes
// them durable.
//
//   FileWriter -> bounded queue of records -> [EventWriter's thread] -> FileSystem
//
// A FileWriter shares it with the saves of its graph, which make it durable before they commit.
//
// The file appears with the first event, as LOGDIR/events.out.tfevents.SECONDS.HOST and the suffix;
// where that name is taken, with the first second after it that is free.  It never touches a file
// that was there before.
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
#include <limits>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <thread>

#include "base/bounded_queue.h"
#include "base/clock.h"
#include "io/file_system.h"
#include "save/event_log.h"

namespace waypost {

// Beyond protobuf's 2 GiB nobody could read an event.
constexpr std::size_t kEventBytesMax = std::numeric_limits<std::int32_t>::max();

struct EventWriterOptions {
  std::string logdir;
  std::int64_t max_queue = 10;  // 0 and less: no limit
  double flush_secs = 120;
  std::string filename_suffix = {};
  std::size_t event_bytes_max = kEventBytesMax;  // less for tests
};

// What becomes of the metadata of a summary's values.
enum class MetadataRule : std::uint8_t {
  kAsGiven,
  kOnceATag,  // written with a tag's first value in each file
};

class EventWriter final : public EventLog {
 public:
  // Makes the directory, with parents.  kInvalidArgument for options that make no sense,
  // kResourceExhausted when no thread can be had.
  EventWriter(FileSystem& fs, const Clock& clock, const EventWriterOptions& options);
  // As CloseQuietly.
  ~EventWriter() override;
  EventWriter(const EventWriter&) = delete;
  EventWriter& operator=(const EventWriter&) = delete;

  // Hands over one serialized Event; waits while the queue is full.  kFailedPrecondition when
  // closed, kInvalidArgument for an event that is too large.
  void Add(std::string event, MetadataRule rule = MetadataRule::kAsGiven);
  // Returns when everything added before is durable, under a name that a power cut leaves in place.
  // It is an error if the file has been removed meanwhile.  After Close there is nothing left to
  // do; while another thread closes, it waits for that.
  void Flush();
  // The same for a save: what it throws still counts as unseen.
  void MakeDurable() override;
  void Close();
  // Closes; an error that no call has thrown is logged.
  void CloseQuietly() noexcept;

  bool IsClosed();

  const std::string& logdir() const noexcept { return options_.logdir; }

 private:
  struct Item {
    std::string event;
    std::uint64_t flush = 0;  // the number of a Flush(), which carries no event; 0 for an event
    MetadataRule rule = MetadataRule::kAsGiven;
  };

  // Requires: all members but thread_ are there.
  std::jthread StartThread();
  void Run() noexcept;
  void WriteUntilClosed();
  void Write(const Item& item);
  std::string WithoutKnownMetadata(const std::string& event);
  void WriteRecord(const std::string& event);
  void OpenFile();
  void SyncFile();
  void CheckStillThere() const;
  std::exception_ptr WaitUntilDurable();
  void End(std::exception_ptr error);
  void ThrowIfFailed();
  bool WasErrorThrown();

  FileSystem& fs_;
  const Clock& clock_;
  const EventWriterOptions options_;

  // Of the thread alone.
  std::unique_ptr<WritableFile> file_;
  FileStat file_stat_;
  bool name_durable_ = false;
  std::set<std::string, std::less<>> tags_;  // of this file
  std::chrono::steady_clock::time_point sync_deadline_ =
      std::chrono::steady_clock::time_point::max();

  std::mutex mutex_;
  std::condition_variable flushed_or_ended_;
  std::uint64_t flushes_requested_ = 0;  // Guarded by mutex_.
  std::uint64_t flushes_done_ = 0;       // Guarded by mutex_.
  bool has_ended_ = false;               // Guarded by mutex_.  The thread writes no more.
  std::exception_ptr error_;             // Guarded by mutex_.
  bool error_thrown_ = false;            // Guarded by mutex_.
  bool close_called_ = false;            // Guarded by mutex_.

  BoundedQueue<Item> queue_;
  std::jthread thread_;
};

}  // namespace waypost
