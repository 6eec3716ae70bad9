// The state of train_digits on a GPU goes through the same bits as on the host.
#include <cuda_runtime_api.h>
#include <gtest/gtest.h>

#include <random>

#include "cuda/gpu.h"
#include "digits/adam.h"
#include "digits/device_state.h"
#include "support/seed.h"

namespace waypost::digits {
namespace {

std::vector<float> Read(Gpu& gpu, const float* memory, std::size_t count) {
  const std::vector<std::byte> bytes =
      gpu.Read(reinterpret_cast<const std::byte*>(memory), count * sizeof(float));
  const auto* const values = reinterpret_cast<const float*>(bytes.data());
  return {values, values + count};
}

TEST(DigitsOnAGpu, GoThroughTheHostsBits) {
  const std::string why_none = Gpu::WhyNone();
  if (!why_none.empty()) GTEST_SKIP() << why_none;
  const std::unique_ptr<Gpu> gpu = Gpu::Make();
  const std::unique_ptr<DeviceState> state = MakeDeviceState("cuda:0");
  std::mt19937_64 random(TestSeed());
  std::normal_distribution<float> normal(0, 0.1F);
  Parameters weights = InitialWeights(random());
  Parameters m, v, gradients, read;
  state->Initialize(weights);
  for (std::int64_t step = 1; step <= 50; ++step) {
    const AdamStep adam(step);
    for (std::size_t tensor = 0; tensor < weights.tensors.size(); ++tensor) {
      for (std::size_t i = 0; i < weights.values(tensor).size(); ++i) {
        gradients.values(tensor)[i] = normal(random);
        adam(weights.values(tensor)[i], m.values(tensor)[i], v.values(tensor)[i],
             gradients.values(tensor)[i]);
      }
    }
    state->Update(gradients, step);
  }
  state->ReadWeights(read);
  for (std::size_t tensor = 0; tensor < weights.tensors.size(); ++tensor) {
    const std::size_t count = weights.values(tensor).size();
    EXPECT_EQ(read.values(tensor), weights.values(tensor));
    EXPECT_EQ(Read(*gpu, state->adam_m(tensor), count), m.values(tensor));
    EXPECT_EQ(Read(*gpu, state->adam_v(tensor), count), v.values(tensor));
  }
}

}  // namespace
}  // namespace waypost::digits
