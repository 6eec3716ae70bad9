// A Saver with restore_sequentially, measured: when a variable is read those before it on its
// device are assigned, no more than two windows a device are in use, and another device's variables
// are read meanwhile.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <map>
#include <mutex>

#include "manage/engine_impl.h"
#include "restore/separate_memory.h"
#include "restore/watched_file_systems.h"
#include "support/temp_dir.h"
#include "support/test_engine.h"
#include "waypost/checkpoint_reader.h"
#include "waypost/saver.h"

namespace waypost {
namespace {

constexpr std::size_t kVariables = 6;
constexpr std::int64_t kBytes = (5 << 20) + 100;  // two windows

char ValueOf(std::size_t variable) { return static_cast<char>('a' + variable); }

class SequentialSaver : public ::testing::Test {
 protected:
  // Variables v0 to v5, those of odd number on a device.
  SequentialSaver() : fs_(PosixFileSystem()) {
    auto device = std::make_unique<SeparateMemory>(3 * kBytes);
    memory_ = device.get();
    EngineParts parts{.options = {.staging_bytes = 64 << 20}, .fs = fs_};
    parts.devices.push_back(std::move(device));
    engine_.emplace(std::make_unique<Engine::Impl>(std::move(parts)));
    session_.emplace(*engine_, graph_);
    for (std::size_t i = 0; i < kVariables; ++i) {
      variables_.push_back(graph_.AddVariable(
          fmt::format("v{}", i), {.dtype = DType::kUInt8,
                                  .shape = {kBytes},
                                  .device = i % 2 == 0 ? "/device:CPU:0" : "/device:GPU:0"}));
      session_->Bind(variables_[i], TensorView(DataOf(i), DType::kUInt8, {kBytes}));
    }
    WriteCheckpoint();
  }
  void WriteCheckpoint() {
    std::vector<std::string> contents;
    std::vector<NamedTensor> tensors;
    for (std::size_t i = 0; i < kVariables; ++i) {
      contents.emplace_back(static_cast<std::size_t>(kBytes), ValueOf(i));
    }
    for (std::size_t i = 0; i < kVariables; ++i) {
      tensors.push_back(
          {fmt::format("v{}", i), TensorView(contents[i].data(), DType::kUInt8, {kBytes})});
    }
    // The file system that watches reads is not made for writing.
    Engine engine = TestEngine();
    SaveAsync(engine, prefix_, tensors).WaitFinished();
  }
  void* DataOf(std::size_t i) {
    if (i % 2 == 1) return memory_->data() + (i / 2) * static_cast<std::size_t>(kBytes);
    return host_.data() + (i / 2) * static_cast<std::size_t>(kBytes);
  }
  bool IsAssigned(std::size_t i) {
    const std::string value(static_cast<std::size_t>(kBytes), ValueOf(i));
    if (i % 2 == 1) return memory_->Content(DataOf(i), static_cast<std::size_t>(kBytes)) == value;
    return std::equal(value.begin(), value.end(), static_cast<const char*>(DataOf(i)));
  }
  // The variable that a read of the data file meets.
  std::size_t VariableAt(const CacheFileSystem::Read& read) const {
    for (std::size_t i = 0; i < kVariables; ++i) {
      const std::uint64_t begin = offsets_.at(i);
      if (read.offset >= begin && read.offset < begin + static_cast<std::uint64_t>(kBytes))
        return i;
    }
    return kVariables;
  }
  void FindOffsets() {
    const CheckpointReader reader(prefix_);
    for (std::size_t i = 0; i < kVariables; ++i) {
      offsets_[i] = reader.Find(fmt::format("v{}", i))->extents[0].offset;
    }
  }

  TempDir dir_;
  const std::string prefix_ = dir_.File("m");
  CacheFileSystem fs_;
  std::vector<char> host_ = std::vector<char>(3 * static_cast<std::size_t>(kBytes));
  SeparateMemory* memory_ = nullptr;
  std::optional<Engine> engine_;
  Graph graph_;
  std::vector<Variable> variables_;
  std::optional<Session> session_;
  std::map<std::size_t, std::uint64_t> offsets_;
};

TEST_F(SequentialSaver, ReadsAVariableOnlyWhenTheOneBeforeItOnItsDeviceIsAssigned) {
  FindOffsets();
  Saver saver(graph_, {.restore_sequentially = true});
  std::atomic<std::size_t> early = 0;
  std::atomic<std::size_t> reads = 0;
  fs_.on_read = [&](const CacheFileSystem::Read& read) {
    const std::size_t variable = VariableAt(read);
    if (variable == kVariables) return;
    ++reads;
    for (std::size_t i = variable % 2; i < variable; i += 2) {
      if (!IsAssigned(i)) ++early;
    }
  };
  saver.Restore(*session_, prefix_);
  fs_.on_read = nullptr;
  EXPECT_GE(reads, kVariables);
  EXPECT_EQ(early, 0U) << "reads of a variable before the one before it was assigned";
  EXPECT_LE(fs_.in_flight_max(), 4U) << "two windows a device";
  for (std::size_t i = 0; i < kVariables; ++i) EXPECT_TRUE(IsAssigned(i)) << i;
}

TEST_F(SequentialSaver, UsesMoreMemoryWithoutTheOption) {
  Saver saver(graph_);
  saver.Restore(*session_, prefix_);
  EXPECT_GT(fs_.in_flight_max(), 2U) << "or the test above says nothing";
  for (std::size_t i = 0; i < kVariables; ++i) EXPECT_TRUE(IsAssigned(i)) << i;
}

}  // namespace
}  // namespace waypost
