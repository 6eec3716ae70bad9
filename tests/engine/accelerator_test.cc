// Saves and restores of tensors on an accelerator: what the caller's stream leaves is what is
// saved, every copy is waited for, and an accelerator that fails at any of its copies ends in an
// error that says so, with the old checkpoint in place.
//
// That all else is as with host tensors is proved by the whole suites, which run on the accelerator
// too (support/test_device.h).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <future>
#include <optional>
#include <random>
#include <thread>

#include "base/units.h"
#include "support/expect_error.h"
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

// An accelerator, the engine that reaches it, and a state of several windows on it.
struct Rig {
  explicit Rig(CheckStable check = CheckStable::kAll) : engine(EngineOn(accelerator, check)) {
    std::mt19937_64 random(TestSeed());
    state.Add("large", DType::kUInt8, {2 * std::int64_t{kWindowBytes} + 5}, random);
    state.Add("small", DType::kFloat32, {7}, random);
    state.AddStrings("strings", {2}, {"on the", "host"});
  }

  static Engine EngineOn(SimAccelerator& accelerator, CheckStable check) {
    EngineParts parts{.options = TestEngineOptions()};
    parts.options.check_stable = check;
    parts.devices.push_back(accelerator.MakeDevice());
    return Engine(std::make_unique<Engine::Impl>(std::move(parts)));
  }

  SimAccelerator accelerator{{.copies_late = true}};
  TensorSet state{&accelerator};
  Engine engine;
};

class AcceleratorTest : public ::testing::Test {
 protected:
  // Whether the checkpoint holds `state`, read into host memory.
  bool Holds(const TensorSet& state) {
    const TensorSet restored = state.BlankOn(nullptr);
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
  const TensorSet host = rig.state.BlankOn(nullptr);
  std::vector<NamedTensor> tensors = host.tensors();
  tensors[1] = rig.state.tensors()[1];
  SaveAsync(rig.engine, prefix_, tensors).WaitFinished();
  const TensorSet restored = rig.state.Blank();
  Restore(rig.engine, prefix_, restored.tensors());
  EXPECT_THAT(host.Differences(restored), ElementsAre("small"));
  EXPECT_EQ(restored.Content(1), rig.state.Content(1));
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
  gate.set_value();
  save.WaitFinished();
  EXPECT_EQ(rig.state.Content(0), content);
  EXPECT_TRUE(Holds(rig.state));
}

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
  EXPECT_GT(number, 3U) << "several copies make a save";
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
