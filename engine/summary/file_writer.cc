#include "waypost/file_writer.h"

#include <fmt/format.h>
#include <unistd.h>

#include <exception>
#include <set>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/escape.h"
#include "graph/graph_model.h"
#include "graph/meta_graph.h"
#include "summary/event_writer.h"
#include "wire/event_messages.h"
#include "wire/utf8.h"

namespace waypost {
namespace {

// The EventWriter that a FileWriter has at the moment.  Saves know this one, which stays when the
// FileWriter is reopened or gone.
class CurrentWriter final : public EventLog {
 public:
  explicit CurrentWriter(std::shared_ptr<EventWriter> writer) : writer_(std::move(writer)) {}

  std::shared_ptr<EventWriter> Get() const {
    const std::lock_guard lock(mutex_);
    return writer_;
  }
  // Unless another thread was quicker.
  void Replace(const std::shared_ptr<EventWriter>& old, std::shared_ptr<EventWriter> writer) {
    const std::lock_guard lock(mutex_);
    if (writer_ == old) writer_ = std::move(writer);
  }
  void MakeDurable() override { Get()->MakeDurable(); }

 private:
  mutable std::mutex mutex_;
  std::shared_ptr<EventWriter> writer_;  // Guarded by mutex_.
};

void RequireMessage(std::string_view bytes, std::string_view call) {
  if (IsMessage(AsBytes(bytes))) return;
  throw Error(Code::kInvalidArgument, fmt::format("{}: the bytes are no message", call));
}

void RequireUtf8(std::string_view text, std::string_view call) {
  if (IsUtf8(text)) return;
  throw Error(Code::kInvalidArgument, fmt::format("{}: a text is not UTF-8", call));
}

}  // namespace

class FileWriter::Impl {
 public:
  Impl(const std::string& logdir, const FileWriterOptions& options)
      : options_{.logdir = logdir,
                 .max_queue = options.max_queue,
                 .flush_secs = options.flush_secs,
                 .filename_suffix = options.filename_suffix},
        current_(std::make_shared<CurrentWriter>(Open())) {}
  // Not left to the last one who has the writer: that may be a save's thread, later.
  ~Impl() { current_->Get()->CloseQuietly(); }
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  // A forked child has neither the thread nor a right to the file.
  bool IsForkedChild() const noexcept { return ::getpid() != pid_; }

  std::shared_ptr<EventWriter> writer() const {
    if (IsForkedChild()) {
      throw Error(Code::kFailedPrecondition,
                  fmt::format("event writer of {}: it belongs to the process that forked this one",
                              options_.logdir));
    }
    return current_->Get();
  }
  const std::string& logdir() const noexcept { return options_.logdir; }

  void Reopen() {
    const std::shared_ptr<EventWriter> old = writer();
    if (old->IsClosed()) current_->Replace(old, Open());
  }

  void Add(EventKind kind, std::string_view payload, std::optional<std::int64_t> step) {
    const MetadataRule rule =
        kind == EventKind::kSummary ? MetadataRule::kOnceATag : MetadataRule::kAsGiven;
    writer()->Add(EncodeEvent({.wall_time = SystemClock().NowSeconds(),
                               .step = step.value_or(0),
                               .kind = kind,
                               .payload = payload}),
                  rule);
  }

  void AddRunMetadata(std::string_view run_metadata, const std::string& tag,
                      std::optional<std::int64_t> step) {
    {
      const std::lock_guard lock(mutex_);
      if (!run_tags_.insert(tag).second) {
        throw Error(Code::kInvalidArgument,
                    fmt::format("add run metadata: the tag '{}' was used before", Printable(tag)));
      }
    }
    try {
      Add(EventKind::kTaggedRunMetadata, EncodeTaggedRunMetadata(tag, run_metadata), step);
    } catch (const Error&) {
      const std::lock_guard lock(mutex_);
      run_tags_.erase(tag);
      throw;
    }
  }

  void JoinSavesOf(const Graph& graph) const { graph.impl().AddEventLog(current_); }

 private:
  std::shared_ptr<EventWriter> Open() const {
    return std::make_shared<EventWriter>(PosixFileSystem(), SystemClock(), options_);
  }

  const pid_t pid_ = ::getpid();
  const EventWriterOptions options_;
  const std::shared_ptr<CurrentWriter> current_;
  std::mutex mutex_;
  std::set<std::string> run_tags_;  // Guarded by mutex_.
};

FileWriter::FileWriter(const std::string& logdir, const FileWriterOptions& options)
    : impl_(std::make_unique<Impl>(logdir, options)) {}

FileWriter::FileWriter(const std::string& logdir, const Graph& graph,
                       const FileWriterOptions& options)
    : FileWriter(logdir, options) {
  AddGraph(graph);
  AddMetaGraph(SerializeMetaGraph(graph, std::nullopt));
}

FileWriter::~FileWriter() {
  // Not even destroyed: joining the parent's thread would wait for ever.
  if (impl_ != nullptr && impl_->IsForkedChild()) static_cast<void>(impl_.release());
}

FileWriter::FileWriter(FileWriter&&) noexcept = default;
FileWriter& FileWriter::operator=(FileWriter&& other) noexcept {
  FileWriter old(std::move(*this));
  impl_ = std::move(other.impl_);
  return *this;
}

void FileWriter::AddSummary(const Summary& summary, std::optional<std::int64_t> global_step) {
  impl_->Add(EventKind::kSummary, summary.Serialize(), global_step);
}

void FileWriter::AddEvent(const Event& event) {
  impl_->writer()->Add(event.Serialize(), MetadataRule::kAsGiven);
}

void FileWriter::AddGraph(const Graph& graph, std::optional<std::int64_t> global_step) {
  impl_->Add(EventKind::kGraphDef, SerializeGraph(graph), global_step);
  impl_->JoinSavesOf(graph);
}

void FileWriter::AddMetaGraph(std::string_view meta_graph_def,
                              std::optional<std::int64_t> global_step) {
  RequireMessage(meta_graph_def, "add meta graph");
  impl_->Add(EventKind::kMetaGraphDef, meta_graph_def, global_step);
}

void FileWriter::AddSessionLog(const SessionLog& session_log,
                               std::optional<std::int64_t> global_step) {
  RequireUtf8(session_log.checkpoint_path, "add session log");
  RequireUtf8(session_log.message, "add session log");
  impl_->Add(EventKind::kSessionLog, EncodeSessionLog(session_log), global_step);
}

void FileWriter::AddSessionStart(std::int64_t global_step) {
  // TensorBoard's dashboards take the first START of a run for its beginning, and drop nothing.
  for (int i = 0; i < 2; ++i) AddSessionLog({.status = SessionStatus::kStart}, global_step);
}

void FileWriter::AddRunMetadata(std::string_view run_metadata, std::string_view tag,
                                std::optional<std::int64_t> global_step) {
  RequireMessage(run_metadata, "add run metadata");
  RequireUtf8(tag, "add run metadata");
  impl_->AddRunMetadata(run_metadata, std::string(tag), global_step);
}

void FileWriter::Flush() { impl_->writer()->Flush(); }
void FileWriter::Close() { impl_->writer()->Close(); }
void FileWriter::Reopen() { impl_->Reopen(); }
const std::string& FileWriter::logdir() const noexcept { return impl_->logdir(); }

FileWriter& FileWriterCache::Get(const std::string& logdir) {
  // Held while a writer makes its directory: a second one for it would be the very thing.
  const std::lock_guard lock(mutex_);
  const auto found = writers_.find(logdir);
  if (found != writers_.end()) return found->second;
  return writers_.emplace(logdir, FileWriter(logdir, options_)).first->second;
}

void FileWriterCache::Clear() {
  std::map<std::string, FileWriter> writers;
  {
    const std::lock_guard lock(mutex_);
    writers.swap(writers_);
  }
  std::exception_ptr first_error;
  for (auto& [logdir, writer] : writers) {
    try {
      writer.Close();
    } catch (const Error&) {
      if (first_error == nullptr) first_error = std::current_exception();
    }
  }
  if (first_error != nullptr) std::rethrow_exception(first_error);
}

}  // namespace waypost
