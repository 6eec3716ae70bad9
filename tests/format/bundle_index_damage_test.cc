// Damaged indexes: every flipped byte and every cut of several indexes gives an error, or the very
// same content where the byte means nothing or is in a block that is not needed.  Each file lies in
// an allocation of its exact size, so that the address sanitizer sees a read beyond it.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstring>
#include <optional>
#include <vector>

#include "format/bundle_index.h"
#include "format/table_reader.h"
#include "format/test_files.h"
#include "waypost/error.h"

namespace waypost {
namespace {

std::string DescribeTensor(const StoredTensor& tensor) {
  std::string text = fmt::format("\n{} {} {} {}", tensor.name, DTypeName(tensor.dtype),
                                 ShapeText(tensor.shape), tensor.is_sliced);
  for (const StoredExtent& extent : tensor.extents) {
    text +=
        fmt::format(" [{} {} {} {} {} {}]", SliceText(extent.slice), extent.shard, extent.offset,
                    extent.size_bytes, extent.crc32c, extent.chunk_crc32c.size());
  }
  return text;
}

// Everything that an index says, in one text.
std::string Describe(const BundleIndex& index) {
  std::string text = EncodeBundleHeader(index.header());
  for (const StoredTensor& tensor : index.tensors()) text += DescribeTensor(tensor);
  return text;
}

std::optional<std::string> TryDescribe(const std::string& file) {
  const std::vector<char> exact(file.begin(), file.end());
  try {
    return Describe(BundleIndex(std::as_bytes(std::span(exact)), "FILE"));
  } catch (const Error& error) {
    EXPECT_TRUE(error.code() == Code::kDataLoss || error.code() == Code::kInvalidArgument)
        << error.what();
    EXPECT_EQ(std::string(error.what()).find("FILE: "), 0U) << error.what();
    return std::nullopt;
  }
}

// What a single tensor of the index is, asked for alone.
std::string DescribeOne(const BundleIndex& index, const std::string& name) {
  const StoredTensor* const tensor = index.Find(name);
  return tensor == nullptr ? "none" : DescribeTensor(*tensor);
}

class DamagedIndex : public ::testing::TestWithParam<std::string> {
 protected:
  const std::string file_ = ReadGoldenIndex(GetParam());
  const std::string content_ = TryDescribe(file_).value();
};

TEST_P(DamagedIndex, NeverGivesOtherContentForAFlippedByte) {
  std::size_t unnoticed = 0;
  for (std::size_t i = 0; i < file_.size(); ++i) {
    for (const int flip : {0x01, 0x02, 0x04, 0x08, 0x10, 0x20, 0x40, 0x80, 0xFF}) {
      std::string damaged = file_;
      damaged[i] = static_cast<char>(damaged[i] ^ flip);
      if (const auto content = TryDescribe(damaged)) {
        EXPECT_EQ(*content, content_) << i << ' ' << flip;
        ++unnoticed;
      }
    }
  }
  // Only the metaindex block and the padding of the footer mean nothing: 13 and 40 bytes at most.
  EXPECT_LE(unnoticed, 9U * (13 + 40));
}

// The same entries in many blocks, so that most damage lies in a block that is not needed.
TEST_P(DamagedIndex, NeverGivesAnotherTensorToWhoAsksForOne) {
  TableEntries entries;
  TableReader(AsBytes(file_), "FILE")
      .ForEach([&](std::string_view key, std::span<const std::byte> value) {
        entries[std::string(key)] = AsText(value);
      });
  const std::string file = WriteBlocks(entries, 2);
  const BundleIndex whole(AsBytes(file), "FILE");
  std::size_t answers = 0;
  for (std::size_t i = 0; i < file.size(); ++i) {
    std::string damaged = file;
    damaged[i] = static_cast<char>(damaged[i] ^ (1 << (i % 8)));
    for (const StoredTensor& tensor : whole.tensors()) {
      try {
        EXPECT_EQ(DescribeOne(BundleIndex(AsBytes(damaged), "FILE"), tensor.name),
                  DescribeTensor(tensor))
            << i;
        ++answers;
      } catch (const Error& error) {
        EXPECT_TRUE(error.code() == Code::kDataLoss || error.code() == Code::kInvalidArgument)
            << error.what();
      }
    }
  }
  EXPECT_GT(answers, 0U);
}

TEST_P(DamagedIndex, IsRefusedWhereverItIsCut) {
  for (std::size_t size = 0; size < file_.size(); ++size) {
    EXPECT_EQ(TryDescribe(file_.substr(0, size)), std::nullopt) << size;
  }
}

// The checksum of a block is no proof of its content: with it put right, nothing worse happens
// either.
TEST_P(DamagedIndex, IsParsedOrRefusedWhenTheChecksumIsMadeRight) {
  // One data block at offset 0; its size is where the restart array ends, known from the index
  // handle.
  std::size_t block_end = 0;
  for (std::size_t size = 8; size + 5 < file_.size() && block_end == 0; ++size) {
    std::uint32_t stored = 0;
    std::memcpy(&stored, file_.data() + size + 1, sizeof stored);
    if (stored == MaskCrc32c(Crc32c(AsBytes(file_).first(size + 1)))) block_end = size;
  }
  ASSERT_NE(block_end, 0U);
  for (std::size_t i = 0; i < block_end; ++i) {
    for (const int flip : {0x01, 0x10, 0x80, 0xFF}) {
      std::string damaged = file_;
      damaged[i] = static_cast<char>(damaged[i] ^ flip);
      const std::uint32_t crc = MaskCrc32c(Crc32c(AsBytes(damaged).first(block_end + 1)));
      std::memcpy(damaged.data() + block_end + 1, &crc, sizeof crc);
      static_cast<void>(TryDescribe(damaged));
    }
  }
}

INSTANTIATE_TEST_SUITE_P(TensorFlow, DamagedIndex,
                         ::testing::Values("v2_partitioned", "v2_partitioned_sharded", "v2_raw",
                                           "graph"),
                         [](const auto& set) { return set.param; });

}  // namespace
}  // namespace waypost
