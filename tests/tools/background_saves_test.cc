// BackgroundSaves: one save follows the other as long as it is wanted, each of them whole; after
// Stop nothing is written any more; a save that fails is told.
#include "bench/background_saves.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <thread>

#include "base/units.h"
#include "bench/big_state.h"
#include "support/temp_dir.h"

namespace waypost::tool {
namespace {

constexpr SaveSetup kSetup = {.engine = {.staging_bytes = 4 * kWindowBytes}};

TEST(BackgroundSaves, FollowEachOtherUntilTheyAreStopped) {
  const TempDir temp;
  BigState state({5 * kMiB, kMiB});
  BackgroundSaves saves(temp.path(), state.tensors(), kSetup);
  EXPECT_GT(saves.bytes_written(), 0U);
  while (saves.bytes_written() < 5 * state.size_bytes()) std::this_thread::yield();
  saves.Stop();
  const std::uint64_t written = saves.bytes_written();
  // More than four were done: both prefixes hold one, and it is the state.
  state.Poison();
  Engine engine;
  for (const char* name : {"beside-0", "beside-1"}) {
    Restore(engine, temp.File(name), state.tensors());
    EXPECT_THAT(state.Wrong(), ::testing::IsEmpty());
  }
  EXPECT_EQ(saves.bytes_written(), written);
}

TEST(BackgroundSaves, LeaveNoFilesOfTheOneThatIsCancelled) {
  const TempDir temp;
  const BigState state({240 * kMiB});
  SaveSetup setup = kSetup;
  setup.engine.write_bytes_per_second_max = kWindowBytes;  // a minute to its end
  BackgroundSaves(temp.path(), state.tensors(), setup).Stop();
  EXPECT_TRUE(std::filesystem::is_empty(temp.path()));
}

TEST(BackgroundSaves, TellThatTheyCannotBegin) {
  const TempDir temp;
  const BigState state({kMiB});
  std::filesystem::create_directories(temp.File("beside-0.index/directory"));
  EXPECT_THROW(BackgroundSaves(temp.path(), state.tensors(), kSetup), Error);
}

}  // namespace
}  // namespace waypost::tool
