// What a data file holds is compared with the windows handed in, in any order and more than the
// ring takes at once, over a backend that completes late, out of order and short.  Failed writes
// must reach the caller, and a file that met one is never synced.
#include "save/shard_writer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <numeric>
#include <random>

#include "base/bytes.h"
#include "base/units.h"
#include "support/expect_error.h"
#include "support/faulty_file_system.h"
#include "support/seed.h"
#include "support/sim_file_system.h"
#include "support/temp_dir.h"

namespace waypost {
namespace {

using ::testing::HasSubstr;

constexpr const char* kPath = "/shard";

std::string RandomBytes(std::size_t size, std::mt19937_64& random) {
  std::string bytes(size, '\0');
  for (std::size_t i = 0; i < size; i += 8) {
    const std::uint64_t word = random();
    std::memcpy(bytes.data() + i, &word, std::min<std::size_t>(8, size - i));
  }
  return bytes;
}

bool WasSynced(const FaultyFileSystem& fs) {
  return std::ranges::any_of(fs.log(), [](const OperationRecord& record) {
    return record.operation == FsOperation::kDataSync;
  });
}

class ShardWriterTest : public ::testing::Test {
 protected:
  static constexpr std::size_t kPoolWindows = 3;

  // Writes the window of `bytes` with this number.
  void WriteWindow(ShardWriter& writer, std::string_view bytes, std::uint64_t window) {
    const std::string_view part = bytes.substr(window * kWindowBytes, kWindowBytes);
    std::optional<PinnedBuffer> buffer = pool_.TryAcquire();
    while (!buffer) {
      ASSERT_TRUE(ring_.WaitOne());
      buffer = pool_.TryAcquire();
    }
    std::memcpy(buffer->bytes().data(), part.data(), part.size());
    writer.Write(std::move(*buffer), window * kWindowBytes, part.size());
  }
  void WriteAll(ShardWriter& writer, std::string_view bytes) {
    std::vector<std::uint64_t> order(AlignUp(bytes.size(), kWindowBytes) / kWindowBytes);
    std::iota(order.begin(), order.end(), std::uint64_t{0});
    std::shuffle(order.begin(), order.end(), random_);
    for (const std::uint64_t window : order) WriteWindow(writer, bytes, window);
  }
  std::string ContentOf(const std::string& path) {
    return std::string(AsText(sim_.Map(path)->bytes()));
  }

  std::mt19937_64 random_{TestSeed()};
  SimFileSystem sim_{TestSeed()};
  FaultyFileSystem fs_{sim_};
  BufferPool pool_{kPoolWindows};
  IoRing ring_{fs_.MakeIoBackend()};
};

TEST_F(ShardWriterTest, WritesWindowsInAnyOrder) {
  for (int round = 0; round < 4; ++round) {
    const std::string bytes =
        RandomBytes(AlignUp(random_() % (6 * kWindowBytes), kPageBytes), random_);
    const std::string path = kPath + std::to_string(round);
    const auto file = fs_.CreateData(path);
    ShardWriter writer(*file, ring_);
    WriteAll(writer, bytes);
    writer.Finish(bytes.size());
    EXPECT_EQ(writer.bytes_written(), bytes.size());
    EXPECT_TRUE(ContentOf(path) == bytes) << "round " << round;
    EXPECT_EQ(pool_.available(), kPoolWindows);
  }
}

TEST_F(ShardWriterTest, SyncsAnEmptyFile) {
  const auto file = fs_.CreateData(kPath);
  ShardWriter writer(*file, ring_);
  writer.Finish(0);
  EXPECT_EQ(ContentOf(kPath), "");
  EXPECT_TRUE(WasSynced(fs_));
}

TEST_F(ShardWriterTest, LetsSeveralShardsShareTheRing) {
  std::vector<std::unique_ptr<DataFile>> files;
  std::vector<std::unique_ptr<ShardWriter>> writers;
  for (int i = 0; i < 6; ++i) {
    files.push_back(fs_.CreateData(kPath + std::to_string(i)));
    writers.push_back(std::make_unique<ShardWriter>(*files.back(), ring_));
    WriteWindow(*writers.back(), std::string(kPageBytes, static_cast<char>('0' + i)), 0);
  }
  for (auto& writer : writers) writer->Finish(kPageBytes);
  for (int i = 0; i < 6; ++i) EXPECT_EQ(ContentOf(kPath + std::to_string(i))[0], '0' + i);
}

TEST_F(ShardWriterTest, IsSyncedOnlyByFinishAndAfterTheLastWrite) {
  const std::string bytes = RandomBytes(5 * kWindowBytes, random_);
  const auto file = fs_.CreateData(kPath);
  ShardWriter writer(*file, ring_);
  WriteAll(writer, bytes);
  EXPECT_FALSE(WasSynced(fs_));
  writer.Finish(bytes.size());
  EXPECT_EQ(fs_.log().back().operation, FsOperation::kDataSync);
}

TEST_F(ShardWriterTest, ResumesShortWrites) {
  fs_.LimitTransfers(100'000);
  const std::string bytes = RandomBytes(2 * kWindowBytes, random_);
  const auto file = fs_.CreateData(kPath);
  ShardWriter writer(*file, ring_);
  WriteAll(writer, bytes);
  writer.Finish(bytes.size());
  EXPECT_TRUE(ContentOf(kPath) == bytes);
}

TEST_F(ShardWriterTest, WaitsForItsWindowsWhenItIsDestroyed) {
  const std::string bytes = RandomBytes(2 * kWindowBytes, random_);
  const auto file = fs_.CreateData(kPath);
  {
    ShardWriter writer(*file, ring_);
    WriteAll(writer, bytes);
    EXPECT_EQ(ring_.in_flight(), 2U);
  }
  EXPECT_EQ(ring_.in_flight(), 0U);
  EXPECT_EQ(pool_.available(), kPoolWindows);
  EXPECT_TRUE(ContentOf(kPath) == bytes) << "the backend reads windows when they complete";
  EXPECT_FALSE(WasSynced(fs_));
}

// ---- Errors ----

TEST_F(ShardWriterTest, GivesAFailedWriteToTheNextCallsAndSyncsNothing) {
  for (const auto& [errno_value, code] :
       {std::pair{EIO, Code::kUnavailable}, std::pair{ENOSPC, Code::kResourceExhausted}}) {
    FaultyFileSystem fs(sim_);
    fs.Inject({.at = 1, .errno_value = errno_value, .operation = FsOperation::kWrite});
    IoRing ring(fs.MakeIoBackend());
    const auto file = fs.CreateData(kPath);
    ShardWriter writer(*file, ring);
    for (std::uint64_t window = 0; window < 3; ++window) {
      writer.Write(*pool_.TryAcquire(), window * kWindowBytes, kWindowBytes);
    }
    while (ring.WaitOne()) {
    }
    const std::vector<std::function<void()>> calls = {
        [&] { writer.ThrowIfFailed(); }, [&] { writer.Write(*pool_.TryAcquire(), 0, kPageBytes); },
        [&] { writer.Finish(3 * kWindowBytes); }, [&] { writer.Finish(3 * kWindowBytes); }};
    for (const auto& call : calls) {
      EXPECT_EQ(CodeOf(call), code);
      EXPECT_THAT(MessageOf(call), HasSubstr(std::string("write ") + kPath));
    }
    EXPECT_FALSE(WasSynced(fs));
    sim_.Remove(kPath);
  }
  EXPECT_EQ(pool_.available(), kPoolWindows);
}

TEST_F(ShardWriterTest, GivesAFailureOfTheLastWriteToFinish) {
  fs_.Inject({.at = 2, .errno_value = EIO, .operation = FsOperation::kWrite});
  const auto file = fs_.CreateData(kPath);
  ShardWriter writer(*file, ring_);
  WriteAll(writer, std::string(2 * kWindowBytes + kPageBytes, 'x'));
  EXPECT_EQ(CodeOf([&] { writer.Finish(2 * kWindowBytes + kPageBytes); }), Code::kUnavailable);
  EXPECT_FALSE(WasSynced(fs_));
}

TEST_F(ShardWriterTest, ThrowsWhenTheSyncFails) {
  fs_.Inject({.errno_value = EIO, .operation = FsOperation::kDataSync});
  const auto file = fs_.CreateData(kPath);
  ShardWriter writer(*file, ring_);
  EXPECT_EQ(CodeOf([&] { writer.Finish(0); }), Code::kUnavailable);
}

TEST_F(ShardWriterTest, StopsTheProcessWhenAByteIsMissing) {
  const auto file = fs_.CreateData(kPath);
  ShardWriter writer(*file, ring_);
  EXPECT_DEATH(writer.Finish(kPageBytes), "bytes_written_ == bytes_expected");
}

}  // namespace
}  // namespace waypost
