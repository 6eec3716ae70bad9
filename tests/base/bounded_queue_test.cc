// BoundedQueue keeps order and capacity, Close drains and stop abandons; nobody waits for ever.
// Threads that must be seen waiting are followed by what they do next: a test that hangs has
// failed.
#include "base/bounded_queue.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <numeric>
#include <thread>
#include <vector>

namespace waypost {
namespace {

using testing::ElementsAre;
using Queue = BoundedQueue<int>;

std::vector<int> PopAll(Queue& queue) {
  std::vector<int> items;
  while (const std::optional<int> item = queue.Pop()) items.push_back(*item);
  return items;
}

TEST(BoundedQueue, GivesItemsInTheirOrder) {
  Queue queue(3);
  for (const int item : {1, 2, 3}) EXPECT_TRUE(queue.Push(item));
  EXPECT_EQ(queue.Pop(), 1);
  EXPECT_EQ(queue.Pop(), 2);
  EXPECT_EQ(queue.Pop(), 3);
}

TEST(BoundedQueue, PushWaitsForRoom) {
  Queue queue(1);
  ASSERT_TRUE(queue.Push(1));
  std::jthread pusher([&] {
    EXPECT_TRUE(queue.Push(2));
    queue.Close();
  });
  EXPECT_THAT(PopAll(queue), ElementsAre(1, 2));
}

TEST(BoundedQueue, NeverHoldsMoreThanItsCapacity) {
  Queue queue(2);
  std::jthread pusher([&](const std::stop_token& stop) {
    for (int item = 0; queue.Push(item, stop);) ++item;
  });
  ASSERT_EQ(queue.Pop(), 0);
  pusher.request_stop();
  pusher.join();
  queue.Close();
  EXPECT_LE(PopAll(queue).size(), 2U);
}

TEST(BoundedQueue, CloseDrains) {
  Queue queue(4);
  ASSERT_TRUE(queue.Push(1));
  ASSERT_TRUE(queue.Push(2));
  queue.Close();
  queue.Close();
  EXPECT_FALSE(queue.Push(3));
  EXPECT_THAT(PopAll(queue), ElementsAre(1, 2));
  EXPECT_EQ(queue.Pop(), std::nullopt) << "it stays ended";
}

TEST(BoundedQueue, CloseEndsAWaitingPush) {
  Queue queue(1);
  ASSERT_TRUE(queue.Push(1));
  std::jthread pusher([&] { EXPECT_FALSE(queue.Push(2)); });
  queue.Close();
  pusher.join();
  EXPECT_THAT(PopAll(queue), ElementsAre(1));
}

TEST(BoundedQueue, CloseEndsAWaitingPop) {
  Queue queue(1);
  std::jthread popper([&] { EXPECT_EQ(queue.Pop(), std::nullopt); });
  queue.Close();
}

TEST(BoundedQueue, StopAbandonsWhatIsInside) {
  Queue queue(2);
  ASSERT_TRUE(queue.Push(1));
  std::stop_source stop;
  stop.request_stop();
  EXPECT_EQ(queue.Pop(stop.get_token()), std::nullopt);
  std::optional<int> item;
  EXPECT_EQ(queue.PopUntil(item, Queue::TimePoint::max(), stop.get_token()),
            Queue::Outcome::kEnded);
  EXPECT_FALSE(queue.Push(2, stop.get_token()));
  EXPECT_EQ(queue.Pop(), 1) << "it was left alone";
}

TEST(BoundedQueue, StopEndsAWaitingPop) {
  Queue queue(1);
  std::jthread popper(
      [&](const std::stop_token& stop) { EXPECT_EQ(queue.Pop(stop), std::nullopt); });
  popper.request_stop();
}

TEST(BoundedQueue, PopUntilTellsATimeoutFromTheEnd) {
  Queue queue(1);
  std::optional<int> item;
  const auto past = std::chrono::steady_clock::now();
  EXPECT_EQ(queue.PopUntil(item, past), Queue::Outcome::kTimeout);
  ASSERT_TRUE(queue.Push(7));
  EXPECT_EQ(queue.PopUntil(item, past), Queue::Outcome::kItem)
      << "an item that is there needs no wait";
  EXPECT_EQ(item, 7);
  queue.Close();
  EXPECT_EQ(queue.PopUntil(item, Queue::TimePoint::max()), Queue::Outcome::kEnded);
}

TEST(BoundedQueue, ManyThreadsLoseAndRepeatNothing) {
  constexpr int kThreads = 4;
  constexpr int kItemsEach = 500;
  Queue queue(3);
  std::vector<std::vector<int>> popped(kThreads);
  {
    std::vector<std::jthread> poppers;
    for (int t = 0; t < kThreads; ++t) {
      poppers.emplace_back([&, t] { popped[static_cast<std::size_t>(t)] = PopAll(queue); });
    }
    {
      std::vector<std::jthread> pushers;
      for (int t = 0; t < kThreads; ++t) {
        pushers.emplace_back([&, t] {
          for (int i = 0; i < kItemsEach; ++i) EXPECT_TRUE(queue.Push(t * kItemsEach + i));
        });
      }
    }
    queue.Close();
  }
  std::vector<int> all;
  for (const std::vector<int>& part : popped) all.insert(all.end(), part.begin(), part.end());
  std::vector<int> expected(kThreads * kItemsEach);
  std::iota(expected.begin(), expected.end(), 0);
  EXPECT_THAT(all, testing::UnorderedElementsAreArray(expected));
}

}  // namespace
}  // namespace waypost
