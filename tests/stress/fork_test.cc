// A job forks in the middle of a save, as data loaders do: in the child every call of everything
// that the job has is refused, destructors change no file and wait for nothing, and the parent's
// save is what it would have been.
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "stress/stamped_state.h"
#include "support/expect_error.h"
#include "support/gated_file_system.h"
#include "support/temp_dir.h"
#include "support/test_engine.h"
#include "waypost/file_writer.h"
#include "waypost/graph.h"
#include "waypost/saver.h"
#include "waypost/session.h"

namespace waypost {
namespace {

// What a training job has.
struct Job {
  Job(FileSystem& fs, StampedState& state, const std::string& directory) : engine(TestEngine(fs)) {
    for (const NamedTensor& tensor : state.tensors()) {
      graph.AddVariable(tensor.name,
                        {.dtype = tensor.tensor.dtype(), .shape = tensor.tensor.shape()});
    }
    writer.emplace(directory, graph);
    saver.emplace(graph);
    session.emplace(engine, graph);
    for (std::size_t i = 0; i < state.tensors().size(); ++i) {
      session->Bind(graph.variables()[i], state.tensors()[i].tensor);
    }
  }

  Engine engine;
  Graph graph;
  std::optional<FileWriter> writer;
  std::optional<Saver> saver;
  std::optional<Session> session;
};

std::set<std::string> NamesIn(const std::string& directory) {
  std::set<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(directory)) {
    names.insert(entry.path());
  }
  return names;
}

TEST(ForkTest, AChildOfATrainingJobIsRefusedAndTouchesNothing) {
  const TempDir dir;
  GatedFileSystem fs(PosixFileSystem());
  StampedState state(TensorSet::kHost);
  state.Stamp(1);
  auto job = std::make_unique<Job>(fs, state, dir.path());
  const std::string first = job->saver->Save(*job->session, dir.File("model"), {.global_step = 1});
  state.Stamp(2);
  fs.writes.Close();
  SaveHandle save = job->saver->SaveAsync(*job->session, dir.File("model"), {.global_step = 2});
  fs.writes.WaitForArrivals(1);
  const std::set<std::string> names = NamesIn(dir.path());
  const pid_t child = ::fork();
  if (child == 0) {
    Saver& saver = *job->saver;
    const std::vector<std::function<void()>> calls = {
        [&] { saver.Save(*job->session, dir.File("model")); },
        [&] { saver.SaveAsync(*job->session, dir.File("other")); },
        [&] { saver.WaitStaged(); },
        [&] { saver.WaitCommitted(); },
        [&] { saver.Restore(*job->session, first); },
        [&] { saver.RestoreLatest(*job->session, dir.path()); },
        [&] { job->writer->AddSummary({}, 1); },
    };
    for (std::size_t i = 0; i < calls.size(); ++i) {
      if (CodeOf(calls[i]) != Code::kFailedPrecondition) ::_exit(static_cast<int>(i) + 1);
    }
    job.reset();
    // The parent may have made more meanwhile.
    ::_exit(std::ranges::includes(NamesIn(dir.path()), names) ? 0 : 100);
  }
  int status = -1;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(WIFEXITED(status) ? WEXITSTATUS(status) : -1, 0) << "the call that was not refused";
  fs.writes.Open();
  save.WaitFinished();
  EXPECT_EQ(StepByReading(CheckpointReader(first)), 1);
  EXPECT_EQ(StepByReading(CheckpointReader(save.prefix())), 2);
}

}  // namespace
}  // namespace waypost
