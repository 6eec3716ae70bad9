// StepSaver: a Saver over a StepState, and StepChecker, which tells from what is on the disk
// whether such a saver has kept its promises.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "kill/step_state.h"
#include "waypost/engine.h"
#include "waypost/graph.h"
#include "waypost/saver.h"
#include "waypost/session.h"

namespace waypost {

struct StepSaverOptions {
  bool same_prefix = false;  // over DIR/model, else to DIR/model-STEP
  bool sharded = false;
  std::vector<std::string> storage_dirs = {};
};

// Keeps two checkpoints, and counts those that it finds in the directory.
class StepSaver {
 public:
  // `engine` is borrowed.
  StepSaver(Engine& engine, std::string directory, const StepSaverOptions& options);
  StepSaver(const StepSaver&) = delete;
  StepSaver& operator=(const StepSaver&) = delete;

  SaveHandle SaveAsync(std::int64_t step);

 private:
  std::string directory_;
  StepSaverOptions options_;
  StepState state_;
  Graph graph_;
  std::optional<Saver> saver_;
  std::optional<Session> session_;
};

// GoogleTest's failures tell what is wrong.
class StepChecker {
 public:
  // `has_meta`: each checkpoint has a .meta file.
  StepChecker(bool same_prefix, bool has_meta) : same_prefix_(same_prefix), has_meta_(has_meta) {}

  // The step of the latest checkpoint, 0 when there is none.  It must be `promised` or the one
  // after it, since at most one save was under way, and all that the state file lists must be whole
  // and of one step.
  std::int64_t CheckCheckpoints(const std::string& directory, std::int64_t promised);
  // Nothing stands there but the state file and what belongs to the checkpoints that it lists.
  void CheckFiles(const std::string& directory) const;

  // The step that checkpoint `prefix` holds; every tensor of it is read and compared.
  std::optional<std::int64_t> StepOf(const std::string& prefix);

 private:
  std::int64_t CheckLatest(const std::string& directory);
  void CheckListed(const std::string& directory, const std::string& prefix);

  bool same_prefix_;
  bool has_meta_;
  Engine engine_{EngineOptions{.staging_bytes = std::size_t{16} << 20}};
  StepState state_;
};

}  // namespace waypost
