// FileWriter: event files.
#include "waypost/file_writer.h"

#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>

#include "bindings/graph_owner.h"
#include "bindings/tensor.h"

namespace waypost::python {
namespace {

using Step = std::optional<std::int64_t>;

std::string_view ViewOf(const nb::bytes& bytes) { return {bytes.c_str(), bytes.size()}; }

// Adding waits for room in the queue, closing for the disk: neither needs the GIL.
class FileWriterOwner {
 public:
  FileWriterOwner(const std::string& logdir, std::int64_t max_queue, double flush_secs,
                  const std::string& filename_suffix)
      : writer_(std::in_place, logdir,
                FileWriterOptions{.max_queue = max_queue,
                                  .flush_secs = flush_secs,
                                  .filename_suffix = filename_suffix}) {}
  ~FileWriterOwner() {
    const nb::gil_scoped_release release;
    writer_.reset();
  }
  FileWriterOwner(const FileWriterOwner&) = delete;
  FileWriterOwner& operator=(const FileWriterOwner&) = delete;

  void AddSummary(const nb::bytes& summary, Step step) {
    const Summary parsed = Summary::Parse(ViewOf(summary));
    const nb::gil_scoped_release release;
    writer_->AddSummary(parsed, step);
  }
  void AddEvent(const nb::bytes& event) {
    const Event parsed = Event::Parse(ViewOf(event));
    const nb::gil_scoped_release release;
    writer_->AddEvent(parsed);
  }
  void AddGraph(GraphOwner& graph, Step step) {
    graph.With([&](const Graph& added) { writer_->AddGraph(added, step); });
  }
  void AddMetaGraph(const nb::bytes& meta_graph, Step step) {
    const std::string_view bytes = ViewOf(meta_graph);
    const nb::gil_scoped_release release;
    writer_->AddMetaGraph(bytes, step);
  }
  void AddRunMetadata(const nb::bytes& run_metadata, const std::string& tag, Step step) {
    const std::string_view bytes = ViewOf(run_metadata);
    const nb::gil_scoped_release release;
    writer_->AddRunMetadata(bytes, tag, step);
  }
  void AddSessionLog(int status, const std::string& checkpoint_path, const std::string& message,
                     Step step) {
    const SessionLog log = {.status = static_cast<SessionStatus>(status),
                            .checkpoint_path = checkpoint_path,
                            .message = message};
    const nb::gil_scoped_release release;
    writer_->AddSessionLog(log, step);
  }
  void AddSessionStart(std::int64_t step) { writer_->AddSessionStart(step); }
  void Flush() { writer_->Flush(); }
  void Close() { writer_->Close(); }
  void Reopen() { writer_->Reopen(); }

 private:
  std::optional<FileWriter> writer_;
};

}  // namespace

void BindFileWriter(nb::module_& module) {
  nb::class_<FileWriterOwner>(module, "FileWriter", "Any thread may add.")
      .def(nb::init<const std::string&, std::int64_t, double, const std::string&>(),
           nb::arg("logdir"), nb::arg("max_queue"), nb::arg("flush_secs"),
           nb::arg("filename_suffix"), WithoutGil())
      .def("add_summary", &FileWriterOwner::AddSummary, nb::arg("summary"), nb::arg("step").none())
      .def("add_event", &FileWriterOwner::AddEvent, nb::arg("event"))
      .def("add_graph", &FileWriterOwner::AddGraph, nb::arg("graph"), nb::arg("step").none())
      .def("add_meta_graph", &FileWriterOwner::AddMetaGraph, nb::arg("meta_graph"),
           nb::arg("step").none())
      .def("add_run_metadata", &FileWriterOwner::AddRunMetadata, nb::arg("run_metadata"),
           nb::arg("tag"), nb::arg("step").none())
      .def("add_session_log", &FileWriterOwner::AddSessionLog, nb::arg("status"),
           nb::arg("checkpoint_path"), nb::arg("message"), nb::arg("step").none())
      .def("add_session_start", &FileWriterOwner::AddSessionStart, nb::arg("step"), WithoutGil())
      .def("flush", &FileWriterOwner::Flush, WithoutGil())
      .def("close", &FileWriterOwner::Close, WithoutGil())
      .def("reopen", &FileWriterOwner::Reopen, WithoutGil());
}

}  // namespace waypost::python
