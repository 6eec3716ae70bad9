// What the page cache is said to hold, against files that were just written or just dropped from
// it.
#include "io/page_cache.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <string>

#include "base/unique_fd.h"
#include "base/units.h"
#include "support/temp_dir.h"

namespace waypost {
namespace {

constexpr std::size_t kBytes = 4 * kMiB;

class PageCache : public ::testing::Test {
 protected:
  void SetUp() override {
    fd_ = UniqueFd(::open(directory_.File("file").c_str(), O_RDWR | O_CREAT, 0600));
    const std::string content(kBytes, 'x');
    ASSERT_EQ(::write(fd_.get(), content.data(), kBytes), static_cast<ssize_t>(kBytes));
    ASSERT_EQ(::fsync(fd_.get()), 0);
  }
  void Forget(std::size_t begin, std::size_t size) {
    ASSERT_EQ(::posix_fadvise(fd_.get(), static_cast<off_t>(begin), static_cast<off_t>(size),
                              POSIX_FADV_DONTNEED),
              0);
  }
  TempDir directory_;
  UniqueFd fd_;
};

TEST_F(PageCache, CountsWhatWasWrittenAndForgetsWhatWasDropped) {
  const auto all = CountCachedBytes(fd_.get(), 0, kBytes);
  if (!all) GTEST_SKIP() << "nobody can tell on this kernel and file system";
  EXPECT_EQ(*all, kBytes);
  EXPECT_EQ(CountCachedBytes(fd_.get(), 0, 1000), 1000U) << "no more than the range";
  EXPECT_EQ(CountCachedBytes(fd_.get(), 1000, 1000), 0U);
  EXPECT_EQ(CountCachedBytes(fd_.get(), 2000, 1000), 0U);
  Forget(0, 0);
  if (CountCachedBytes(fd_.get(), 0, kBytes) == kBytes) GTEST_SKIP() << "a file system in memory";
  EXPECT_EQ(CountCachedBytes(fd_.get(), 0, kBytes), 0U);
}

TEST_F(PageCache, TheEstimateAgreesAndFetchesLittle) {
  const auto all = EstimateCachedBytes(fd_.get(), 0, kBytes);
  if (!all) GTEST_SKIP() << "this file system does not know RWF_NOWAIT";
  EXPECT_EQ(*all, kBytes);
  EXPECT_EQ(EstimateCachedBytes(fd_.get(), 100, 10101), 10001U);
  EXPECT_EQ(EstimateCachedBytes(fd_.get(), 5, 5), 0U);
  Forget(0, 0);
  if (CountCachedBytes(fd_.get(), 0, kBytes) == kBytes) GTEST_SKIP() << "a file system in memory";
  EXPECT_EQ(EstimateCachedBytes(fd_.get(), 0, kBytes), 0U);
  EXPECT_LE(CountCachedBytes(fd_.get(), 0, kBytes).value_or(0), kBytes / 8) << "no read-ahead";
}

TEST_F(PageCache, TheEstimateSeesHalfOfAFile) {
  if (!EstimateCachedBytes(fd_.get(), 0, kBytes)) GTEST_SKIP() << "no RWF_NOWAIT here";
  Forget(0, kBytes / 2);
  const auto half = EstimateCachedBytes(fd_.get(), 0, kBytes);
  if (half == kBytes) GTEST_SKIP() << "a file system in memory";
  EXPECT_NEAR(static_cast<double>(*half), kBytes / 2.0, kBytes / 8.0);
}

TEST_F(PageCache, NobodyCanTellOfWhatIsNoFile) {
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  const UniqueFd reading(ends[0]);
  const UniqueFd writing(ends[1]);
  EXPECT_EQ(EstimateCachedBytes(reading.get(), 0, 100), std::nullopt);
  EXPECT_EQ(CountCachedBytes(-1, 0, 100), std::nullopt);
}

}  // namespace
}  // namespace waypost
