// FileWriter: event files that TensorBoard reads, written by a thread of its own.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "waypost/error.h"
#include "waypost/graph.h"
#include "waypost/summary.h"

namespace waypost {

struct FileWriterOptions {
  // Events that wait for the thread, at least 1; Add* waits while the queue is full.
  std::size_t max_queue = 10;
  // Seconds after which written events are made durable.
  double flush_secs = 120;
  std::string filename_suffix = {};
};

// Any thread may add.  An error of the writing thread is thrown by the next call.
class FileWriter {
 public:
  // Makes `logdir` (with parents); the file LOGDIR/events.out.tfevents.SECONDS.HOST... appears with
  // the first event, under a name that no other writer has.
  explicit FileWriter(const std::string& logdir, const FileWriterOptions& options = {});
  // The same, and adds the graph.
  FileWriter(const std::string& logdir, const Graph& graph, const FileWriterOptions& options = {});
  // Closes; an error that nobody has seen is logged.
  ~FileWriter();
  FileWriter(FileWriter&&) noexcept;
  FileWriter& operator=(FileWriter&&) noexcept;

  void AddSummary(const Summary& summary, std::optional<std::int64_t> global_step = {});
  void AddGraph(const Graph& graph, std::optional<std::int64_t> global_step = {});
  // SessionLog START: TensorBoard drops what an earlier run wrote at `global_step` and later.  A
  // job that resumes calls it first.
  void AddSessionStart(std::int64_t global_step);

  // Returns when everything added before is durable.
  void Flush();
  // Flushes and closes; further calls of Add* are kFailedPrecondition.  A second Close does
  // nothing.
  void Close();

  const std::string& logdir() const noexcept;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace waypost
