// A staged tensor's checksums are compared with those of the source's bytes, computed directly, at
// sizes around chunks and windows, from the host and from an accelerator whose copies come only
// when they are waited for.
#include "save/stager.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <random>

#include "base/bytes.h"
#include "base/crc32c.h"
#include "base/units.h"
#include "support/seed.h"
#include "support/sim_accelerator.h"
#include "support/temp_dir.h"

namespace waypost {
namespace {

std::vector<std::uint32_t> ChunkCrcs(std::span<const std::byte> bytes) {
  std::vector<std::uint32_t> crcs;
  if (bytes.size() <= kChunkBytes) return crcs;
  for (; !bytes.empty(); bytes = bytes.subspan(std::min<std::size_t>(bytes.size(), kChunkBytes))) {
    crcs.push_back(Crc32c(bytes.first(std::min<std::size_t>(bytes.size(), kChunkBytes))));
  }
  return crcs;
}

class StagerTest : public ::testing::Test {
 protected:
  StagerTest() {
    std::mt19937_64 random(TestSeed());
    for (std::size_t i = 0; i < source_.size(); i += 8) {
      const std::uint64_t word = random();
      std::memcpy(source_.data() + i, &word, 8);
    }
  }

  // Stages `content` from the host's memory and from an accelerator's.
  void Check(std::uint64_t offset, std::span<const std::byte> content) {
    CheckFrom(*host_, content.data(), offset, content);
    const SimAccelerator::Memory memory =
        accelerator_.Allocate(std::max<std::size_t>(content.size(), 1));
    accelerator_.Write(memory.get(), content);
    CheckFrom(*on_accelerator_, memory.get(), offset, content);
    EXPECT_EQ(accelerator_.unwaited_tickets(), 0U);
  }

  // Stages `content`, which is at `source` of the device, behind `offset` bytes of the file, and
  // checks checksums and file.
  void CheckFrom(Device& device, const std::byte* source, std::uint64_t offset,
                 std::span<const std::byte> content) {
    const std::uint64_t size = content.size();
    const std::string path = dir_.File(std::to_string(file_count_++));
    ShardWriter writer(PosixFileSystem(), ring_, pool_, path, AlignUp(offset + size, kPageBytes));
    writer.PadTo(offset);
    const StagedChecksums checksums = StageBytes(writer, device, source, size, nullptr);
    EXPECT_EQ(writer.position(), offset + size);
    EXPECT_EQ(checksums.crc32c, Crc32c(content));
    EXPECT_EQ(checksums.chunk_crc32c, ChunkCrcs(content));
    writer.Finish();
    const auto mapped = PosixFileSystem().Map(path);
    EXPECT_TRUE(std::ranges::equal(mapped->bytes().subspan(offset, size), content));
    PosixFileSystem().Remove(path);
  }

  TempDir dir_;
  int file_count_ = 0;
  BufferPool pool_{2};
  IoRing ring_{PosixFileSystem().MakeIoBackend()};
  std::unique_ptr<Device> host_ = MakeHostDevice();
  SimAccelerator accelerator_{{.copies_late = true}};
  std::unique_ptr<Device> on_accelerator_ = accelerator_.MakeDevice();
  std::vector<std::byte> source_ = std::vector<std::byte>(2 * kWindowBytes + 64);
};

TEST_F(StagerTest, SumsChunksAndTensorAtAnySize) {
  for (const std::uint64_t size : {std::uint64_t{0}, std::uint64_t{1}, kChunkBytes - 1, kChunkBytes,
                                   kChunkBytes + 1, 3 * kChunkBytes + 5, kWindowBytes - 1,
                                   kWindowBytes, kWindowBytes + 1, 2 * kWindowBytes + 3}) {
    SCOPED_TRACE(size);
    Check(0, std::span(source_).subspan(1, size));
  }
}

TEST_F(StagerTest, SumsAcrossTheBordersOfWindows) {
  for (const std::uint64_t offset :
       {kWindowBytes - 64, kWindowBytes - kPageBytes, kWindowBytes, kPageBytes}) {
    for (const std::uint64_t size : {std::uint64_t{1}, std::uint64_t{64}, std::uint64_t{65},
                                     kChunkBytes + 1, 3 * kChunkBytes + 5, kWindowBytes + 1}) {
      SCOPED_TRACE(testing::Message() << size << " bytes at " << offset);
      Check(offset, std::span(source_).first(size));
    }
  }
}

}  // namespace
}  // namespace waypost
