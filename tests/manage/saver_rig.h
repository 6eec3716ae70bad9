// SaverTest: a graph of two variables, a session and an engine on real files through a
// FaultyFileSystem.  The variables are where the test program has its tensors (test_device.h).
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <random>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "support/faulty_file_system.h"
#include "support/temp_dir.h"
#include "support/tensor_set.h"
#include "support/test_engine.h"
#include "waypost/saver.h"

namespace waypost {

class SaverTest : public ::testing::Test {
 protected:
  SaverTest() {
    std::mt19937_64 random;
    values_.Add("dense/kernel", DType::kFloat32, {2, 3}, random);
    values_.Add("step", DType::kInt64, {}, random);
    session_.Bind(kernel_, values_.tensors()[0].tensor);
    session_.Bind(step_, values_.tensors()[1].tensor);
  }

  std::string Path(const std::string& name) const { return dir_.File(name); }
  std::set<std::string> Files(const std::string& directory = "") const {
    std::set<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(dir_.path() + "/" + directory)) {
      names.insert(entry.path().filename());
    }
    return names;
  }
  // Steps of the checkpoints "m-STEP" that are there.
  std::set<int> StepsOnDisk() const {
    std::set<int> steps;
    for (const std::string& name : Files()) {
      if (name.starts_with("m-") && name.ends_with(".index"))
        steps.insert(std::stoi(name.substr(2)));
    }
    return steps;
  }
  std::string Content(const std::string& name) const {
    std::ifstream file(Path(name), std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }
  // The state file's text for checkpoints of this directory, the last one being the latest.
  std::string StateOf(const std::vector<std::string>& names) const {
    std::string text = "model_checkpoint_path: \"" + Path(names.back()) + "\"\n";
    for (const std::string& name : names)
      text += "all_model_checkpoint_paths: \"" + Path(name) + "\"\n";
    return text;
  }
  // Saves with values that tell the step.
  std::string SaveStep(Saver& saver, std::int64_t step, SaverSaveOptions options = {}) {
    SetValues(step);
    options.global_step.emplace(step);  // GCC 12 finds fault with an assignment under asan
    return saver.Save(session_, Path("m"), options);
  }
  void SetValues(std::int64_t step) {
    values_.SetContent(0, KernelOf(step));
    values_.SetContent(1, StepOf(step));
  }
  void ExpectRestores(Saver& saver, const std::string& prefix, std::int64_t step) {
    SetValues(-1);
    saver.Restore(session_, prefix);
    ExpectValues(step);
  }
  void ExpectValues(std::int64_t step) {
    EXPECT_EQ(values_.Content(0), KernelOf(step));
    EXPECT_EQ(values_.Content(1), StepOf(step));
  }

  TempDir dir_;
  FaultyFileSystem fs_{PosixFileSystem()};
  TensorSet values_;  // Before the engine, which may still read them.
  Engine engine_ = TestEngine(fs_);
  Graph graph_;
  Variable kernel_ = graph_.AddVariable(
      "dense/kernel", {.dtype = DType::kFloat32, .shape = {2, 3}, .device = "/device:CPU:0"});
  Variable step_ =
      graph_.AddVariable("step", {.dtype = DType::kInt64, .shape = {}, .device = "/device:CPU:1"});
  Session session_{engine_, graph_};

 private:
  static std::string KernelOf(std::int64_t step) {
    const std::vector<float> kernel(6, static_cast<float>(step));
    return std::string(AsText(std::as_bytes(std::span(kernel))));
  }
  static std::string StepOf(std::int64_t step) {
    return std::string(AsText(std::as_bytes(std::span(&step, 1))));
  }
};

}  // namespace waypost
