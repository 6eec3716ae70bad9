#include "waypost/file_writer.h"

#include <fmt/format.h>
#include <unistd.h>

#include "base/clock.h"
#include "graph/meta_graph.h"
#include "summary/event_writer.h"
#include "wire/event_messages.h"

namespace waypost {

class FileWriter::Impl {
 public:
  Impl(const std::string& logdir, const FileWriterOptions& options)
      : writer_(PosixFileSystem(), SystemClock(),
                {.logdir = logdir,
                 .max_queue = options.max_queue,
                 .flush_secs = options.flush_secs,
                 .filename_suffix = options.filename_suffix}) {}

  // A forked child has neither the thread nor a right to the file.
  bool IsForkedChild() const noexcept { return ::getpid() != pid_; }

  EventWriter& writer() {
    if (IsForkedChild()) {
      throw Error(Code::kFailedPrecondition,
                  fmt::format("event writer of {}: it belongs to the process that forked this one",
                              writer_.logdir()));
    }
    return writer_;
  }
  const std::string& logdir() const noexcept { return writer_.logdir(); }

  void Add(EventKind kind, std::string_view payload, std::int64_t step) {
    writer().Add(EncodeEvent(
        {.wall_time = SystemClock().NowSeconds(), .step = step, .kind = kind, .payload = payload}));
  }

 private:
  const pid_t pid_ = ::getpid();
  EventWriter writer_;
};

FileWriter::FileWriter(const std::string& logdir, const FileWriterOptions& options)
    : impl_(std::make_unique<Impl>(logdir, options)) {}

FileWriter::FileWriter(const std::string& logdir, const Graph& graph,
                       const FileWriterOptions& options)
    : FileWriter(logdir, options) {
  AddGraph(graph);
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
  impl_->Add(EventKind::kSummary, summary.Serialize(), global_step.value_or(0));
}

void FileWriter::AddGraph(const Graph& graph, std::optional<std::int64_t> global_step) {
  impl_->Add(EventKind::kGraphDef, SerializeGraph(graph), global_step.value_or(0));
}

void FileWriter::AddSessionStart(std::int64_t global_step) {
  impl_->Add(EventKind::kSessionLog, EncodeSessionLog({.status = SessionStatus::kStart}),
             global_step);
}

void FileWriter::Flush() { impl_->writer().Flush(); }
void FileWriter::Close() { impl_->writer().Close(); }
const std::string& FileWriter::logdir() const noexcept { return impl_->logdir(); }

}  // namespace waypost
