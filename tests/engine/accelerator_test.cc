// Saves and restores of tensors on an accelerator: what the caller's stream leaves is what is
// saved, every copy is waited for, and an accelerator that fails at any of its copies ends in an
// error that says so, with the old checkpoint in place.
//
// That all else is as with host tensors is proved by the whole suites, which run on the accelerator
// too (support/test_device.h).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <future>
#include <optional>
#include <random>
#include <thread>

#include "base/units.h"
#include "support/expect_error.h"
#include "support/gated_file_system.h"
#include "support/seed.h"
#include "support/sim_accelerator.h"
#include "support/sim_stream.h"
#include "support/temp_dir.h"
#include "support/tensor_set.h"
#include "support/test_engine.h"

namespace waypost {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

Engine EngineOn(const std::vector<SimAccelerator*>& accelerators, CheckStable check) {
  EngineParts parts{.options = TestEngineOptions()};
  parts.options.check_stable = check;
  for (SimAccelerator* const accelerator : accelerators) {
    parts.devices.push_back(accelerator->MakeDevice());
  }
  return Engine(std::make_unique<Engine::Impl>(std::move(parts)));
}

// An accelerator, the engine that reaches it, and a state of several windows on it.
struct Rig {
  explicit Rig(CheckStable check = CheckStable::kAll) : engine(EngineOn({&accelerator}, check)) {
    std::mt19937_64 random(TestSeed());
    state.Add("large", DType::kUInt8, {2 * std::int64_t{kWindowBytes} + 5}, random);
    state.Add("small", DType::kFloat32, {7}, random);
    state.AddStrings("strings", {2}, {"on the", "host"});
  }

  SimAccelerator accelerator{{.copies_late = true}};
  TensorSet state{{&accelerator}};
  Engine engine;
};

// Time enough for a save that does not wait as it must to go on.
void LetItGoOn() { std::this_thread::sleep_for(std::chrono::milliseconds(100)); }

class AcceleratorTest : public ::testing::Test {
 protected:
  // Whether the checkpoint holds `state`, read into host memory.
  bool Holds(const TensorSet& state) {
    const TensorSet restored = state.BlankOn(TensorSet::kHost);
    Restore(other_, prefix_, restored.tensors());
    return state.Differences(restored).empty();
  }

  TempDir dir_;
  std::string prefix_ = dir_.File("m");
  Engine other_ = TestEngine();  // which knows nothing of a rig's accelerator
};

TEST_F(AcceleratorTest, SavesAndRestoresWhatIsOnIt) {
  Rig rig;
  SaveAsync(rig.engine, prefix_, rig.state.tensors()).WaitFinished();
  EXPECT_TRUE(Holds(rig.state));
  const TensorSet restored = rig.state.Blank();
  Restore(rig.engine, prefix_, restored.tensors());
  EXPECT_THAT(rig.state.Differences(restored), IsEmpty());
  EXPECT_EQ(rig.accelerator.unwaited_tickets(), 0U);
}

TEST_F(AcceleratorTest, SavesTensorsOfTheHostBesideItsOwn) {
  Rig rig;
  const TensorSet host = rig.state.BlankOn(TensorSet::kHost);
  std::vector<NamedTensor> tensors = host.tensors();
  tensors[1] = rig.state.tensors()[1];
  SaveAsync(rig.engine, prefix_, tensors).WaitFinished();
  const TensorSet restored = rig.state.Blank();
  Restore(rig.engine, prefix_, restored.tensors());
  EXPECT_THAT(host.Differences(restored), ElementsAre("small"));
  EXPECT_EQ(restored.Content(1), rig.state.Content(1));
}

TEST_F(AcceleratorTest, SavesAndRestoresTwoAtOnceAndFailsWithTheOneThatIsLost) {
  const auto options = [](const std::string& name, std::uint64_t seed) {
    return SimAcceleratorOptions{
        .name = name, .pause_max = std::chrono::milliseconds(2), .seed = seed};
  };
  SimAccelerator first(options("sim:0", TestSeed()));
  SimAccelerator second(options("sim:1", TestSeed() + 1));
  TensorSet state({&first, &second});
  std::mt19937_64 random(TestSeed());
  for (const char* const name : {"a", "b", "c", "d"}) {
    state.Add(name, DType::kUInt8, {std::int64_t{kWindowBytes} + 5}, random);
  }
  Engine engine = EngineOn({&first, &second}, CheckStable::kAll);
  SaveAsync(engine, prefix_, state.tensors()).WaitFinished();
  EXPECT_TRUE(Holds(state));
  const TensorSet restored = state.Blank();
  Restore(engine, prefix_, restored.tensors());
  EXPECT_THAT(state.Differences(restored), IsEmpty());

  second.LoseAtCopy(1);
  EXPECT_EQ(MessageOf([&] { SaveAsync(engine, prefix_, state.tensors()).WaitFinished(); }),
            "sim:1: the device was lost");
  EXPECT_TRUE(Holds(state)) << "the checkpoint before it";
  EXPECT_EQ(first.unwaited_tickets() + second.unwaited_tickets(), 0U);
}

TEST_F(AcceleratorTest, SavesWhatTheCallersStreamLeaves) {
  Rig rig;
  SimStream stream(rig.accelerator);
  const std::string content(rig.state.Content(0).size(), 'x');
  std::promise<void> gate;
  stream.Run([&] {
    gate.get_future().wait();
    rig.state.SetContent(0, content);
  });
  SaveHandle save = SaveAsync(rig.engine, prefix_, rig.state.tensors(), {.stream = &stream});
  LetItGoOn();
  gate.set_value();
  save.WaitFinished();
  EXPECT_EQ(rig.state.Content(0), content);
  EXPECT_TRUE(Holds(rig.state));
}

// A pass that was put on the stream later only reads the tensors, and may take long.
TEST_F(AcceleratorTest, DoesNotWaitForWhatComesOnTheStreamAfterTheCall) {
  Rig rig;
  SimStream stream(rig.accelerator);
  SaveHandle save = SaveAsync(rig.engine, prefix_, rig.state.tensors(), {.stream = &stream});
  std::promise<void> gate;
  stream.Run([&] { gate.get_future().wait(); });
  save.WaitFinished();
  gate.set_value();
  EXPECT_TRUE(Holds(rig.state));
}

TEST_F(AcceleratorTest, NeedsTheCallersStreamDuringTheCallOnly) {
  Rig rig;
  const std::string content(rig.state.Content(0).size(), 'x');
  std::optional<SimStream> stream(std::in_place, rig.accelerator);
  stream->Run([&] { rig.state.SetContent(0, content); });
  SaveHandle save = SaveAsync(rig.engine, prefix_, rig.state.tensors(), {.stream = &*stream});
  stream.reset();
  save.WaitFinished();
  EXPECT_EQ(rig.state.Content(0), content);
  EXPECT_TRUE(Holds(rig.state));
  EXPECT_EQ(rig.accelerator.unreleased_marks(), 0U);
}

TEST_F(AcceleratorTest, NoticesAChangeWhetherTheDeviceSumsOrTheHost) {
  for (const bool sums : {true, false}) {
    SimAccelerator accelerator({.copies_late = true, .sums = sums});
    std::mt19937_64 random(TestSeed());
    TensorSet state({&accelerator});
    // More than the ring has room for, so that not all is staged while the drive stands.
    state.Add("large", DType::kUInt8, {2 * std::int64_t{kStagingBytes}}, random);
    {
      Engine engine = EngineOn({&accelerator}, CheckStable::kDevices);
      SaveAsync(engine, prefix_, state.tensors()).WaitFinished();
    }
    EXPECT_TRUE(Holds(state)) << "sums: " << sums;
    TensorSet saved = state.BlankOn(TensorSet::kHost);
    saved.SetContent(0, state.Content(0));
    GatedFileSystem fs(PosixFileSystem());
    EngineParts parts{.options = TestEngineOptions(), .fs = fs};
    parts.options.check_stable = CheckStable::kDevices;
    parts.devices.push_back(accelerator.MakeDevice());
    Engine engine(std::make_unique<Engine::Impl>(std::move(parts)));
    fs.writes.Close();
    SaveHandle save = SaveAsync(engine, prefix_, state.tensors());
    fs.writes.WaitForArrivals(1);  // the first window is filled
    std::string content = state.Content(0);
    content[0] = static_cast<char>(~content[0]);
    state.SetContent(0, content);
    fs.writes.Open();
    EXPECT_EQ(CodeOf([&] { save.WaitFinished(); }), Code::kAborted) << "sums: " << sums;
    EXPECT_TRUE(Holds(saved)) << "the old checkpoint stays";
  }
}

// ---- Copies on the device ----

// A state on an accelerator, larger than the ring, and an engine whose writes can be held up.
struct DeviceCopyRig {
  explicit DeviceCopyRig(std::size_t memory_bytes = std::size_t{1} << 30)
      : accelerator({.memory_bytes = memory_bytes, .copies_late = true}) {
    std::mt19937_64 random(TestSeed());
    state.Add("large", DType::kUInt8, {kLargeBytes}, random);
    for (int i = 0; i < 20; ++i) {
      state.Add("small" + std::to_string(i), DType::kFloat32, {7 + i}, random);
    }
    EngineParts parts{.options = TestEngineOptions(), .fs = fs};
    parts.devices.push_back(accelerator.MakeDevice());
    engine.emplace(std::make_unique<Engine::Impl>(std::move(parts)));
  }

  static constexpr std::int64_t kLargeBytes = 2 * std::int64_t{kStagingBytes};
  SimAccelerator accelerator;
  GatedFileSystem fs{PosixFileSystem()};
  TensorSet state{{&accelerator}};
  std::optional<Engine> engine;
};

TEST_F(AcceleratorTest, LetsTensorsChangeAsSoonAsTheyAreCopiedOnTheDevice) {
  DeviceCopyRig rig;
  const TensorSet before = rig.state.Copy();
  const std::size_t used = rig.accelerator.used_bytes();
  rig.fs.writes.Close();
  SaveHandle save =
      SaveAsync(*rig.engine, prefix_, rig.state.tensors(), {.staging = Staging::kDeviceCopy});
  save.WaitStaged();
  EXPECT_EQ(save.state(), SaveState::kDraining) << "nothing can have been written";
  rig.state.SetContent(0, std::string(DeviceCopyRig::kLargeBytes, 'x'));
  rig.state.SetContent(1, std::string(7 * 4, 'x'));
  rig.fs.writes.Open();
  save.WaitCommitted();
  EXPECT_TRUE(Holds(before));
  EXPECT_EQ(rig.accelerator.used_bytes(), used)
      << "the memory of the copy is given back before the commit";
}

// There is nothing to copy of it, and nothing that may change.
TEST_F(AcceleratorTest, WaitsForNoTensorWithoutBytes) {
  DeviceCopyRig rig;
  std::vector<NamedTensor> tensors = rig.state.tensors();
  tensors.push_back(
      {.name = "none", .tensor = TensorView(tensors[0].tensor.data(), DType::kUInt8, {0})});
  rig.fs.writes.Close();
  SaveHandle save = SaveAsync(*rig.engine, prefix_, tensors, {.staging = Staging::kDeviceCopy});
  rig.fs.writes.WaitForArrivals(1);
  EXPECT_EQ(save.state(), SaveState::kDraining);
  rig.fs.writes.Open();
  save.WaitFinished();
  EXPECT_TRUE(Holds(rig.state));
}

TEST_F(AcceleratorTest, CopiesOnTheDeviceWhatTheCallersStreamLeaves) {
  DeviceCopyRig rig;
  SimStream stream(rig.accelerator);
  const std::string content(DeviceCopyRig::kLargeBytes, 'x');
  std::promise<void> gate;
  stream.Run([&] {
    gate.get_future().wait();
    rig.state.SetContent(0, content);
  });
  SaveHandle save = SaveAsync(*rig.engine, prefix_, rig.state.tensors(),
                              {.stream = &stream, .staging = Staging::kDeviceCopy});
  LetItGoOn();
  EXPECT_LE(save.state(), SaveState::kStaging);
  gate.set_value();
  save.WaitFinished();
  EXPECT_EQ(rig.state.Content(0), content);
  EXPECT_TRUE(Holds(rig.state));
}

TEST_F(AcceleratorTest, StagesLazilyWhereTheDevicesMemoryIsShort) {
  DeviceCopyRig rig(std::size_t{DeviceCopyRig::kLargeBytes} * 3 / 2);
  rig.fs.writes.Close();
  SaveHandle save =
      SaveAsync(*rig.engine, prefix_, rig.state.tensors(), {.staging = Staging::kDeviceCopy});
  rig.fs.writes.WaitForArrivals(1);
  EXPECT_EQ(save.state(), SaveState::kStaging) << "the ring has no room for all";
  rig.fs.writes.Open();
  save.WaitFinished();
  EXPECT_TRUE(Holds(rig.state));
}

TEST_F(AcceleratorTest, WaitsForHostTensorsBesideThoseCopiedOnTheDevice) {
  DeviceCopyRig rig;
  const TensorSet host = rig.state.BlankOn(TensorSet::kHost);
  std::vector<NamedTensor> tensors = rig.state.tensors();
  tensors[0] = host.tensors()[0];
  rig.fs.writes.Close();
  SaveHandle save = SaveAsync(*rig.engine, prefix_, tensors, {.staging = Staging::kDeviceCopy});
  rig.fs.writes.WaitForArrivals(1);
  EXPECT_EQ(save.state(), SaveState::kStaging);
  rig.fs.writes.Open();
  save.WaitFinished();
  const TensorSet restored = rig.state.BlankOn(TensorSet::kHost);
  Restore(other_, prefix_, restored.tensors());
  EXPECT_THAT(rig.state.Differences(restored), ElementsAre("large"));
  EXPECT_EQ(restored.Content(0), host.Content(0));
}

TEST_F(AcceleratorTest, FailsASaveWithACopyOnTheDeviceWhereverItIsLost) {
  const TensorSet old = MakeSmallState(1);
  SaveAsync(other_, prefix_, old.tensors()).WaitFinished();
  bool is_saved = false;
  for (std::uint64_t number = 0; !is_saved; ++number) {
    SCOPED_TRACE(number);
    DeviceCopyRig rig;
    const std::size_t used = rig.accelerator.used_bytes();
    rig.accelerator.LoseAtCopy(number);
    const std::optional<Code> code = CodeOf([&] {
      SaveAsync(*rig.engine, prefix_, rig.state.tensors(), {.staging = Staging::kDeviceCopy})
          .WaitFinished();
    });
    is_saved = !code.has_value();
    EXPECT_TRUE(is_saved || code == Code::kUnavailable);
    EXPECT_TRUE(Holds(is_saved ? rig.state : old));
    EXPECT_EQ(rig.accelerator.unwaited_tickets(), 0U);
    EXPECT_EQ(rig.accelerator.used_bytes(), used);
    EXPECT_TRUE(number > 2 || !is_saved) << "several copies make a save";
  }
}

TEST_F(AcceleratorTest, CancelsASaveThatIsCopiedOnTheDevice) {
  DeviceCopyRig rig;
  const std::size_t used = rig.accelerator.used_bytes();
  SimStream stream(rig.accelerator);
  std::promise<void> gate;
  stream.Run([&] { gate.get_future().wait(); });
  SaveHandle save = SaveAsync(*rig.engine, prefix_, rig.state.tensors(),
                              {.stream = &stream, .staging = Staging::kDeviceCopy});
  EXPECT_TRUE(save.Cancel());
  gate.set_value();
  EXPECT_EQ(CodeOf([&] { save.WaitStaged(); }), Code::kCancelled);
  EXPECT_EQ(rig.accelerator.unwaited_tickets(), 0U);
  EXPECT_EQ(rig.accelerator.used_bytes(), used);
}

// ---- Restores ----

TEST_F(AcceleratorTest, RestoresOverWhatTheCallersStreamLeaves) {
  Rig rig;
  SaveAsync(rig.engine, prefix_, rig.state.tensors()).WaitFinished();
  const TensorSet restored = rig.state.Blank();
  SimStream stream(rig.accelerator);
  std::promise<void> gate;
  stream.Run([&] {
    gate.get_future().wait();
    auto* const target = static_cast<std::byte*>(restored.tensors()[0].tensor.data());
    rig.accelerator.Write(target, std::vector<std::byte>(kWindowBytes));
  });
  std::jthread opener([&] {
    rig.accelerator.AwaitStart();
    gate.set_value();
  });
  Restore(rig.engine, prefix_, restored.tensors(), {.stream = &stream});
  EXPECT_THAT(rig.state.Differences(restored), IsEmpty());
}

TEST_F(AcceleratorTest, FailsASaveWhereverItIsLostAndKeepsTheOldCheckpoint) {
  const TensorSet old = MakeSmallState(1);
  SaveAsync(other_, prefix_, old.tensors()).WaitFinished();
  bool is_saved = false;
  for (std::uint64_t number = 0; !is_saved; ++number) {
    SCOPED_TRACE(number);
    Rig rig;
    rig.accelerator.LoseAtCopy(number);
    const std::optional<Code> code =
        CodeOf([&] { SaveAsync(rig.engine, prefix_, rig.state.tensors()).WaitFinished(); });
    is_saved = !code.has_value();
    EXPECT_TRUE(is_saved || code == Code::kUnavailable);
    EXPECT_TRUE(Holds(is_saved ? rig.state : old));
    EXPECT_EQ(rig.accelerator.unwaited_tickets(), 0U);
    EXPECT_TRUE(number > 2 || !is_saved) << "several copies make a save";
  }
}

// The check copies from it once more, and would notice by itself.
TEST_F(AcceleratorTest, FailsASaveWhereverItIsLostAlsoWhenNothingIsChecked) {
  const TensorSet old = MakeSmallState(1);
  SaveAsync(other_, prefix_, old.tensors()).WaitFinished();
  constexpr std::uint64_t kCopies = 4;  // three windows of the large tensor, one of the small
  for (std::uint64_t number = 0; number <= kCopies; ++number) {
    SCOPED_TRACE(number);
    Rig rig(CheckStable::kNone);
    rig.accelerator.LoseAtCopy(number);
    const std::optional<Code> code =
        CodeOf([&] { SaveAsync(rig.engine, prefix_, rig.state.tensors()).WaitFinished(); });
    EXPECT_EQ(code, number < kCopies ? std::optional(Code::kUnavailable) : std::nullopt);
    EXPECT_TRUE(Holds(number < kCopies ? old : rig.state));
    EXPECT_EQ(rig.accelerator.unwaited_tickets(), 0U);
  }
}

TEST_F(AcceleratorTest, FailsASaveWhereverMemoryIsShortAndDoesTheNextOne) {
  const TensorSet old = MakeSmallState(1);
  SaveAsync(other_, prefix_, old.tensors()).WaitFinished();
  Rig rig;
  std::uint64_t number = 0;
  for (bool is_saved = false; !is_saved; ++number) {
    SCOPED_TRACE(number);
    rig.accelerator.RunOutOfMemoryAtStart(number);
    const std::optional<Code> code =
        CodeOf([&] { SaveAsync(rig.engine, prefix_, rig.state.tensors()).WaitFinished(); });
    is_saved = !code.has_value();
    EXPECT_TRUE(is_saved || code == Code::kResourceExhausted);
    EXPECT_TRUE(Holds(is_saved ? rig.state : old));
    EXPECT_EQ(rig.accelerator.unwaited_tickets(), 0U);
  }
  EXPECT_GT(number, 3U) << "three windows, and checks of them, make a save";
}

TEST_F(AcceleratorTest, FailsARestoreWhereverItIsLostAndSaysWhatIsUndefined) {
  {
    Rig rig;
    SaveAsync(rig.engine, prefix_, rig.state.tensors()).WaitFinished();
  }
  bool is_restored = false;
  for (std::uint64_t number = 0; !is_restored; ++number) {
    SCOPED_TRACE(number);
    Rig rig;
    const TensorSet restored = rig.state.Blank();
    rig.accelerator.LoseAtCopy(number);
    try {
      Restore(rig.engine, prefix_, restored.tensors());
      is_restored = true;
      EXPECT_THAT(rig.state.Differences(restored), IsEmpty());
    } catch (const RestoreError& error) {
      EXPECT_EQ(error.code(), Code::kUnavailable);
      EXPECT_THAT(error.undefined(), testing::Not(IsEmpty()));
      for (std::size_t i = 0; i < restored.tensors().size(); ++i) {
        const std::string& name = restored.tensors()[i].name;
        if (std::ranges::count(error.assigned(), name) == 0) continue;
        EXPECT_EQ(restored.Content(i), rig.state.Content(i)) << name;
      }
    }
    EXPECT_EQ(rig.accelerator.unwaited_tickets(), 0U);
    EXPECT_TRUE(number > 2 || !is_restored) << "several copies make a restore";
  }
}

}  // namespace
}  // namespace waypost
