// What memory `waypost convert` takes: windows, whatever the state's size and the kinds.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "base/units.h"
#include "bench/memory_probe.h"
#include "convert/convert.h"
#include "format/safetensors_writer.h"
#include "support/temp_dir.h"

namespace waypost::tool {
namespace {

constexpr int kTensors = 16;
constexpr std::int64_t kTensorBytes = 32 << 20;
// An engine's staging ring of 64 MiB, the windows of a reader, and what threads and ring take.
constexpr std::uint64_t kMemoryMax = 96 * kMiB;

// 512 MiB, of which the file takes no room.
std::string MakeSource(const TempDir& dir) {
  std::vector<SafetensorsItem> items;
  for (int i = 0; i < kTensors; ++i) {
    items.push_back({"t" + std::to_string(i), DType::kFloat32, {kTensorBytes / 4}});
  }
  std::string path = dir.File("source.safetensors");
  const SafetensorsLayout layout = LayOutSafetensors(items, {}, path);
  std::ofstream(path, std::ios::binary) << layout.head;
  std::filesystem::resize_file(path, layout.size_bytes);
  return path;
}

std::uint64_t PeakBytes(const ConvertOptions& options) {
  MemoryProbe probe;
  Convert(PosixFileSystem(), options, {});
  return probe.PeakExtraBytes();
}

TEST(ConvertMemory, IsBoundedByWindows) {
  const TempDir dir;
  const std::string v2 = dir.File("v2");
  EXPECT_LE(PeakBytes({.source = MakeSource(dir), .target = v2}), kMemoryMax);
  EXPECT_LE(PeakBytes({.source = v2, .target = dir.File("a.safetensors")}), kMemoryMax);
  EXPECT_LE(PeakBytes({.source = v2, .target = dir.File("b.safetensors"), .shards = 3}),
            kMemoryMax);
  EXPECT_LE(PeakBytes({.source = v2, .target = dir.File("cut"), .shards = 3}), kMemoryMax);
}

// V1 has a tensor in one entry of its table.
TEST(ConvertMemory, IsThatOfAFewTensorsWithV1) {
  const TempDir dir;
  const std::string v1 = dir.File("v1");
  EXPECT_LE(PeakBytes({.source = MakeSource(dir), .target = v1, .to = CheckpointKind::kV1}),
            4 * kTensorBytes + kMemoryMax);
  EXPECT_LE(PeakBytes({.source = v1, .target = dir.File("v2")}), 4 * kTensorBytes + kMemoryMax);
}

}  // namespace
}  // namespace waypost::tool
