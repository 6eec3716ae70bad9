// The first example of README.md, as it stands there: it runs, and what it saved is what it
// restores.
#include <gtest/gtest.h>

#include <numeric>
#include <vector>

#include "examples/in_temp_dir.h"
#include "waypost/waypost.h"

namespace {

TEST(ReadmeExample, SavesAndRestoresNamedTensors) {
  const InTempDir in_temp_dir;
  std::vector<float> values(64 * 10);
  std::iota(values.begin(), values.end(), 0.0F);
  const std::vector<float> saved = values;
  float* data = values.data();

  // clang-format off
  waypost::Engine engine({.staging_bytes = 64 << 20});          // ring, I/O threads, devices; one per process is usual
  std::vector<waypost::NamedTensor> state = {{"kernel", waypost::TensorView(data, waypost::DType::kFloat32, {64, 10})}};
  waypost::SaveHandle save = waypost::SaveAsync(engine, "ckpt/m-7", state, {.stream = nullptr});
  save.WaitCommitted();                                         // from here on a power cut cannot lose it
  waypost::Restore(engine, "ckpt/m-7", state);
  // clang-format on

  EXPECT_EQ(values, saved);
  std::fill(values.begin(), values.end(), -1.0F);
  waypost::Restore(engine, "ckpt/m-7", state);
  EXPECT_EQ(values, saved);
}

}  // namespace
