// Several processes save over one prefix at once, again and again, while this one reads it.  One of
// them wins each time and the others are told kAborted with the holder's process id; no checkpoint
// is a mixture, none gets older, and no file is left over.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "kill/child.h"
#include "kill/leftovers.h"
#include "kill/step_state.h"
#include "support/full_run.h"
#include "support/temp_dir.h"
#include "waypost/checkpoint_reader.h"
#include "waypost/error.h"

namespace waypost {
namespace {

constexpr std::chrono::seconds kPatience{60};

class ProcessesTest : public testing::Test {
 protected:
  // Process `number` saves steps number * 1'000'000 and up.
  void Spawn(int number, const std::vector<std::string>& flags) {
    std::vector<std::string> command = {WAYPOST_KILL_SAVER,
                                        "--dir",
                                        dir_.path(),
                                        "--core",
                                        "--beside-others",
                                        "--start-step",
                                        std::to_string(number * kSteps),
                                        "--steps",
                                        std::to_string(saves_)};
    command.insert(command.end(), flags.begin(), flags.end());
    children_.push_back(std::make_unique<Child>(command));
    pids_.push_back(children_.back()->pid());
  }

  // The step that the prefix holds now; 0 when there is none.
  std::int64_t Read() {
    try {
      const CheckpointReader reader(dir_.path() + "/model");
      state_.Poison();
      for (const NamedTensor& tensor : state_.tensors()) reader.Read(tensor.name, tensor.tensor);
      const auto step = state_.Step();
      EXPECT_TRUE(step) << "it holds no step's tensors";
      ++reads_;
      return step.value_or(0);
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), Code::kNotFound) << error.what();
      return 0;
    }
  }

  // What child `number` reported, judged line by line.
  void JudgeLines(std::size_t number) {
    for (const std::string& line : children_[number]->lines()) {
      if (line.starts_with("aborted ")) {
        ++aborted_;
        EXPECT_TRUE(NamesAnother(line, number)) << line;
      } else {
        ++committed_;
      }
    }
  }
  bool NamesAnother(const std::string& line, std::size_t number) const {
    if (line.find("an unknown process") != line.npos)
      return true;  // its lock file is not written yet
    for (std::size_t i = 0; i < pids_.size(); ++i) {
      const std::string holder = "pid " + std::to_string(pids_[i]) + " on host ";
      if (i != number && line.find(holder) != line.npos) return true;
    }
    return false;
  }

  static constexpr std::int64_t kSteps = 1'000'000;
  const int saves_ = InFullRun(500, 15);
  TempDir dir_;
  StepState state_;
  std::vector<std::unique_ptr<Child>> children_;
  std::vector<pid_t> pids_;
  int reads_ = 0, committed_ = 0, aborted_ = 0;
};

TEST_F(ProcessesTest, SaveOverOnePrefixAndNeverMix) {
  Spawn(1, {});
  Spawn(2, {"--sharded"});
  Spawn(3, {});
  std::vector<std::int64_t> latest(4, 0);
  for (bool is_running = true; is_running;) {
    const std::int64_t step = Read();
    std::int64_t& last = latest.at(static_cast<std::size_t>(step / kSteps));
    EXPECT_GE(step, last) << "an older checkpoint came back";
    last = step;
    is_running = false;
    for (const auto& child : children_) {
      const std::size_t lines = child->lines().size();
      const auto wanted = static_cast<std::size_t>(saves_);
      child->WaitForLines(lines + 1, std::chrono::milliseconds(1));
      is_running = is_running || child->lines().size() < wanted;
    }
    if (HasFailure()) break;
  }
  for (const auto& child : children_) EXPECT_EQ(child->Wait(), 0);
  for (std::size_t i = 0; i < children_.size(); ++i) JudgeLines(i);
  EXPECT_GT(Read(), 0);
  EXPECT_EQ(FilesIn(dir_.path()), WantedFiles(dir_.path(), false));
  EXPECT_EQ(committed_ + aborted_, 3 * saves_);
  EXPECT_GT(aborted_, 0) << "the processes never met";
  std::printf("processes: %d saves committed, %d refused, %d checkpoints read beside them\n",
              committed_, aborted_, reads_);
}

}  // namespace
}  // namespace waypost
