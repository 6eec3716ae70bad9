// What each tensor of a save takes in memory, without what a save takes in any case: the difference
// between many tensors and few.  A process of its own, since other tests' memory would hide it.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <vector>

#include "bench/memory_probe.h"
#include "support/temp_dir.h"
#include "waypost/engine.h"

namespace waypost {
namespace {

// The peak of a save of so many small tensors with names of 60 bytes.
std::uint64_t PeakBytes(std::size_t tensor_count) {
  const TempDir dir;
  std::vector<float> values(tensor_count);
  std::vector<NamedTensor> tensors;
  tensors.reserve(tensor_count);
  for (std::size_t i = 0; i < tensor_count; ++i) {
    tensors.push_back({.name = fmt::format("model/{:06}/{:s}", i, std::string(47, 'n')),
                       .tensor = TensorView(&values[i], DType::kFloat32, {1})});
  }
  MemoryProbe probe;
  Engine engine({.staging_bytes = 16 << 20});
  SaveAsync(engine, dir.File("m"), tensors).WaitFinished();
  return probe.PeakExtraBytes();
}

// docs/performance.md, "Memory".  An index kept in memory, or its entries, would be some 150 bytes
// a tensor more.
TEST(SaveMemory, IsWithin512BytesATensor) {
  constexpr std::size_t kFew = 20'000;
  constexpr std::size_t kMany = 220'000;
  const std::uint64_t few = PeakBytes(kFew);
  const std::uint64_t many = PeakBytes(kMany);
  ASSERT_GT(many, few);
  EXPECT_LE((many - few) / (kMany - kFew), 512U);
}

}  // namespace
}  // namespace waypost
