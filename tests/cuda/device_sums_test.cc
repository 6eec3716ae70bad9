// The device's sums are those of Crc32c, of every length at every address.
#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <vector>

#include "base/crc32c.h"
#include "base/units.h"
#include "cuda/device_algorithms_test.h"

namespace waypost {
namespace {

std::uint32_t HostSum(const DevicePart& part) {
  return Crc32c({part.data, static_cast<std::size_t>(part.size)});
}

std::uint64_t SizeTotal(const std::vector<DevicePart>& parts) {
  return std::accumulate(parts.begin(), parts.end(), std::uint64_t{0},
                         [](std::uint64_t sum, const DevicePart& part) { return sum + part.size; });
}

class DeviceSums : public DeviceAlgorithmsTest {
 protected:
  // A part of `size` bytes that begins `offset` bytes into a word, and ends with its memory.
  DevicePart MakePart(std::size_t size, std::size_t offset) {
    return {.data = RandomBytes(offset + size).data() + offset, .size = size};
  }

  void ExpectHostSums(const std::vector<DevicePart>& parts, std::uint64_t size_total) {
    const std::span<std::uint32_t> sums = device_->AllocateArray<std::uint32_t>(parts.size());
    device_->SumParts(Upload(parts), size_total, sums);
    for (std::size_t i = 0; i < parts.size(); ++i) {
      ASSERT_EQ(sums[i], HostSum(parts[i]))
          << "part " << i << " of " << parts[i].size << " bytes, "
          << reinterpret_cast<std::uintptr_t>(parts[i].data) % 16 << " bytes into a word";
    }
  }
};

TEST_F(DeviceSums, AreTheHostsForEveryShortLengthAtEveryOffset) {
  std::vector<DevicePart> parts;
  for (std::size_t size = 0; size < 316; ++size) {
    const std::span<const std::byte> bytes = RandomBytes(size);
    for (std::size_t offset = 0; offset <= std::min<std::size_t>(size, 15); ++offset) {
      parts.push_back({.data = bytes.data() + offset, .size = size - offset});
    }
  }
  ExpectHostSums(parts, SizeTotal(parts));
}

TEST_F(DeviceSums, AreTheHostsAroundBorders) {
  // A word, a step of a warp, a page, a strip, a chunk, a window.
  std::vector<DevicePart> parts;
  for (const std::size_t border : {16UL, 512UL, 2048UL, 4096UL, 16384UL, 32768UL, 65536UL}) {
    for (std::size_t size = border - 20; size <= border + 20; ++size) {
      parts.push_back(MakePart(size, Random(16)));
    }
  }
  for (const std::size_t border : {kChunkBytes, kWindowBytes}) {
    for (const std::size_t size : {border - 17, border - 1, border, border + 1, border + 16}) {
      parts.push_back(MakePart(size, Random(16)));
    }
  }
  ExpectHostSums(parts, SizeTotal(parts));
}

TEST_F(DeviceSums, AreTheHostsOfRandomParts) {
  std::vector<DevicePart> parts(500);
  for (DevicePart& part : parts) part = MakePart(Random(1 << Random(18)), Random(16));
  std::shuffle(parts.begin(), parts.end(), random_);
  ExpectHostSums(parts, SizeTotal(parts));
}

TEST_F(DeviceSums, CountEmptyParts) {
  std::vector<DevicePart> parts(1000);  // no data either
  for (int i = 0; i < 20; ++i) parts[Random(parts.size())] = MakePart(Random(40'000), Random(16));
  ExpectHostSums(parts, SizeTotal(parts));
  ExpectHostSums(std::vector<DevicePart>(3), 0);
  ExpectHostSums({}, 0);
}

TEST_F(DeviceSums, OfVeryManySmallParts) {
  const std::span<const std::byte> bytes = RandomBytes(10'000);
  std::vector<DevicePart> parts(20'000);
  for (DevicePart& part : parts) {
    const std::uint64_t size = Random(100);
    part = {.data = bytes.data() + Random(bytes.size() - size), .size = size};
  }
  ExpectHostSums(parts, SizeTotal(parts));
}

TEST_F(DeviceSums, AreRightWhateverTheTotalIsSaidToBe) {
  std::vector<DevicePart> parts(30);
  for (DevicePart& part : parts) part = MakePart(Random(200'000), Random(16));
  for (const std::uint64_t size_total : {std::uint64_t{0}, std::uint64_t{1'000'000}, 1000 * kGiB}) {
    ExpectHostSums(parts, size_total);
  }
}

TEST_F(DeviceSums, OfOnePartOfManyStrips) {
  // More strips than a digit of their number has values, twice over.
  ExpectHostSums({MakePart(64 * kMiB + 12345, 5)}, 64 * kMiB + 12345);
}

TEST_F(DeviceSums, OfChunksAreTheHosts) {
  std::vector<DevicePart> tensors;
  for (const std::size_t size :
       {std::size_t{0}, std::size_t{1}, std::size_t{kChunkBytes - 1}, std::size_t{kChunkBytes},
        std::size_t{0}, std::size_t{kChunkBytes + 1}, std::size_t{5 * kChunkBytes},
        std::size_t{3 * kChunkBytes - 7}, std::size_t{0}}) {
    tensors.push_back(MakePart(size, Random(16)));
  }
  std::vector<std::uint32_t> expected;
  for (const DevicePart& tensor : tensors) {
    std::span<const std::byte> rest(tensor.data, static_cast<std::size_t>(tensor.size));
    for (std::uint64_t i = SumChunkCount(tensor.size); i != 0; --i) {
      const std::size_t size = std::min<std::size_t>(rest.size(), kChunkBytes);
      expected.push_back(Crc32c(rest.first(size)));
      rest = rest.subspan(size);
    }
    ASSERT_TRUE(rest.empty());
  }
  const std::span<std::uint32_t> sums = device_->AllocateArray<std::uint32_t>(expected.size());
  device_->SumChunks(Upload(tensors), SizeTotal(tensors), sums);
  EXPECT_EQ(std::vector(sums.begin(), sums.end()), expected);
}

TEST_F(DeviceSums, OfNoChunksAreNone) {
  device_->SumChunks(Upload(std::vector<DevicePart>(2)), 0, {});
  device_->SumChunks({}, 0, {});
}

}  // namespace
}  // namespace waypost
