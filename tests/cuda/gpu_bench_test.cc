// What `waypost bench --device` and cuda_engine_bench are made of: a state in GPU memory is what
// its pattern says and shows any change; rounds over it save, restore and compare it, and measure
// the link.
//
// One source for two programs: on real GPUs, and over the fake runtime on every machine.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/units.h"
#include "bench/big_state.h"
#include "bench/rounds.h"
#include "bench/work_dir.h"
#include "cuda/gpu.h"
#include "inspect/terminal.h"
#include "support/temp_dir.h"
#include "waypost/error.h"

namespace waypost {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class GpuBenchTest : public ::testing::Test {
 protected:
  void SetUp() override {
    const std::string why_none = Gpu::WhyNone();
    if (!why_none.empty()) GTEST_SKIP() << why_none;
    gpu_ = Gpu::Make();
  }

  // The last device is measured, so that it shows when another one is used.
  int ordinal() const { return gpu_->device_count() - 1; }

  std::unique_ptr<Gpu> gpu_;
};

TEST_F(GpuBenchTest, StateIsFilledAndPoisonedOnTheGpu) {
  // One of several buffers with an end of half a word, and two small ones.
  BigState state({2 * kMiB + 4, 4, 1000}, ordinal());
  EXPECT_THAT(state.Wrong(), IsEmpty());
  auto* const first = static_cast<std::byte*>(state.tensors()[0].tensor.data());
  EXPECT_EQ(gpu_->MakeDevices()[static_cast<std::size_t>(ordinal())]->Owns(first), true);

  std::vector<std::byte> last = gpu_->Read(first + 2 * kMiB + 3, 1);
  last[0] ^= std::byte{1};
  gpu_->Write(first + 2 * kMiB + 3, last);
  EXPECT_THAT(state.Wrong(), ElementsAre(state.tensors()[0].name));

  state.Poison();
  EXPECT_THAT(state.Wrong(), SizeIs(3));
}

TEST_F(GpuBenchTest, GpuThatIsNotThereIsRefused) {
  try {
    const BigState state({4}, 1000);
    FAIL() << "there are 1001 GPUs";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::kUnavailable) << error.what();
  }
}

class GpuRoundsTest : public GpuBenchTest, public ::testing::WithParamInterface<Staging> {};

// Rounds itself throws when a restore gave other bytes than were saved.
TEST_P(GpuRoundsTest, SavesRestoresAndMeasures) {
  const TempDir temp;
  const tool::WorkDirs dirs(temp.path(), {});
  BigState state({5 * kMiB, 3 * kMiB + 4, 400, 4}, ordinal());
  tool::ProgressBar bar(1);
  const tool::SaveSetup setup{.engine = {.staging_bytes = 4 * kWindowBytes},
                              .options = {.staging = GetParam()}};
  tool::Rounds rounds(dirs, state, setup, nullptr, bar);
  rounds.WarmUp();
  const tool::Round round = rounds.Run("run");
  EXPECT_GT(round.to_host_rate, 0);
  EXPECT_GT(round.from_host_rate, 0);
  EXPECT_GT(round.memcpy_rate, 0);
  EXPECT_EQ(round.save.whole.bytes, state.size_bytes());
  EXPECT_THAT(state.Wrong(), IsEmpty());
}

INSTANTIATE_TEST_SUITE_P(Staging, GpuRoundsTest,
                         ::testing::Values(Staging::kLazy, Staging::kFullCopy,
                                           Staging::kDeviceCopy));

}  // namespace
}  // namespace waypost
