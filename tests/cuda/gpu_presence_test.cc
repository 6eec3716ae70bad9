// Says by a skipped test why nothing was tested on a GPU.
#include <gtest/gtest.h>

#include "cuda/gpu.h"

namespace waypost {
namespace {

TEST(Gpu, IsThere) {
  const std::string why_none = Gpu::WhyNone();
  if (!why_none.empty()) GTEST_SKIP() << why_none;
  EXPECT_GT(Gpu::Make()->device_count(), 0);
}

}  // namespace
}  // namespace waypost
