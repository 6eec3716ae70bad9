// MergeRig: parts of a checkpoint in a directory of the real disk, and what is there after a merge.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "format/bundle_names.h"
#include "support/seed.h"
#include "support/temp_dir.h"
#include "support/tensor_set.h"
#include "support/test_engine.h"
#include "verify/checkpoint_damage.h"
#include "waypost/checkpoint_reader.h"
#include "waypost/merge.h"

namespace waypost {

class MergeRig : public ::testing::Test {
 protected:
  MergeRig() {
    for (const std::string& drive : drives_) std::filesystem::create_directory(drive);
  }

  std::string Part(int number) const { return prefix_ + ".part-" + std::to_string(number); }
  std::vector<std::string> Parts(int count) const {
    std::vector<std::string> parts;
    for (int number = 0; number < count; ++number) parts.push_back(Part(number));
    return parts;
  }
  void Save(const std::string& prefix, std::span<const NamedTensor> tensors,
            const SaveOptions& options = {}) {
    SaveAsync(engine_, prefix, tensors, options).WaitFinished();
  }
  // Part `number` of `count` gets each `count`th tensor of `state`.
  void SaveParts(const TensorSet& state, int count, const SaveOptions& options = {}) {
    for (int number = 0; number < count; ++number) {
      std::vector<NamedTensor> tensors;
      for (std::size_t i = static_cast<std::size_t>(number); i < state.tensors().size();
           i += static_cast<std::size_t>(count)) {
        tensors.push_back(state.tensors()[i]);
      }
      Save(Part(number), tensors, options);
    }
  }
  // A part with the slice [begin, begin + length) along the first dimension of `name`.
  void SaveRows(const std::string& part, const std::string& name, std::int64_t begin,
                std::int64_t length, const Shape& full_shape, DType dtype = DType::kUInt8) {
    TensorSet rows;
    std::mt19937_64 random(TestSeed());
    TensorSlice slice;
    slice.extents.push_back({begin, length});
    for (std::size_t i = 1; i < full_shape.size(); ++i) slice.extents.push_back({0, full_shape[i]});
    rows.AddSlice(name, dtype, full_shape, slice, random);
    Save(part, rows.tensors());
  }

  std::set<std::string> NamesIn(const std::string& directory) const {
    std::set<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(directory)) {
      names.insert(entry.path().filename());
    }
    return names;
  }
  // Every file below the test's directory, with its content or where it leads to.
  std::map<std::string, std::string> Everything() const {
    std::map<std::string, std::string> all;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(dir_.path())) {
      if (entry.is_symlink()) {
        all[entry.path()] = std::filesystem::read_symlink(entry.path()).string();
      } else if (entry.is_regular_file()) {
        std::ifstream file(entry.path(), std::ios::binary);
        all[entry.path()] = {std::istreambuf_iterator<char>(file), {}};
      } else {
        all[entry.path()] = "";
      }
    }
    return all;
  }

  // The merged checkpoint holds `state`, `waypost verify` finds nothing, and no other file is
  // there.
  void ExpectMerged(const TensorSet& state, int shard_count, bool with_meta = false) {
    const TensorSet restored = state.Blank();
    Restore(engine_, prefix_, restored.tensors());
    EXPECT_EQ(state.Differences(restored), std::vector<std::string>());
    EXPECT_EQ(tool::FindCheckpointDamage(PosixFileSystem(), prefix_, {.on_terminal = false})
                  .damage.lines(),
              std::vector<std::string>());
    std::set<std::string> names = {"m.index"};
    if (with_meta) names.insert("m.meta");
    for (int shard = 0; shard < shard_count; ++shard) {
      names.insert(BaseName(DataPath("m", shard, shard_count)));
    }
    EXPECT_EQ(NamesIn(ckpt_), names);
  }

  TempDir dir_;
  std::string ckpt_ = dir_.File("ckpt");
  std::string prefix_ = ckpt_ + "/m";
  std::vector<std::string> drives_ = {dir_.File("drive0"), dir_.File("drive1")};
  Engine engine_ = TestEngine();
};

}  // namespace waypost
