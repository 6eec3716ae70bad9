// kill_saver: the program that kill_test kills.  It saves step after step and says on stdout, one
// number a line, which steps are committed.
//
//   kill_saver --dir DIR [--start-step N] [--steps N] [--same-prefix] [--core] [--sharded]
//       [--storage-dir DIR]... [--beside-others]
//
// By a Saver to DIR/model-STEP, two of which are kept, with --same-prefix over DIR/model.  With
// --core by the core API, which has no state file of its own, and always over DIR/model; there,
// with --beside-others, a save that is refused because another process has the prefix is reported
// as a line "aborted MESSAGE".
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <limits>
#include <string>
#include <vector>

#include "kill/step_saver.h"
#include "kill/step_state.h"
#include "waypost/checkpoint_state.h"
#include "waypost/engine.h"

namespace waypost {
namespace {

struct Flags {
  std::string dir;
  std::int64_t start_step = 1;
  std::int64_t steps = std::numeric_limits<std::int64_t>::max();
  bool same_prefix = false;
  bool core = false;
  bool sharded = false;
  std::vector<std::string> storage_dirs;
  bool beside_others = false;
};

// A line at once and in one piece: the reader may rely on it whenever this process is killed.
void Report(std::string line) {
  line += '\n';
  if (::write(STDOUT_FILENO, line.data(), line.size()) != static_cast<ssize_t>(line.size())) {
    throw Error(Code::kUnavailable, "write to stdout: the reader is gone");
  }
}

void RunSaver(const Flags& flags, Engine& engine) {
  StepSaver saver(engine, flags.dir,
                  {.same_prefix = flags.same_prefix,
                   .sharded = flags.sharded,
                   .storage_dirs = flags.storage_dirs});
  for (std::int64_t done = 0; done < flags.steps; ++done) {
    const std::int64_t step = flags.start_step + done;
    SaveHandle save = saver.SaveAsync(step);
    save.WaitCommitted();
    Report(std::to_string(step));
    save.WaitFinished();
  }
}

void RunCore(const Flags& flags, Engine& engine) {
  StepState state;
  const std::string prefix = flags.dir + "/model";
  for (std::int64_t done = 0; done < flags.steps; ++done) {
    const std::int64_t step = flags.start_step + done;
    state.SetStep(step);
    try {
      SaveAsync(engine, prefix, state.tensors(),
                {.sharded = flags.sharded, .storage_dirs = flags.storage_dirs})
          .WaitFinished();
    } catch (const Error& error) {
      if (!flags.beside_others || error.code() != Code::kAborted) throw;
      Report(std::string("aborted ").append(error.what()));
      continue;
    }
    UpdateCheckpointState(flags.dir, prefix);
    Report(std::to_string(step));
  }
}

int Run(int argc, char** argv) {
  Flags flags;
  CLI::App app("Saves step after step and reports what is committed");
  app.add_option("--dir", flags.dir)->required();
  app.add_option("--start-step", flags.start_step);
  app.add_option("--steps", flags.steps);
  app.add_flag("--same-prefix", flags.same_prefix);
  app.add_flag("--core", flags.core);
  app.add_flag("--sharded", flags.sharded);
  app.add_option("--storage-dir", flags.storage_dirs);
  app.add_flag("--beside-others", flags.beside_others);
  CLI11_PARSE(app, argc, argv);
  // As much for each drive.
  const std::size_t drives = std::max<std::size_t>(1, flags.storage_dirs.size());
  Engine engine({.staging_bytes = drives * (std::size_t{16} << 20)});
  flags.core ? RunCore(flags, engine) : RunSaver(flags, engine);
  return 0;
}

}  // namespace
}  // namespace waypost

int main(int argc, char** argv) {
  try {
    return waypost::Run(argc, argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "kill_saver: %s\n", error.what());
    return 1;
  }
}
