// Every way to copy and compute a CRC at once copies the right bytes and no others, and agrees with
// ISA-L and with the table: at all short lengths, around the size where streaming stores begin, at
// all alignments, and at random.
#include "base/copy_crc32c.h"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/crc32c.h"
#include "base/crc32c_kernels.h"
#include "base/units.h"
#include "support/seed.h"

namespace waypost {
namespace {

constexpr int kUntouched = 0xA5;

std::vector<std::byte> RandomBytes(std::size_t size, std::mt19937_64& random) {
  std::vector<std::byte> bytes(size);
  for (std::byte& byte : bytes) byte = static_cast<std::byte>(random());
  return bytes;
}

class CopyCrc32c : public testing::TestWithParam<CopyCrc32cKind> {
 protected:
  void SetUp() override {
    if (!IsSupported(GetParam())) {
      GTEST_SKIP() << "this processor cannot do " << CopyCrc32cKindName(GetParam());
    }
  }

  // Copies `size` bytes from `source_offset` to `target_offset` of a buffer that has room for them
  // and a page more, and checks the CRC and all of the buffer.
  void CopyAndCheck(std::size_t source_offset, std::size_t target_offset, std::size_t size) {
    SCOPED_TRACE(testing::Message()
                 << size << " bytes from offset " << source_offset << " to " << target_offset);
    const auto source = std::span<const std::byte>(source_).subspan(source_offset, size);
    const std::span<std::byte> buffer = std::span(target_).first(target_offset + size + kPageBytes);
    const std::span<std::byte> expected = std::span(expected_).first(buffer.size());
    std::memset(buffer.data(), kUntouched, buffer.size());
    std::memset(expected.data(), kUntouched, expected.size());
    std::ranges::copy(source, expected.subspan(target_offset).begin());

    const auto before = static_cast<std::uint32_t>(random_());
    const std::uint32_t crc =
        CopyAndExtendCrc32cBy(GetParam(), before, buffer.subspan(target_offset, size), source);
    ASSERT_EQ(crc, ExtendCrc32c(before, source));
    ASSERT_EQ(crc, ExtendCrc32cPortable(before, source));
    ASSERT_EQ(std::memcmp(buffer.data(), expected.data(), buffer.size()), 0);
  }

  // Buffers for `size_max` bytes at an offset of less than a page.
  void MakeBuffers(std::size_t size_max) {
    source_ = RandomBytes(size_max + kPageBytes, random_);
    target_.resize(size_max + 2 * kPageBytes);
    expected_.resize(target_.size());
  }

  std::mt19937_64 random_{TestSeed()};

 private:
  std::vector<std::byte> source_, target_, expected_;
};

TEST_P(CopyCrc32c, KnownValues) {
  std::vector<std::byte> target(9);
  EXPECT_EQ(CopyAndExtendCrc32cBy(GetParam(), 0, target, AsBytes("123456789")), 0xE3069283U);
  EXPECT_EQ(AsText(target), "123456789");
  EXPECT_EQ(CopyAndExtendCrc32cBy(GetParam(), 0x12345678U, {}, {}), 0x12345678U);
}

TEST_P(CopyCrc32c, EveryLengthUpTo2000) {
  constexpr std::size_t kSizeMax = 2000;
  MakeBuffers(kSizeMax);
  for (std::size_t size = 0; size <= kSizeMax; ++size) {
    for (const std::size_t source_offset : {0U, 1U, 63U}) {
      for (const std::size_t target_offset : {0U, 13U, 64U}) {
        ASSERT_NO_FATAL_FAILURE(CopyAndCheck(source_offset, target_offset, size));
      }
    }
  }
}

TEST_P(CopyCrc32c, EveryAlignmentWhereStreamingBegins) {
  constexpr std::size_t kSize = internal::kStreamBytesMin;
  MakeBuffers(kSize + 1000);
  for (std::size_t offset = 0; offset < 64; ++offset) {
    ASSERT_NO_FATAL_FAILURE(CopyAndCheck(random_() % kPageBytes, offset, kSize - 1));
    ASSERT_NO_FATAL_FAILURE(CopyAndCheck(random_() % kPageBytes, offset, kSize));
    ASSERT_NO_FATAL_FAILURE(CopyAndCheck(offset, random_() % kPageBytes, kSize + offset));
    ASSERT_NO_FATAL_FAILURE(CopyAndCheck(offset, offset, kSize + random_() % 1000));
  }
}

TEST_P(CopyCrc32c, RandomLengthsUpToMegabytes) {
  constexpr std::size_t kSizeMax = 5 * kMiB;
  MakeBuffers(kSizeMax);
  for (int round = 0; round < 30; ++round) {
    // As many short ones as long ones.
    const std::size_t size = random_() % kSizeMax >> random_() % 12;
    ASSERT_NO_FATAL_FAILURE(CopyAndCheck(random_() % kPageBytes, random_() % kPageBytes, size));
  }
}

TEST_P(CopyCrc32c, GoesOnWhereTheLastCallEnded) {
  const std::vector<std::byte> source = RandomBytes(300 * kKiB, random_);
  std::vector<std::byte> target(source.size());
  for (int round = 0; round < 50; ++round) {
    std::uint32_t crc = 0;
    for (std::size_t done = 0; done < source.size();) {
      const std::size_t size = std::min(source.size() - done, random_() % (100 * kKiB));
      crc = CopyAndExtendCrc32cBy(GetParam(), crc, std::span(target).subspan(done, size),
                                  std::span(source).subspan(done, size));
      done += size;
    }
    ASSERT_EQ(crc, Crc32c(source));
  }
  EXPECT_EQ(target, source);
}

// The same memory in two places: bytes stored in one appear in the other at once.
class TwoMappings {
 public:
  explicit TwoMappings(std::size_t size) : size_(size), descriptor_(memfd_create("two", 0)) {
    if (ftruncate(descriptor_, static_cast<off_t>(size)) != 0) throw std::runtime_error("memfd");
    for (void*& address : addresses_) {
      address = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor_, 0);
      if (address == MAP_FAILED) throw std::runtime_error("mmap");
    }
  }
  ~TwoMappings() {
    for (void* address : addresses_) munmap(address, size_);
    close(descriptor_);
  }
  TwoMappings(const TwoMappings&) = delete;
  TwoMappings& operator=(const TwoMappings&) = delete;

  std::span<std::byte> operator[](int i) const {
    return {static_cast<std::byte*>(addresses_[i]), size_};
  }

 private:
  std::size_t size_;
  int descriptor_;
  void* addresses_[2] = {};
};

TEST_P(CopyCrc32c, ChecksumIsThatOfTheTargetWhileTheSourceChanges) {
  // What is copied changes the source behind the place of copying, or before it.  No way may look
  // at the source twice.
  constexpr std::size_t kShift = 1000;
  for (const std::size_t size : {20 * kKiB, 300 * kKiB}) {
    const TwoMappings memory(size + kShift);
    for (const std::size_t target_offset : {std::size_t{0}, kShift}) {
      std::ranges::generate(memory[0], [&] { return static_cast<std::byte>(random_()); });
      const std::span<std::byte> source = memory[0].subspan(kShift - target_offset, size);
      const std::span<std::byte> target = memory[1].subspan(target_offset, size);
      const std::uint32_t crc = CopyAndExtendCrc32cBy(GetParam(), 0, target, source);
      EXPECT_EQ(crc, Crc32c(target));
    }
  }
}

std::string KindName(const testing::TestParamInfo<CopyCrc32cKind>& kind) {
  return std::string(CopyCrc32cKindName(kind.param));
}
INSTANTIATE_TEST_SUITE_P(EveryKind, CopyCrc32c, testing::ValuesIn(kCopyCrc32cKinds), KindName);

TEST(CopyCrc32cChoice, IsTheBestThatIsSupported) {
  EXPECT_TRUE(IsSupported(CopyCrc32cKind::kIsal));
  EXPECT_TRUE(IsSupported(CopyCrc32cKind::kPortable));
  EXPECT_EQ(ChosenCopyCrc32cKind(),
            IsSupported(CopyCrc32cKind::kAvx512) ? CopyCrc32cKind::kAvx512 : CopyCrc32cKind::kIsal);
  std::vector<std::byte> target(9);
  EXPECT_EQ(
      CopyAndExtendCrc32c(Crc32c(AsBytes("123")), std::span(target).first(6), AsBytes("456789")),
      0xE3069283U);
}

TEST(CopyCrc32cDeathTest, StopsAtUnequalSizesAndOverlap) {
  std::vector<std::byte> bytes(100);
  const std::span<std::byte> all(bytes);
  EXPECT_DEATH(CopyAndExtendCrc32c(0, all.first(10), all.subspan(50, 11)), "size");
  EXPECT_DEATH(CopyAndExtendCrc32c(0, all.first(10), all.subspan(9, 10)), "Overlap");
}

}  // namespace
}  // namespace waypost
