// The queue of windows gives each out once, to owners first and to whoever comes, hands filled ones
// to their owner, checks sources only when all are filled, and is staged exactly once.
#include "save/stage_queue.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <set>
#include <thread>

namespace waypost {
namespace {

class StageQueueTest : public ::testing::Test {
 protected:
  void Fill(StageQueue& queue, const StageTask& task) { queue.Filled(task, *pool_.TryAcquire()); }

  Signal signal_;
  BufferPool pool_{8, &signal_};
};

TEST_F(StageQueueTest, GivesShardsToTheThreadsOfTheirDrive) {
  StageQueue queue({{1, 2}, {7, 1}, {1, 1}}, false, signal_);
  EXPECT_EQ(queue.OwnShard(7), 1);
  EXPECT_EQ(queue.OwnShard(7), std::nullopt);
  EXPECT_EQ(queue.OwnShard(1), 0);
  EXPECT_EQ(queue.OwnShard(1), 2);
  EXPECT_EQ(queue.OwnShard(1), std::nullopt);
  EXPECT_EQ(queue.OwnShard(99), std::nullopt);
}

TEST_F(StageQueueTest, GivesNoWindowOfAShardThatNobodyWrites) {
  StageQueue queue({{1, 2}}, false, signal_);
  EXPECT_FALSE(queue.Take());
  const std::uint64_t before = signal_.version();
  queue.OwnShard(1);
  EXPECT_NE(signal_.version(), before) << "whoever waits for windows must be woken";
  EXPECT_TRUE(queue.Take());
}

TEST_F(StageQueueTest, GivesEachWindowOnceAndIsStagedOnce) {
  StageQueue queue({{1, 2}, {1, 1}}, false, signal_);
  queue.OwnShard(1);
  queue.OwnShard(1);
  EXPECT_FALSE(queue.BecameStaged());
  std::set<std::pair<int, std::uint64_t>> given;
  while (const auto task = queue.Take()) {
    EXPECT_FALSE(task->is_check);
    EXPECT_FALSE(queue.IsOver()) << "this one is not filled yet";
    EXPECT_TRUE(given.emplace(task->id.shard, task->id.window).second);
    Fill(queue, *task);
  }
  EXPECT_EQ(given.size(), 3U);
  EXPECT_TRUE(queue.IsOver());
  EXPECT_TRUE(queue.BecameStaged());
  EXPECT_FALSE(queue.BecameStaged());
}

TEST_F(StageQueueTest, IsStagedAtOnceWithoutWindows) {
  StageQueue queue({{1, 0}}, true, signal_);
  EXPECT_TRUE(queue.IsOver());
  EXPECT_TRUE(queue.BecameStaged());
  EXPECT_FALSE(queue.Take());
}

TEST_F(StageQueueTest, HandsFilledWindowsToTheOwnerInTheOrderTheyCame) {
  StageQueue queue({{1, 2}}, false, signal_);
  queue.OwnShard(1);
  const StageTask first = *queue.Take(0);
  const StageTask second = *queue.Take(0);
  EXPECT_FALSE(queue.TakeFilled(0));
  Fill(queue, second);
  Fill(queue, first);
  EXPECT_EQ(queue.Waiting(0), 2U);
  EXPECT_EQ(queue.Unwritten(0), 2U);
  EXPECT_EQ(queue.TakeFilled(0)->id.window, second.id.window);
  EXPECT_EQ(queue.TakeFilled(0)->id.window, first.id.window);
  EXPECT_EQ(queue.Unwritten(0), 0U);
}

TEST_F(StageQueueTest, ChecksSourcesWhenTheLastWindowIsFilledAndNotBefore) {
  StageQueue queue({{1, 2}}, true, signal_);
  queue.OwnShard(1);
  const StageTask first = *queue.Take();
  const StageTask second = *queue.Take();
  Fill(queue, first);
  EXPECT_FALSE(queue.Take()) << "the other window is being filled";
  Fill(queue, second);
  EXPECT_FALSE(queue.IsOver());
  const StageTask check = *queue.Take();
  EXPECT_TRUE(check.is_check);
  queue.Checked(check);
  EXPECT_FALSE(queue.BecameStaged());
  queue.Checked(*queue.Take());
  EXPECT_TRUE(queue.BecameStaged());
}

TEST_F(StageQueueTest, GivesNothingOutOnceStoppedAndDropsWhatIsFilled) {
  StageQueue queue({{1, 3}}, false, signal_);
  queue.OwnShard(1);
  Fill(queue, *queue.Take());
  const StageTask under_way = *queue.Take();
  queue.Stop();
  EXPECT_EQ(pool_.available(), 8U);
  EXPECT_FALSE(queue.Take());
  EXPECT_FALSE(queue.TakeFilled(0));
  EXPECT_TRUE(queue.IsOver());
  EXPECT_FALSE(queue.IsStaged());
  Fill(queue, under_way);
  EXPECT_EQ(pool_.available(), 8U);
  EXPECT_FALSE(queue.BecameStaged());
}

TEST_F(StageQueueTest, IsStoppedByATaskThatIsGivenUp) {
  StageQueue queue({{1, 2}}, false, signal_);
  queue.OwnShard(1);
  queue.GivenUp(*queue.Take());
  EXPECT_TRUE(queue.IsStopped());
  EXPECT_FALSE(queue.IsStaged());
  EXPECT_FALSE(queue.Take());
}

TEST_F(StageQueueTest, StaysStagedWhenStoppedLater) {
  StageQueue queue({{1, 1}}, false, signal_);
  queue.OwnShard(1);
  EXPECT_FALSE(queue.IsStaged());
  Fill(queue, *queue.Take());
  EXPECT_TRUE(queue.IsStaged());
  queue.Stop();
  EXPECT_TRUE(queue.IsStaged());
}

TEST_F(StageQueueTest, ServesManyThreads) {
  constexpr std::uint64_t kWindows = 500;
  StageQueue queue({{1, kWindows}, {1, kWindows}}, true, signal_);
  queue.OwnShard(1);
  queue.OwnShard(1);
  std::atomic<int> staged = 0;
  std::atomic<std::uint64_t> written = 0;
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < 3; ++i) {
      threads.emplace_back([&] {
        while (true) {
          const std::uint64_t seen = signal_.version();
          if (queue.IsOver()) return;
          std::optional<PinnedBuffer> buffer = pool_.TryAcquire();
          const auto task = buffer ? queue.Take() : std::nullopt;
          if (!task) {
            buffer.reset();
            signal_.WaitPast(seen);
          } else if (task->is_check) {
            queue.Checked(*task);
          } else {
            queue.Filled(*task, std::move(*buffer));
          }
          staged += queue.BecameStaged() ? 1 : 0;
        }
      });
    }
    threads.emplace_back([&] {
      while (written < 2 * kWindows) {
        const std::uint64_t seen = signal_.version();
        bool any = false;
        for (const int shard : {0, 1}) {
          while (queue.TakeFilled(shard)) any = ++written > 0;
        }
        if (!any && written < 2 * kWindows) signal_.WaitPast(seen);
      }
    });
  }
  EXPECT_EQ(staged, 1);
  EXPECT_EQ(queue.windows_filled(), 2 * kWindows);
  EXPECT_EQ(pool_.available(), 8U);
}

}  // namespace
}  // namespace waypost
