// The cap is a matter of arithmetic: times come in, and the time of the next write comes out.
#include "save/rate_cap.h"

#include <gtest/gtest.h>

namespace waypost {
namespace {

using std::chrono::milliseconds;

constexpr RateCap::TimePoint kBegin{std::chrono::hours(1)};

TEST(RateCap, LetsAllPassWithoutACap) {
  RateCap cap(0);
  EXPECT_FALSE(cap.is_set());
  EXPECT_EQ(cap.Count(1'000'000'000, kBegin), kBegin);
}

TEST(RateCap, SpacesWritesByTheirBytes) {
  RateCap cap(1'000'000);
  EXPECT_TRUE(cap.is_set());
  EXPECT_EQ(cap.Count(100'000, kBegin), kBegin + milliseconds(100));
  EXPECT_EQ(cap.Count(50'000, kBegin + milliseconds(100)), kBegin + milliseconds(150));
}

TEST(RateCap, AddsUpWhatSeveralThreadsWriteAtOnce) {
  RateCap cap(1'000'000);
  EXPECT_EQ(cap.Count(100'000, kBegin), kBegin + milliseconds(100));
  EXPECT_EQ(cap.Count(100'000, kBegin), kBegin + milliseconds(200));
}

TEST(RateCap, SavesNothingUpWhileNobodyWrites) {
  RateCap cap(1'000'000);
  cap.Count(100'000, kBegin);
  const auto later = kBegin + std::chrono::hours(1);
  EXPECT_EQ(cap.Count(100'000, later), later + milliseconds(100));
}

}  // namespace
}  // namespace waypost
