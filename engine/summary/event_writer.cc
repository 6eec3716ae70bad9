#include "summary/event_writer.h"

#include <fmt/format.h>
#include <pthread.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cmath>
#include <limits>
#include <system_error>

#include "base/bytes.h"
#include "base/check.h"
#include "base/errno_error.h"
#include "base/log.h"
#include "format/record_io.h"
#include "waypost/error.h"
#include "wire/event_messages.h"
#include "wire/summary_messages.h"

namespace waypost {
namespace {

using SteadyClock = std::chrono::steady_clock;

// Longer than any run, and short enough to be added to a time.
constexpr double kFlushSecondsMax = 1e9;

// How many taken names are stepped over before something else must be wrong.
constexpr int kNameAttemptsMax = 10000;

const EventWriterOptions& Prepared(FileSystem& fs, const EventWriterOptions& options) {
  const auto fail = [&](std::string_view reason) {
    return Error(Code::kInvalidArgument,
                 fmt::format("open event writer in {}: {}", options.logdir, reason));
  };
  if (options.logdir.empty()) throw fail("the directory's name is empty");
  if (!(options.flush_secs >= 0)) throw fail("flush_secs is negative or not a number");
  if (options.filename_suffix.find('/') != std::string::npos) {
    throw fail("filename_suffix holds a slash");
  }
  CreateDirectories(fs, options.logdir);
  return options;
}

std::size_t QueueCapacity(std::int64_t max_queue) {
  return max_queue > 0 ? static_cast<std::size_t>(max_queue)
                       : std::numeric_limits<std::size_t>::max();
}

std::string HostName() {
  std::array<char, 256> name = {};
  if (::gethostname(name.data(), name.size() - 1) != 0) {
    throw ErrnoError("gethostname", "", errno, IoDirection::kRead);
  }
  return name.data();
}

std::string FileVersionEvent(double wall_time) {
  return EncodeEvent({.wall_time = std::floor(wall_time),
                      .kind = EventKind::kFileVersion,
                      .payload = "brain.Event:2",
                      .writer = "waypost"});
}

}  // namespace

EventWriter::EventWriter(FileSystem& fs, const Clock& clock, const EventWriterOptions& options)
    : fs_(fs),
      clock_(clock),
      options_(Prepared(fs, options)),
      queue_(QueueCapacity(options.max_queue)),
      thread_(StartThread()) {}

EventWriter::~EventWriter() { CloseQuietly(); }

std::jthread EventWriter::StartThread() {
  try {
    return std::jthread([this] { Run(); });
  } catch (const std::system_error& error) {
    throw Error(Code::kResourceExhausted,
                fmt::format("open event writer in {}: a thread cannot be started: {}",
                            options_.logdir, error.what()));
  }
}

void EventWriter::CloseQuietly() noexcept {
  const bool error_known = WasErrorThrown();
  try {
    Close();
  } catch (const std::exception& error) {
    if (error_known) return;
    LogWarning(fmt::format("an event file was not closed in order: {}", error.what()));
  }
}

void EventWriter::Add(std::string event, MetadataRule rule) {
  if (event.size() > options_.event_bytes_max) {
    throw Error(Code::kInvalidArgument,
                fmt::format("add event in {}: it has {} bytes, and at most {} can be read again",
                            options_.logdir, event.size(), options_.event_bytes_max));
  }
  if (queue_.Push({.event = std::move(event), .rule = rule})) return;
  ThrowIfFailed();
  throw Error(Code::kFailedPrecondition,
              fmt::format("add event in {}: the writer is closed", options_.logdir));
}

void EventWriter::Flush() {
  if (WaitUntilDurable() != nullptr) ThrowIfFailed();
}

void EventWriter::MakeDurable() {
  if (const std::exception_ptr error = WaitUntilDurable()) std::rethrow_exception(error);
}

// Null when everything added before is durable, else the error that ended the writing.
std::exception_ptr EventWriter::WaitUntilDurable() {
  std::uint64_t number = 0;
  {
    const std::lock_guard lock(mutex_);
    number = ++flushes_requested_;
  }
  // Refused by a queue that is closed: then the thread drains it, and syncs at its end.
  static_cast<void>(queue_.Push({.event = {}, .flush = number}));
  std::unique_lock lock(mutex_);
  flushed_or_ended_.wait(lock, [&] { return flushes_done_ >= number || has_ended_; });
  return flushes_done_ >= number ? nullptr : error_;
}

void EventWriter::Close() {
  {
    const std::lock_guard lock(mutex_);
    if (std::exchange(close_called_, true)) return;
  }
  queue_.Close();
  thread_.join();
  ThrowIfFailed();
}

bool EventWriter::IsClosed() {
  const std::lock_guard lock(mutex_);
  return close_called_;
}

void EventWriter::ThrowIfFailed() {
  const std::lock_guard lock(mutex_);
  if (error_ == nullptr) return;
  error_thrown_ = true;
  std::rethrow_exception(error_);
}

bool EventWriter::WasErrorThrown() {
  const std::lock_guard lock(mutex_);
  return error_thrown_;
}

// `error`: null when all was written.
void EventWriter::End(std::exception_ptr error) {
  {
    // All at once: whoever is refused finds the error, and whoever has seen the error is refused.
    const std::lock_guard lock(mutex_);
    error_ = std::move(error);
    has_ended_ = true;
    queue_.Close();
  }
  flushed_or_ended_.notify_all();
}

void EventWriter::Run() noexcept {
  pthread_setname_np(pthread_self(), "waypost-events");
  std::exception_ptr error;
  try {
    WriteUntilClosed();
  } catch (...) {
    error = std::current_exception();
  }
  End(std::move(error));
}

void EventWriter::WriteUntilClosed() {
  std::optional<Item> item;
  for (;;) {
    const auto outcome = queue_.PopUntil(item, sync_deadline_);
    if (outcome == BoundedQueue<Item>::Outcome::kEnded) break;
    const bool is_event = outcome == BoundedQueue<Item>::Outcome::kItem && item->flush == 0;
    if (is_event) Write(*item);
    // Asked for, or the time has come; new events must not put it off.
    if (!is_event || SteadyClock::now() >= sync_deadline_) SyncFile();
    if (!is_event && outcome == BoundedQueue<Item>::Outcome::kItem) {
      {
        const std::lock_guard lock(mutex_);
        flushes_done_ = std::max(flushes_done_, item->flush);
      }
      flushed_or_ended_.notify_all();
    }
  }
  SyncFile();
  if (file_ != nullptr) file_->Close();
}

void EventWriter::Write(const Item& item) {
  if (file_ == nullptr) OpenFile();
  WriteRecord(item.rule == MetadataRule::kOnceATag ? WithoutKnownMetadata(item.event) : item.event);
  if (sync_deadline_ == SteadyClock::time_point::max()) {
    const std::chrono::duration<double> delay(std::min(options_.flush_secs, kFlushSecondsMax));
    sync_deadline_ = SteadyClock::now() + std::chrono::duration_cast<SteadyClock::duration>(delay);
  }
}

// Here and not by the caller, so that of two threads with a new tag the one whose event comes first
// in the file has the metadata.
std::string EventWriter::WithoutKnownMetadata(const std::string& event) {
  std::optional<EventMessage> message = DecodeEvent(AsBytes(event));
  WAYPOST_CHECK(message.has_value());
  const std::optional<std::string> rest = DropMetadata(message->payload, [&](std::string_view tag) {
    return !tags_.insert(std::string(tag)).second;
  });
  if (!rest) return event;
  message->payload = *rest;
  return EncodeEvent(*message);
}

// One append a record: a reader that follows the file sees whole records, or one that is not yet
// there.
void EventWriter::WriteRecord(const std::string& event) {
  std::string record;
  AppendRecord(record, event);
  file_->Append(AsBytes(record));
}

void EventWriter::OpenFile() {
  const double now = clock_.NowSeconds();
  const std::string host = HostName();
  // Where a name is taken, the next second's: a run's files are read in the order of their names,
  // and what is written later must be read later, a SessionLog START above all.
  for (int attempt = 0; file_ == nullptr; ++attempt) {
    const std::string name =
        fmt::format("events.out.tfevents.{:010d}.{}{}", static_cast<std::int64_t>(now) + attempt,
                    host, options_.filename_suffix);
    try {
      file_ = fs_.Create(JoinPath(options_.logdir, name), CreateMode::kExclusive);
    } catch (const Error& error) {
      if (error.code() != Code::kAlreadyExists || attempt == kNameAttemptsMax) throw;
    }
  }
  WriteRecord(FileVersionEvent(now));
  const std::optional<FileStat> stat = fs_.Stat(file_->path());
  if (!stat) throw Error(Code::kNotFound, fmt::format("open {}: it was removed", file_->path()));
  file_stat_ = *stat;
}

void EventWriter::SyncFile() {
  sync_deadline_ = SteadyClock::time_point::max();
  if (file_ == nullptr) return;
  file_->Sync();
  CheckStillThere();
  if (!name_durable_) {
    fs_.SyncDirectory(options_.logdir);
    name_durable_ = true;
  }
}

// Bytes in a file without a name are synced and lost without any error of the system's.
void EventWriter::CheckStillThere() const {
  const std::optional<FileStat> stat = fs_.Stat(file_->path());
  if (stat && stat->device == file_stat_.device && stat->inode == file_stat_.inode) return;
  throw Error(Code::kNotFound,
              fmt::format("sync {}: the file was removed while it was written", file_->path()));
}

}  // namespace waypost
