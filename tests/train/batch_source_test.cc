// Every epoch gives each image at most once, in an order of its own; and three numbers carried over
// into a new BatchSource continue the sequence at any point.
#include "digits/batch_source.h"

#include <gtest/gtest.h>

#include <set>

#include "digits/random.h"
#include "support/seed.h"

namespace waypost::digits {
namespace {

std::vector<std::uint32_t> Images() {
  std::vector<std::uint32_t> images;
  for (std::uint32_t i = 0; i < 103; ++i) images.push_back(1000 + 3 * i);
  return images;
}

std::vector<std::uint32_t> NextBatch(BatchSource& source) {
  const auto batch = source.Batch();
  std::vector<std::uint32_t> copy(batch.begin(), batch.end());
  source.Advance();
  return copy;
}

TEST(BatchSource, GivesEachImageAtMostOnceAnEpoch) {
  const std::vector<std::uint32_t> images = Images();
  BatchSource source(TestSeed(), images, 10);
  std::set<std::vector<std::uint32_t>> first_batches;
  for (std::uint64_t epoch = 0; epoch < 20; ++epoch) {
    std::set<std::uint32_t> seen;
    for (int i = 0; i < 10; ++i) {
      EXPECT_EQ(source.state()[1], epoch);
      const std::vector<std::uint32_t> batch = NextBatch(source);
      if (i == 0) first_batches.insert(batch);
      seen.insert(batch.begin(), batch.end());
    }
    EXPECT_EQ(seen.size(), 100U);
    for (const std::uint32_t image : seen) EXPECT_EQ((image - 1000) % 3, 0U);
  }
  EXPECT_EQ(first_batches.size(), 20U) << "an order was used twice";
}

TEST(BatchSource, AdvancesOnlyWhenTold) {
  BatchSource source(1, Images(), 10);
  const BatchSource::State before = source.state();
  const auto first = source.Batch();
  const std::vector<std::uint32_t> copy(first.begin(), first.end());
  const auto again = source.Batch();
  EXPECT_TRUE(std::equal(copy.begin(), copy.end(), again.begin(), again.end()));
  EXPECT_EQ(source.state(), before);
}

TEST(BatchSource, ContinuesFromItsStateAlone) {
  BatchSource source(TestSeed(), Images(), 7);
  for (int done = 0; done < 50; ++done) {
    // As a restore does it: into a source that has already made the order of another epoch.
    BatchSource resumed(TestSeed(), Images(), 7);
    resumed.Batch();
    resumed.state() = source.state();
    BatchSource ahead = source;
    for (int i = 0; i < 40; ++i)
      ASSERT_EQ(NextBatch(resumed), NextBatch(ahead)) << done << " + " << i;
    NextBatch(source);
  }
}

TEST(BatchSource, StaysWithinTheImagesWhateverTheState) {
  BatchSource source(1, Images(), 10);
  for (const std::uint64_t used : {std::uint64_t{95}, std::uint64_t{1} << 40, ~std::uint64_t{0}}) {
    source.state()[2] = used;
    for (const std::uint32_t image : source.Batch()) EXPECT_EQ((image - 1000) % 3, 0U);
    source.Advance();
  }
}

TEST(SplitMix64, GivesThePublishedSequence) {
  SplitMix64 random(1234567);
  EXPECT_EQ(random.Next(), 6457827717110365317U);
  EXPECT_EQ(random.Next(), 3203168211198807973U);
  EXPECT_EQ(random.Next(), 9817491932198370423U);
}

}  // namespace
}  // namespace waypost::digits
