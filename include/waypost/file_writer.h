// FileWriter: event files that TensorBoard reads, written by a thread of its own
// (TensorFlow's tf.summary.FileWriter, python/summary/writer/writer.py).
//
// A writer that was given a graph belongs to it: each Saver's save of that graph makes what was
// added before SaveAsync durable before its checkpoint is committed, so that whoever finds the
// checkpoint after a power cut finds the events up to it.  An event file that fails does not fail
// the save: the error is a warning in SaveStats, and thrown by the writer's next call.  A job that
// saves without a graph calls Flush before.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "waypost/error.h"
#include "waypost/event.h"
#include "waypost/graph.h"
#include "waypost/summary.h"

namespace waypost {

struct FileWriterOptions {
  // Events that wait for the thread; Add... waits while there are so many.  0 and less: no limit,
  // and a disk that cannot keep up fills the memory.
  std::int64_t max_queue = 10;
  // Seconds after which written events are made durable.
  double flush_secs = 120;
  // The end of the files' names, as it is.
  std::string filename_suffix = {};
};

// Any thread may add.  Add... throw kFailedPrecondition after Close, and otherwise the error of the
// writing thread (a full disk: kResourceExhausted; a directory or file that was removed:
// kNotFound), which ended the writing: the calls after it throw it, too, until Close and Reopen.
// An event beyond protobuf's 2 GiB is refused with kInvalidArgument and ends nothing.
//
// An event's wall time is that of the call.  Without a `global_step` its step is 0.
class FileWriter {
 public:
  // Makes `logdir` (with parents); the file LOGDIR/events.out.tfevents.SECONDS.HOST... appears with
  // the first event, under a name that no other writer has.  kInvalidArgument for options that make
  // no sense.
  explicit FileWriter(const std::string& logdir, const FileWriterOptions& options = {});
  // The same, AddGraph(graph), and the graph with its collections as AddMetaGraph.
  FileWriter(const std::string& logdir, const Graph& graph, const FileWriterOptions& options = {});
  // Closes; an error that nobody has seen is logged.
  ~FileWriter();
  FileWriter(FileWriter&&) noexcept;
  FileWriter& operator=(FileWriter&&) noexcept;

  // The metadata of a tag is written with its first value in each file only: TensorBoard looks at
  // no other.
  void AddSummary(const Summary& summary, std::optional<std::int64_t> global_step = {});
  // As it is, its wall time and step, too.
  void AddEvent(const Event& event);
  // From now on saves of the graph count on this writer, too (see above).
  void AddGraph(const Graph& graph, std::optional<std::int64_t> global_step = {});
  // A serialized MetaGraphDef.  kInvalidArgument when the bytes are no message.
  void AddMetaGraph(std::string_view meta_graph_def, std::optional<std::int64_t> global_step = {});
  // kInvalidArgument for texts that are not UTF-8.
  void AddSessionLog(const SessionLog& session_log, std::optional<std::int64_t> global_step = {});
  // SessionLog START, twice: TensorBoard drops what an earlier run wrote at `global_step` and later
  // at every START but a run's first.  A job that resumes calls it first (LastStep in
  // event_reader.h says whether there is such).
  void AddSessionStart(std::int64_t global_step);
  // A serialized RunMetadata, under a tag that this writer has not had: else kInvalidArgument, as
  // for bytes that are no message.
  void AddRunMetadata(std::string_view run_metadata, std::string_view tag,
                      std::optional<std::int64_t> global_step = {});

  // Returns when everything added before is durable.
  void Flush();
  // Flushes and closes.  A second Close does nothing.
  void Close();
  // After Close: what is added from now on goes to a new file.  An open writer stays as it is.
  void Reopen();

  // The directory as it was given.
  const std::string& logdir() const noexcept;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

// One FileWriter a directory, for jobs whose parts log to the same one and do not know of each
// other.  Any thread may call; the job owns it (TensorFlow's FileWriterCache is the process's).
class FileWriterCache {
 public:
  // For the writers that it makes.
  explicit FileWriterCache(FileWriterOptions options = {}) : options_(std::move(options)) {}

  // The writer of this directory, by its name as given; made where there is none.  As long as the
  // cache and until Clear.  Throws what FileWriter's constructor throws.
  FileWriter& Get(const std::string& logdir);
  // Closes all writers and forgets them.  Throws the first error after it has closed the others.
  void Clear();

 private:
  const FileWriterOptions options_;
  std::mutex mutex_;
  std::map<std::string, FileWriter> writers_;  // Guarded by mutex_.
};

}  // namespace waypost
