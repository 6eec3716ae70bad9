// How many data files are open at once follows the process's real limit.
#include "io/open_files.h"

#include <gtest/gtest.h>

#include "support/descriptor_limit.h"

namespace waypost {
namespace {

TEST(OpenFiles, AreASixteenthOfTheDescriptors) {
  for (const rlim_t descriptors : {64U, 256U, 1024U}) {
    const DescriptorLimit limit(descriptors);
    EXPECT_EQ(OpenDataFilesMax(), descriptors / 16);
  }
}

TEST(OpenFiles, AreOneAtLeast) {
  const DescriptorLimit limit(15);
  EXPECT_EQ(OpenDataFilesMax(), 1U);
}

}  // namespace
}  // namespace waypost
