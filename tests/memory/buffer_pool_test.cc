// BufferPool hands every window out once, takes it back when its owner goes, lets others wait for
// it, and never grows.
#include "memory/buffer_pool.h"

#include <gtest/gtest.h>

#include <atomic>
#include <cstdint>
#include <cstring>
#include <set>
#include <thread>

#include "base/units.h"
#include "waypost/error.h"

namespace waypost {
namespace {

TEST(BufferPool, GivesDistinctAlignedWindowsAndThenNone) {
  BufferPool pool(3);
  EXPECT_EQ(pool.window_count(), 3U);
  std::vector<PinnedBuffer> buffers;
  std::set<std::byte*> addresses;
  while (std::optional<PinnedBuffer> buffer = pool.TryAcquire()) {
    EXPECT_TRUE(*buffer);
    ASSERT_EQ(buffer->bytes().size(), kWindowBytes);
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(buffer->bytes().data()) % (2 * kMiB), 0U);
    addresses.insert(buffer->bytes().data());
    buffers.push_back(std::move(*buffer));
  }
  EXPECT_EQ(addresses.size(), 3U);
  EXPECT_EQ(*addresses.rbegin() - *addresses.begin(), std::ptrdiff_t{2 * kWindowBytes})
      << "the windows lie side by side";
  EXPECT_EQ(pool.memory().data(), *addresses.begin());
  EXPECT_EQ(pool.memory().size(), 3 * kWindowBytes);
  EXPECT_EQ(pool.available(), 0U);
}

TEST(BufferPool, EveryByteOfAWindowIsItsOwn) {
  BufferPool pool(2);
  const auto a = pool.TryAcquire();
  const auto b = pool.TryAcquire();
  std::memset(a->bytes().data(), 1, kWindowBytes);
  std::memset(b->bytes().data(), 2, kWindowBytes);
  EXPECT_EQ(a->bytes().front(), std::byte{1});
  EXPECT_EQ(a->bytes().back(), std::byte{1});
  EXPECT_EQ(b->bytes().front(), std::byte{2});
  EXPECT_EQ(b->bytes().back(), std::byte{2});
}

TEST(BufferPool, ADestroyedBufferComesBack) {
  BufferPool pool(2);
  auto first = pool.TryAcquire();
  const auto second = pool.TryAcquire();
  std::byte* const window = first->bytes().data();
  first.reset();
  EXPECT_EQ(pool.available(), 1U);
  EXPECT_EQ(pool.TryAcquire()->bytes().data(), window);
}

TEST(PinnedBuffer, MovesWithoutGivingItsWindowBack) {
  BufferPool pool(2);
  PinnedBuffer buffer = *pool.TryAcquire();
  PinnedBuffer moved(std::move(buffer));
  EXPECT_FALSE(buffer);  // NOLINT(bugprone-use-after-move): the moved-from state is the subject
  EXPECT_TRUE(moved);
  EXPECT_EQ(pool.available(), 1U);
}

TEST(PinnedBuffer, AssignmentGivesTheOldWindowBackAtOnce) {
  BufferPool pool(2);
  PinnedBuffer a = *pool.TryAcquire();
  PinnedBuffer b = *pool.TryAcquire();
  std::byte* const window = b.bytes().data();
  a = std::move(b);
  EXPECT_EQ(pool.available(), 1U);
  EXPECT_EQ(a.bytes().data(), window);
  a = PinnedBuffer();
  EXPECT_EQ(pool.available(), 2U);
}

TEST(BufferPool, ThreadsNeverShareAWindow) {
  BufferPool pool(4);
  std::atomic<int> clashes = 0;
  {
    std::vector<std::jthread> threads;
    for (unsigned char mark = 1; mark <= 6; ++mark) {
      threads.emplace_back([&pool, &clashes, mark] {
        for (int i = 0; i < 2000; ++i) {
          const auto buffer = pool.TryAcquire();
          if (!buffer) continue;
          std::byte* const bytes = buffer->bytes().data();
          std::memset(bytes, mark, 512);
          if (bytes[0] != std::byte{mark} || bytes[511] != std::byte{mark}) ++clashes;
        }
      });
    }
  }
  EXPECT_EQ(clashes, 0);
  EXPECT_EQ(pool.available(), 4U);
}

TEST(BufferPool, AcquireWaitsUntilAWindowComesBack) {
  BufferPool pool(2);
  std::optional<PinnedBuffer> first = pool.Acquire();
  const PinnedBuffer second = pool.Acquire();
  std::byte* const window = first->bytes().data();
  std::atomic<bool> was_given_back = false;
  std::jthread waiter([&] {
    const PinnedBuffer buffer = pool.Acquire();
    EXPECT_TRUE(was_given_back);
    EXPECT_EQ(buffer.bytes().data(), window);
  });
  was_given_back = true;
  first.reset();
}

// Ten threads share two windows, each keeping the rule that who waits holds none.
TEST(BufferPool, EveryWaiterGetsAWindow) {
  BufferPool pool(2);
  std::atomic<int> got = 0;
  {
    std::vector<std::jthread> threads;
    for (int thread = 0; thread < 10; ++thread) {
      threads.emplace_back([&] {
        for (int i = 0; i < 500; ++i) {
          const PinnedBuffer buffer = pool.Acquire();
          got += buffer ? 1 : 0;
          // More where there is more, as a loader does it.
          const std::optional<PinnedBuffer> another = pool.TryAcquire();
        }
      });
    }
  }
  EXPECT_EQ(got, 5000);
  EXPECT_EQ(pool.available(), 2U);
}

TEST(BufferPool, ItsMemoryIsAllOfItsWindows) {
  BufferPool pool(3);
  EXPECT_EQ(pool.memory().size(), 3 * kWindowBytes);
  const PinnedBuffer buffer = pool.Acquire();
  EXPECT_EQ(buffer.bytes().data(), pool.memory().data()) << "the lowest is given first";
}

TEST(BufferPool, MoreMemoryThanThereIsIsResourceExhausted) {
  const std::size_t whole_address_space = (std::size_t{1} << 47) / kWindowBytes;
  try {
    const BufferPool pool(whole_address_space);
    FAIL() << "it was had";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::kResourceExhausted);
  }
}

TEST(BufferPool, ABufferThatOutlivesItsPoolStopsTheProcess) {
  EXPECT_DEATH(
      {
        std::optional<PinnedBuffer> buffer;
        BufferPool pool(2);
        buffer = pool.TryAcquire();
      },
      "free_.size\\(\\) == window_count_");
}

}  // namespace
}  // namespace waypost
