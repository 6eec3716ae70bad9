// kill_saver: the program that kill_test kills.  It saves step after step and says on stdout, one
// number a line, which steps are committed.
//
//   kill_saver --dir DIR [--start-step N] [--steps N] [--same-prefix] [--core] [--sharded]
//
// By a Saver to DIR/model-STEP, two of which are kept, with --same-prefix over DIR/model.  With
// --core by the core API, which has no state file of its own, and always over DIR/model.
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <functional>
#include <limits>
#include <string>

#include "kill/step_state.h"
#include "waypost/checkpoint_state.h"
#include "waypost/engine.h"
#include "waypost/graph.h"
#include "waypost/saver.h"
#include "waypost/session.h"

namespace waypost {
namespace {

struct Flags {
  std::string dir;
  std::int64_t start_step = 1;
  std::int64_t steps = std::numeric_limits<std::int64_t>::max();
  bool same_prefix = false;
  bool core = false;
  bool sharded = false;
};

// A line at once and in one piece: the reader may rely on it whenever this process is killed.
void ReportCommitted(std::int64_t step) {
  const std::string line = std::to_string(step) + "\n";
  if (::write(STDOUT_FILENO, line.data(), line.size()) != static_cast<ssize_t>(line.size())) {
    throw Error(Code::kUnavailable, "write to stdout: the reader is gone");
  }
}

void SaveSteps(const Flags& flags, StepState& state,
               const std::function<void(std::int64_t)>& save) {
  for (std::int64_t done = 0; done < flags.steps; ++done) {
    const std::int64_t step = flags.start_step + done;
    state.SetStep(step);
    save(step);
  }
}

void RunSaver(const Flags& flags, Engine& engine) {
  StepState state;
  Graph graph;
  for (const NamedTensor& tensor : state.tensors()) {
    graph.AddVariable(
        tensor.name,
        {.dtype = tensor.tensor.dtype(), .shape = tensor.tensor.shape(), .device = tensor.device});
  }
  Saver saver(graph, {.max_to_keep = 2, .sharded = flags.sharded});
  Session session(engine, graph);
  for (std::size_t i = 0; i < state.tensors().size(); ++i) {
    session.Bind(graph.variables()[i], state.tensors()[i].tensor);
  }
  if (const auto known = GetCheckpointState(flags.dir)) {
    saver.RecoverLastCheckpoints(known->all_model_checkpoint_paths);
  }
  SaveSteps(flags, state, [&](std::int64_t step) {
    SaverSaveOptions options;
    if (!flags.same_prefix) options.global_step = step;
    SaveHandle save = saver.SaveAsync(session, flags.dir + "/model", options);
    save.WaitCommitted();
    ReportCommitted(step);
    save.WaitFinished();
  });
}

void RunCore(const Flags& flags, Engine& engine) {
  StepState state;
  const std::string prefix = flags.dir + "/model";
  SaveSteps(flags, state, [&](std::int64_t step) {
    SaveHandle save = SaveAsync(engine, prefix, state.tensors(), {.sharded = flags.sharded});
    save.WaitFinished();
    UpdateCheckpointState(flags.dir, prefix);
    ReportCommitted(step);
  });
}

}  // namespace
}  // namespace waypost

int main(int argc, char** argv) {
  waypost::Flags flags;
  CLI::App app("Saves step after step and reports what is committed");
  app.add_option("--dir", flags.dir)->required();
  app.add_option("--start-step", flags.start_step);
  app.add_option("--steps", flags.steps);
  app.add_flag("--same-prefix", flags.same_prefix);
  app.add_flag("--core", flags.core);
  app.add_flag("--sharded", flags.sharded);
  CLI11_PARSE(app, argc, argv);
  try {
    waypost::Engine engine({.staging_bytes = std::size_t{16} << 20});
    flags.core ? RunCore(flags, engine) : RunSaver(flags, engine);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "kill_saver: %s\n", error.what());
    return 1;
  }
  return 0;
}
