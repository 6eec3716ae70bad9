// The file's image is compared with the bytes handed in, for pieces of any size and more windows
// than the pool has, over a backend that completes late, out of order and short.  Failed writes
// must reach the caller, and a file that met one is never synced.
#include "save/shard_writer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
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

// Hands the bytes over as whoever stages them would.
void Append(ShardWriter& writer, std::string_view bytes) {
  while (!bytes.empty()) {
    const std::span<std::byte> room = writer.Room(bytes.size());
    std::memcpy(room.data(), bytes.data(), room.size());
    writer.Filled(room.size());
    bytes.remove_prefix(room.size());
  }
}

bool WasSynced(const FaultyFileSystem& fs) {
  for (const OperationRecord& record : fs.log()) {
    if (record.operation == FsOperation::kDataSync) return true;
  }
  return false;
}

class ShardWriterTest : public ::testing::Test {
 protected:
  static constexpr std::size_t kPoolWindows = 3;

  std::string ContentOf(const std::string& path) {
    return std::string(AsText(sim_.Map(path)->bytes()));
  }

  std::mt19937_64 random_{TestSeed()};
  SimFileSystem sim_{TestSeed()};
  FaultyFileSystem fs_{sim_};
  BufferPool pool_{kPoolWindows};
  IoRing ring_{fs_.MakeIoBackend()};
};

TEST_F(ShardWriterTest, WritesPiecesOfAnySize) {
  for (int round = 0; round < 5; ++round) {
    const std::uint64_t file_bytes = AlignUp(random_() % (6 * kWindowBytes), kPageBytes);
    const std::string path = kPath + std::to_string(round);
    const std::string bytes = RandomBytes(file_bytes, random_);
    std::string expected = bytes;
    ShardWriter writer(fs_, ring_, pool_, path, file_bytes);
    while (writer.position() < file_bytes) {
      const std::uint64_t begin = writer.position();
      const std::uint64_t size =
          std::min(1 + random_() % (std::uint64_t{1} << random_() % 24), file_bytes - begin);
      if (random_() % 4 == 0) {
        writer.PadTo(begin + size);
        expected.replace(begin, size, size, '\0');
      } else {
        Append(writer, std::string_view(bytes).substr(begin, size));
      }
      EXPECT_EQ(writer.position(), begin + size);
    }
    writer.Finish();
    EXPECT_EQ(writer.bytes_written(), file_bytes);
    EXPECT_TRUE(ContentOf(path) == expected) << "round " << round;
    EXPECT_EQ(pool_.available(), kPoolWindows);
  }
}

TEST_F(ShardWriterTest, TakesLessThanTheRoomItGave) {
  ShardWriter writer(fs_, ring_, pool_, kPath, kPageBytes);
  const std::span<std::byte> room = writer.Room(100);
  ASSERT_EQ(room.size(), 100U);
  std::memset(room.data(), 'a', 100);
  writer.Filled(10);
  Append(writer, "b");
  writer.Finish();
  EXPECT_EQ(ContentOf(kPath), std::string(10, 'a') + "b" + std::string(kPageBytes - 11, '\0'));
}

TEST_F(ShardWriterTest, FillsWithZerosNotWithWhatAWindowHeldBefore) {
  {
    ShardWriter first(fs_, ring_, pool_, "/first", 4 * kWindowBytes);
    Append(first, std::string(4 * kWindowBytes, 'x'));
    first.Finish();
  }
  ShardWriter writer(fs_, ring_, pool_, kPath, 4 * kWindowBytes);
  writer.PadTo(kWindowBytes + 5);
  Append(writer, "y");
  writer.Finish();
  std::string expected(4 * kWindowBytes, '\0');
  expected[kWindowBytes + 5] = 'y';
  EXPECT_TRUE(ContentOf(kPath) == expected);
}

TEST_F(ShardWriterTest, WritesAndSyncsAnEmptyFile) {
  ShardWriter writer(fs_, ring_, pool_, kPath, 0);
  writer.Finish();
  EXPECT_EQ(ContentOf(kPath), "");
  EXPECT_TRUE(WasSynced(fs_));
}

TEST_F(ShardWriterTest, LetsSeveralShardsShareTheRing) {
  std::vector<std::unique_ptr<ShardWriter>> writers;
  for (int i = 0; i < 6; ++i) {
    writers.push_back(
        std::make_unique<ShardWriter>(fs_, ring_, pool_, kPath + std::to_string(i), kPageBytes));
    Append(*writers.back(), std::to_string(i));
    writers.back()->FlushWindow();
  }
  for (auto& writer : writers) writer->Finish();
  for (int i = 0; i < 6; ++i) EXPECT_EQ(ContentOf(kPath + std::to_string(i))[0], '0' + i);
}

TEST_F(ShardWriterTest, IsSyncedOnlyByFinishAndAfterTheLastWrite) {
  ShardWriter writer(fs_, ring_, pool_, kPath, 5 * kWindowBytes);
  Append(writer, RandomBytes(5 * kWindowBytes, random_));
  writer.FlushWindow();
  EXPECT_FALSE(WasSynced(fs_));
  writer.Finish();
  EXPECT_EQ(fs_.log().back().operation, FsOperation::kDataSync);
}

TEST_F(ShardWriterTest, ResumesShortWrites) {
  fs_.LimitTransfers(100'000);
  const std::string bytes = RandomBytes(2 * kWindowBytes, random_);
  ShardWriter writer(fs_, ring_, pool_, kPath, bytes.size());
  Append(writer, bytes);
  writer.Finish();
  EXPECT_TRUE(ContentOf(kPath) == bytes);
}

TEST_F(ShardWriterTest, WaitsForItsWindowsWhenItIsDestroyed) {
  const std::string bytes = RandomBytes(2 * kWindowBytes, random_);
  {
    ShardWriter writer(fs_, ring_, pool_, kPath, bytes.size() + kPageBytes);
    Append(writer, bytes);
    Append(writer, "a window half filled");
    EXPECT_EQ(ring_.in_flight(), 2U);
  }
  EXPECT_EQ(ring_.in_flight(), 0U);
  EXPECT_EQ(pool_.available(), kPoolWindows);
  EXPECT_TRUE(ContentOf(kPath).starts_with(bytes))
      << "the backend reads windows when they complete";
  EXPECT_FALSE(WasSynced(fs_));
}

TEST_F(ShardWriterTest, WorksOnRealFiles) {
  const TempDir dir;
  FileSystem& real = PosixFileSystem();
  IoRing ring(real.MakeIoBackend());
  const std::string bytes = RandomBytes(4 * kWindowBytes + kPageBytes, random_);
  ShardWriter writer(real, ring, pool_, dir.File("shard"), bytes.size());
  Append(writer, bytes);
  writer.Finish();
  EXPECT_TRUE(AsText(real.Map(dir.File("shard"))->bytes()) == bytes);
}

// ---- Errors ----

// Calls that must throw `code` with the file's name once a write has failed.
void ExpectGivenUp(ShardWriter& writer, Code code) {
  const std::vector<std::function<void()>> calls = {
      [&] { writer.Room(1); }, [&] { writer.PadTo(writer.position() + 1); },
      [&] { writer.FlushWindow(); }, [&] { writer.Finish(); }, [&] { writer.Finish(); }};
  for (const auto& call : calls) {
    EXPECT_EQ(CodeOf(call), code);
    EXPECT_THAT(MessageOf(call), HasSubstr(std::string("write ") + kPath));
  }
}

TEST_F(ShardWriterTest, GivesAFailedWriteToTheNextCallsAndSyncsNothing) {
  for (const auto& [errno_value, code] :
       {std::pair{EIO, Code::kUnavailable}, std::pair{ENOSPC, Code::kResourceExhausted}}) {
    FaultyFileSystem fs(sim_);
    fs.Inject({.at = 1, .errno_value = errno_value, .operation = FsOperation::kWrite});
    IoRing ring(fs.MakeIoBackend());
    ShardWriter writer(fs, ring, pool_, kPath, 8 * kWindowBytes);
    // The pool has three windows: by the fifth the failed one has come back.
    EXPECT_EQ(CodeOf([&] { Append(writer, std::string(5 * kWindowBytes, 'x')); }), code);
    ExpectGivenUp(writer, code);
    EXPECT_FALSE(WasSynced(fs));
    sim_.Remove(kPath);
  }
  EXPECT_EQ(pool_.available(), kPoolWindows);
}

TEST_F(ShardWriterTest, GivesAFailureOfTheLastWriteToFinish) {
  fs_.Inject({.at = 2, .errno_value = EIO, .operation = FsOperation::kWrite});
  ShardWriter writer(fs_, ring_, pool_, kPath, 2 * kWindowBytes + kPageBytes);
  Append(writer, std::string(2 * kWindowBytes + 1, 'x'));
  writer.FlushWindow();
  EXPECT_EQ(CodeOf([&] { writer.Finish(); }), Code::kUnavailable);
  EXPECT_FALSE(WasSynced(fs_));
}

TEST_F(ShardWriterTest, ThrowsWhenTheSyncFails) {
  fs_.Inject({.errno_value = EIO, .operation = FsOperation::kDataSync});
  ShardWriter writer(fs_, ring_, pool_, kPath, kPageBytes);
  EXPECT_EQ(CodeOf([&] { writer.Finish(); }), Code::kUnavailable);
}

TEST_F(ShardWriterTest, MeetsAFullDiskBeforeTheFirstByte) {
  fs_.Inject({.errno_value = ENOSPC, .operation = FsOperation::kReserve});
  EXPECT_EQ(CodeOf([&] { ShardWriter(fs_, ring_, pool_, kPath, kPageBytes); }),
            Code::kResourceExhausted);
  EXPECT_EQ(fs_.log().back().operation, FsOperation::kReserve);
  EXPECT_EQ(pool_.available(), kPoolWindows);
}

TEST_F(ShardWriterTest, ReservesTheWholeFile) {
  const ShardWriter writer(fs_, ring_, pool_, kPath, 3 * kPageBytes);
  EXPECT_EQ(sim_.Stat(kPath)->size, 3 * kPageBytes);
}

TEST_F(ShardWriterTest, WritesOverNoOtherFile) {
  sim_.Create(kPath, CreateMode::kExclusive)->Append(AsBytes("precious"));
  EXPECT_EQ(CodeOf([&] { ShardWriter(fs_, ring_, pool_, kPath, kPageBytes); }),
            Code::kAlreadyExists);
  EXPECT_EQ(ContentOf(kPath), "precious");
}

}  // namespace
}  // namespace waypost
