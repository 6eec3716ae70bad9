#include "waypost/event_reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "base/bytes.h"
#include "base/errno_error.h"
#include "format/record_io.h"
#include "io/file_system.h"

namespace waypost {
namespace {

std::vector<std::string> EventFilesOf(FileSystem& fs, const std::string& path) {
  const std::optional<FileStat> stat = fs.Stat(path);
  if (!stat) {
    throw Error(Code::kNotFound, fmt::format("read events {}: there is no such file", path));
  }
  if (!stat->is_directory) return {path};
  std::vector<std::string> files;
  for (const std::string& name : fs.List(path)) {
    if (name.find("tfevents") == std::string::npos) continue;
    std::string file = JoinPath(path, name);
    // One that was removed meanwhile is told of when its turn comes.
    const std::optional<FileStat> file_stat = fs.Stat(file);
    if (!file_stat || !file_stat->is_directory) files.push_back(std::move(file));
  }
  return files;
}

// A file in memory and the place in it.
class EventFile {
 public:
  EventFile(FileSystem& fs, const std::string& path)
      : file_(fs.Map(path)), reader_(file_->bytes(), path) {
    // A block that cannot be read is an error here, and a SIGBUS where it is touched.
    const int failed = file_->Populate(0, file_->bytes().size());
    if (failed != 0) throw ErrnoError("read", path, failed, IoDirection::kRead);
  }

  RecordReader& reader() noexcept { return reader_; }

 private:
  std::unique_ptr<MappedFile> file_;
  RecordReader reader_;
};

}  // namespace

class EventReader::Impl {
 public:
  explicit Impl(const std::string& path)
      : fs_(PosixFileSystem()), paths_(EventFilesOf(fs_, path)) {}

  std::optional<Event> Next() {
    if (error_) throw Error(*error_);
    try {
      return NextOf();
    } catch (const Error& error) {
      error_ = error;
      throw;
    }
  }

  const std::string& path() const noexcept { return path_; }
  std::uint64_t offset() const noexcept { return offset_; }
  const std::vector<TornTail>& torn_tails() const noexcept { return torn_tails_; }

 private:
  std::optional<Event> NextOf() {
    for (; position_ < paths_.size(); ++position_) {
      if (file_ == nullptr) file_ = std::make_unique<EventFile>(fs_, paths_[position_]);
      RecordReader& reader = file_->reader();
      const std::uint64_t offset = reader.offset();
      std::span<const std::byte> record;
      if (reader.Next(record)) {
        path_ = paths_[position_];
        offset_ = offset;
        return Parsed(record);
      }
      if (reader.torn_bytes() != 0) {
        torn_tails_.push_back({.path = paths_[position_],
                               .offset = reader.offset(),
                               .size_bytes = reader.torn_bytes()});
      }
      file_ = nullptr;
    }
    return std::nullopt;
  }

  Event Parsed(std::span<const std::byte> record) const {
    try {
      return Event::Parse(AsText(record));
    } catch (const Error&) {
      throw Error(Code::kDataLoss,
                  fmt::format("{}: record at offset {}: not an event", path_, offset_));
    }
  }

  FileSystem& fs_;
  const std::vector<std::string> paths_;
  std::size_t position_ = 0;         // in paths_, of the file that is read
  std::unique_ptr<EventFile> file_;  // null until its first record is asked for
  std::string path_;
  std::uint64_t offset_ = 0;
  std::vector<TornTail> torn_tails_;
  std::optional<Error> error_;
};

EventReader::EventReader(const std::string& path) : impl_(std::make_unique<Impl>(path)) {}
EventReader::~EventReader() = default;
EventReader::EventReader(EventReader&&) noexcept = default;
EventReader& EventReader::operator=(EventReader&&) noexcept = default;

std::optional<Event> EventReader::Next() { return impl_->Next(); }
const std::string& EventReader::path() const noexcept { return impl_->path(); }
std::uint64_t EventReader::offset() const noexcept { return impl_->offset(); }
const std::vector<TornTail>& EventReader::torn_tails() const noexcept {
  return impl_->torn_tails();
}

std::optional<std::int64_t> LastStep(const std::string& logdir) {
  if (!PosixFileSystem().Stat(logdir)) return std::nullopt;
  std::set<std::int64_t> steps;
  bool has_started = false;
  for (EventReader reader(logdir); const std::optional<Event> event = reader.Next();) {
    if (event->kind() == EventKind::kSummary) steps.insert(event->step());
    const std::optional<SessionLog> log = event->Session();
    if (!log || log->status != SessionStatus::kStart) continue;
    if (has_started) steps.erase(steps.lower_bound(event->step()), steps.end());
    has_started = true;
  }
  return steps.empty() ? std::nullopt : std::optional(*steps.rbegin());
}

}  // namespace waypost
