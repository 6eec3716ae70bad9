#include "kill/step_saver.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <utility>

#include "format/bundle_files.h"
#include "io/file_system.h"
#include "kill/leftovers.h"
#include "waypost/checkpoint_reader.h"
#include "waypost/checkpoint_state.h"

namespace waypost {

StepSaver::StepSaver(Engine& engine, std::string directory, const StepSaverOptions& options)
    : directory_(std::move(directory)), options_(options) {
  for (const NamedTensor& tensor : state_.tensors()) {
    graph_.AddVariable(
        tensor.name,
        {.dtype = tensor.tensor.dtype(), .shape = tensor.tensor.shape(), .device = tensor.device});
  }
  saver_.emplace(graph_, SaverOptions{.max_to_keep = 2,
                                      .sharded = options.sharded,
                                      .storage_dirs = options.storage_dirs});
  session_.emplace(engine, graph_);
  for (std::size_t i = 0; i < state_.tensors().size(); ++i) {
    session_->Bind(graph_.variables()[i], state_.tensors()[i].tensor);
  }
  if (const auto known = GetCheckpointState(directory_)) {
    saver_->RecoverLastCheckpoints(known->all_model_checkpoint_paths);
  }
}

SaveHandle StepSaver::SaveAsync(std::int64_t step) {
  state_.SetStep(step);
  SaverSaveOptions options;
  // GCC 12 finds fault with an assignment under asan.
  if (!options_.same_prefix) options.global_step.emplace(step);
  return saver_->SaveAsync(*session_, directory_ + "/model", options);
}

std::int64_t StepChecker::CheckCheckpoints(const std::string& directory, std::int64_t promised) {
  try {
    const std::int64_t latest = CheckLatest(directory);
    if (latest == 0) {
      EXPECT_EQ(promised, 0) << "a committed checkpoint is gone";
    } else {
      EXPECT_THAT(latest, testing::AnyOf(promised, promised + 1))
          << "at most one save was under way";
    }
    return latest;
  } catch (const Error& error) {
    ADD_FAILURE() << error.what();
    return 0;
  }
}

std::int64_t StepChecker::CheckLatest(const std::string& directory) {
  const auto latest = LatestCheckpoint(directory);
  if (!latest) return 0;
  state_.Poison();
  Restore(engine_, *latest, state_.tensors());
  const auto step = state_.Step();
  EXPECT_TRUE(step) << *latest << " holds no step's tensors";
  const auto state = GetCheckpointState(directory);
  for (const std::string& prefix : state->all_model_checkpoint_paths) {
    CheckListed(directory, prefix);
  }
  return step.value_or(0);
}

void StepChecker::CheckFiles(const std::string& directory) const {
  EXPECT_EQ(FilesIn(directory), WantedFiles(directory, has_meta_));
}

std::optional<std::int64_t> StepChecker::StepOf(const std::string& prefix) {
  state_.Poison();
  const CheckpointReader reader(prefix);
  EXPECT_EQ(reader.List().size(), state_.tensors().size());
  for (const NamedTensor& tensor : state_.tensors()) reader.Read(tensor.name, tensor.tensor);
  return state_.Step();
}

void StepChecker::CheckListed(const std::string& directory, const std::string& prefix) {
  SCOPED_TRACE(prefix);
  const auto step = StepOf(prefix);
  ASSERT_TRUE(step) << "it holds no step's tensors";
  EXPECT_EQ(prefix, same_prefix_ ? fmt::format("{}/model", directory)
                                 : fmt::format("{}/model-{}", directory, *step));
  if (!has_meta_) return;
  const auto header = CommittedHeader(PosixFileSystem(), prefix);
  EXPECT_TRUE(FindMetaGraph(PosixFileSystem(), prefix, *header->origin)) << "its .meta is lost";
}

}  // namespace waypost
