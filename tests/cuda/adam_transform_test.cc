// Adam as a Thrust transform gives the bits of the loop on the host, step after step; here by
// Thrust's host back end, whose transform is the GPU's.
#include "digits/adam_transform.h"

#include <gtest/gtest.h>
#include <thrust/execution_policy.h>

#include <random>
#include <vector>

#include "support/seed.h"

namespace waypost::digits {
namespace {

TEST(AdamTransform, IsTheHostsLoopBitForBit) {
  std::mt19937_64 random(TestSeed());
  std::normal_distribution<float> normal(0, 0.1F);
  for (const std::size_t count :
       {std::size_t{0}, std::size_t{1}, std::size_t{10}, std::size_t{2048}}) {
    std::vector<float> weights(count), m(count), v(count), gradients(count);
    for (float& weight : weights) weight = normal(random);
    std::vector<float> expected = weights, expected_m = m, expected_v = v;
    for (std::int64_t step = 1; step <= 50; ++step) {
      for (float& gradient : gradients) gradient = normal(random);
      const AdamStep adam(step);
      TransformByAdam(thrust::host,
                      {.weights = weights.data(),
                       .m = m.data(),
                       .v = v.data(),
                       .gradients = gradients.data(),
                       .count = count},
                      adam);
      for (std::size_t i = 0; i < count; ++i) {
        adam(expected[i], expected_m[i], expected_v[i], gradients[i]);
      }
    }
    EXPECT_EQ(weights, expected);
    EXPECT_EQ(m, expected_m);
    EXPECT_EQ(v, expected_v);
  }
}

}  // namespace
}  // namespace waypost::digits
