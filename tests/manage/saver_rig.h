// SaverTest: a graph of two variables, a session and an engine on real files through a
// FaultyFileSystem.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "manage/engine_impl.h"
#include "support/faulty_file_system.h"
#include "support/temp_dir.h"
#include "waypost/saver.h"

namespace waypost {

inline constexpr std::size_t kStagingBytes = std::size_t{16} << 20;

inline Engine EngineOver(FileSystem& fs) {
  return Engine(
      std::make_unique<Engine::Impl>(EngineParts{.staging_bytes = kStagingBytes, .fs = fs}));
}

class SaverTest : public ::testing::Test {
 protected:
  SaverTest() {
    session_.Bind(kernel_, TensorView(kernel_data_.data(), DType::kFloat32, {2, 3}));
    session_.Bind(step_, TensorView(&step_data_, DType::kInt64, {}));
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
    options.global_step = step;
    return saver.Save(session_, Path("m"), options);
  }
  void SetValues(std::int64_t step) {
    step_data_ = step;
    kernel_data_.assign(6, static_cast<float>(step));
  }
  void ExpectRestores(Saver& saver, const std::string& prefix, std::int64_t step) {
    SetValues(-1);
    saver.Restore(session_, prefix);
    EXPECT_EQ(step_data_, step);
    EXPECT_EQ(kernel_data_, std::vector<float>(6, static_cast<float>(step)));
  }

  TempDir dir_;
  FaultyFileSystem fs_{PosixFileSystem()};
  Engine engine_ = EngineOver(fs_);
  Graph graph_;
  Variable kernel_ = graph_.AddVariable(
      "dense/kernel", {.dtype = DType::kFloat32, .shape = {2, 3}, .device = "/device:CPU:0"});
  Variable step_ =
      graph_.AddVariable("step", {.dtype = DType::kInt64, .shape = {}, .device = "/device:CPU:1"});
  Session session_{engine_, graph_};
  std::vector<float> kernel_data_ = std::vector<float>(6, 1.5F);
  std::int64_t step_data_ = 7;
};

}  // namespace waypost
