// Every backend, driven by IoRing, moves the bytes it is told to: random transfers, many at once
// and several times the backend's depth, are compared with the same writes to a string.  Direct
// transfers want whole blocks, so pieces come in whole blocks, in odd bytes, and mixed.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <random>
#include <thread>

#include "base/bytes.h"
#include "base/units.h"
#include "contract/file_systems.h"
#include "io/io_ring.h"
#include "support/aligned_bytes.h"
#include "support/seed.h"

namespace waypost {
namespace {

class Results final : public IoRing::Client {
 public:
  explicit Results(std::size_t count) : sizes(count), errors(count, -1) {}
  void OnTransferDone(std::uint64_t tag, std::size_t size, int errno_value) noexcept override {
    EXPECT_EQ(errors[tag], -1) << "told twice";
    sizes[tag] = size;
    errors[tag] = errno_value;
  }
  std::vector<std::size_t> sizes;
  std::vector<int> errors;
};

// A part of a file: its first and the next part's first byte.
using Piece = std::pair<std::size_t, std::size_t>;

void Drain(IoRing& ring) {
  while (ring.WaitOne()) {
  }
}

class IoContract : public ::testing::TestWithParam<FileSystemKind> {
 protected:
  void SetUp() override {
    if (!kind_->missing().empty()) GTEST_SKIP() << kind_->missing();
  }
  FileSystem& fs() { return kind_->fs(); }
  std::string Path(const std::string& name) const { return kind_->directory() + "/" + name; }

  std::string RandomBytes(std::size_t size) {
    std::string bytes(size, '\0');
    for (char& byte : bytes) byte = static_cast<char>(random_());
    return bytes;
  }
  // [0, size) cut at random multiples of `unit`, in random order.
  std::vector<Piece> RandomPieces(std::size_t size, std::size_t unit) {
    std::vector<Piece> pieces;
    for (std::size_t begin = 0; begin < size;) {
      const std::size_t end = std::min(size, begin + unit * (1 + random_() % (40000 / unit)));
      pieces.emplace_back(begin, end);
      begin = end;
    }
    std::shuffle(pieces.begin(), pieces.end(), random_);
    return pieces;
  }
  // Writes `content` in pieces out of `memory`, which it fits into.
  void WriteInPieces(IoRing& ring, DataFile& file, const std::string& content, std::size_t unit,
                     std::span<std::byte> memory) {
    std::memcpy(memory.data(), content.data(), content.size());
    const std::vector<Piece> pieces = RandomPieces(content.size(), unit);
    Results written(pieces.size());
    for (std::size_t i = 0; i < pieces.size(); ++i) {
      const auto [begin, end] = pieces[i];
      ring.Write(file, memory.subspan(begin, end - begin), begin, written, i);
    }
    Drain(ring);
    for (std::size_t i = 0; i < pieces.size(); ++i) {
      ASSERT_EQ(written.errors[i], 0);
      ASSERT_EQ(written.sizes[i], pieces[i].second - pieces[i].first);
    }
  }
  // Reads `size` bytes in pieces into `memory`; every third through the cache.
  void ReadInPieces(IoRing& ring, DataFile& file, std::size_t size, std::size_t unit,
                    std::span<std::byte> memory) {
    std::memset(memory.data(), 0xEE, memory.size());
    const std::vector<Piece> pieces = RandomPieces(size, unit);
    Results read(pieces.size());
    for (std::size_t i = 0; i < pieces.size(); ++i) {
      const auto [begin, end] = pieces[i];
      const auto target = memory.subspan(begin, end - begin);
      if (i % 3 == 0) {
        ring.ReadThroughCache(file, target, begin, read, i);
      } else {
        ring.Read(file, target, begin, read, i);
      }
    }
    Drain(ring);
    for (std::size_t i = 0; i < pieces.size(); ++i) {
      ASSERT_EQ(read.errors[i], 0);
      ASSERT_EQ(read.sizes[i], pieces[i].second - pieces[i].first);
    }
  }
  std::mt19937_64 random_{TestSeed()};

 private:
  std::unique_ptr<FileSystemUnderTest> kind_ = GetParam().make();
};

INSTANTIATE_TEST_SUITE_P(All, IoContract, ::testing::ValuesIn(AllDataPaths()),
                         [](const auto& kind) { return kind.param.name; });

TEST_P(IoContract, WritesAndReadsLandWhereTheyBelong) {
  constexpr std::size_t kPieces = 100;
  constexpr std::size_t kPieceBytes = 5000;
  const std::string content = RandomBytes(kPieces * kPieceBytes);
  const auto file = fs().CreateData(Path("data"));
  file->Reserve(content.size());
  IoRing ring(fs().MakeIoBackend());
  EXPECT_GE(ring.backend().depth(), 1U);
  Results written(kPieces);
  for (std::size_t i = 0; i < kPieces; ++i) {
    const std::size_t begin = (i * 37 % kPieces) * kPieceBytes;  // Not in the file's order.
    ring.Write(*file, AsBytes(content).subspan(begin, kPieceBytes), begin, written, i);
    EXPECT_LE(ring.in_flight(), ring.backend().depth());
  }
  Drain(ring);
  EXPECT_EQ(ring.in_flight(), 0U);
  EXPECT_EQ(written.sizes, std::vector<std::size_t>(kPieces, kPieceBytes));
  EXPECT_EQ(written.errors, std::vector<int>(kPieces, 0));
  file->DataSync();
  EXPECT_EQ(file->size(), content.size());

  std::string back(content.size(), '\0');
  const auto reader = fs().OpenData(Path("data"));
  Results read(kPieces);
  for (std::size_t i = 0; i < kPieces; ++i) {
    const auto target =
        std::as_writable_bytes(std::span(back)).subspan(i * kPieceBytes, kPieceBytes);
    ring.Read(*reader, target, i * kPieceBytes, read, i);
  }
  Drain(ring);
  EXPECT_EQ(read.errors, std::vector<int>(kPieces, 0));
  EXPECT_EQ(back == content, true);
}

TEST_P(IoContract, AReadPastTheEndGivesWhatIsThere) {
  const auto file = fs().Create(Path("data"), CreateMode::kExclusive);
  file->Append(AsBytes("0123456789"));
  file->Close();
  const auto reader = fs().OpenData(Path("data"));
  std::string back(100, 'x');
  Results read(3);
  IoRing ring(fs().MakeIoBackend());
  const auto target = std::as_writable_bytes(std::span(back));
  ring.Read(*reader, target.first(20), 4, read, 0);
  ring.Read(*reader, target.subspan(20, 20), 10, read, 1);
  ring.Read(*reader, target.subspan(40, 20), 5000, read, 2);
  Drain(ring);
  EXPECT_EQ(read.sizes, (std::vector<std::size_t>{6, 0, 0}));
  EXPECT_EQ(read.errors, (std::vector<int>{0, 0, 0}));
  EXPECT_EQ(back.substr(0, 7), "456789x");
}

TEST_P(IoContract, AWriteBeyondTheEndLeavesZerosBefore) {
  const auto file = fs().CreateData(Path("data"));
  Results written(1);
  {
    IoRing ring(fs().MakeIoBackend());
    ring.Write(*file, AsBytes("end"), 5000, written, 0);
  }  // The destructor waits.
  EXPECT_EQ(written.errors[0], 0);
  EXPECT_EQ(ReadFile(fs(), Path("data"), 1 << 20), std::string(5000, '\0') + "end");
}

TEST_P(IoContract, WritingAFileOpenedForReadingFails) {
  fs().CreateData(Path("data"));
  const auto reader = fs().OpenData(Path("data"));
  Results written(1);
  IoRing ring(fs().MakeIoBackend());
  ring.Write(*reader, AsBytes("no"), 0, written, 0);
  Drain(ring);
  EXPECT_EQ(written.errors[0], EBADF);
  EXPECT_EQ(written.sizes[0], 0U);
  EXPECT_EQ(ReadFile(fs(), Path("data"), 100), "");
}

TEST_P(IoContract, PiecesInWholeBlocksAndInOddBytesMakeOneFile) {
  constexpr std::size_t kBytes = 64 * kPageBytes;
  const AlignedBytes aligned(kBytes);
  const AlignedBytes odd(kBytes + kPageBytes);
  const auto odd_memory = odd.bytes().subspan(1, kBytes);
  int number = 0;
  for (const std::size_t unit : {std::size_t{kPageBytes}, std::size_t{512}, std::size_t{1}}) {
    for (const auto memory : {aligned.bytes(), odd_memory}) {
      const std::string path = Path("data" + std::to_string(number++));
      const auto file = fs().CreateData(path);
      file->Reserve(kBytes);
      IoRing ring(fs().MakeIoBackend({.depth = 4, .staging = aligned.bytes()}));
      const std::string content = RandomBytes(kBytes);
      WriteInPieces(ring, *file, content, unit, memory);
      file->DataSync();
      const auto reader = fs().OpenData(path);
      EXPECT_EQ(reader->size(), kBytes);
      for (const std::size_t read_unit : {std::size_t{kPageBytes}, std::size_t{1}}) {
        ReadInPieces(ring, *reader, kBytes, read_unit, memory);
        EXPECT_TRUE(AsText(memory) == content)
            << "written by " << unit << ", read by " << read_unit;
      }
    }
  }
}

TEST_P(IoContract, AReadInWholeBlocksStopsAtTheEndOfTheFile) {
  constexpr std::size_t kBytes = 3 * kPageBytes + 1001;
  const std::string content = RandomBytes(kBytes);
  const auto file = fs().Create(Path("data"), CreateMode::kExclusive);
  file->Append(AsBytes(content));
  file->Sync();
  file->Close();
  const auto reader = fs().OpenData(Path("data"));
  const AlignedBytes memory(16 * kPageBytes);
  IoRing ring(fs().MakeIoBackend());
  Results read(4);
  const std::size_t begins[] = {0, 2 * kPageBytes, 3 * kPageBytes, 4 * kPageBytes};
  for (std::size_t i = 0; i < 4; ++i) {
    const auto target = memory.bytes().subspan(4 * i * kPageBytes, 4 * kPageBytes);
    ring.Read(*reader, target, begins[i], read, i);
  }
  Drain(ring);
  EXPECT_EQ(read.errors, std::vector<int>(4, 0));
  for (std::size_t i = 0; i < 4; ++i) {
    const std::string there = begins[i] < kBytes ? content.substr(begins[i]) : "";
    EXPECT_TRUE(AsText(memory.bytes().subspan(4 * i * kPageBytes, read.sizes[i])) == there) << i;
  }
}

TEST_P(IoContract, WhoeverPollsGetsTheSame) {
  const AlignedBytes memory(64 * kPageBytes);
  std::memset(memory.bytes().data(), 'x', memory.bytes().size());
  const auto file = fs().CreateData(Path("data"));
  IoRing ring(fs().MakeIoBackend({.depth = 4}));
  EXPECT_FALSE(ring.Poll()) << "nothing is in flight";
  Results written(4);
  for (std::size_t i = 0; i < 4; ++i) {
    ring.Write(*file, memory.bytes().subspan(16 * i * kPageBytes, 16 * kPageBytes),
               16 * i * kPageBytes, written, i);
  }
  while (ring.in_flight() > 0) {
    if (!ring.Poll()) std::this_thread::yield();
  }
  EXPECT_EQ(written.errors, std::vector<int>(4, 0));
  EXPECT_EQ(written.sizes, std::vector<std::size_t>(4, 16 * kPageBytes));
  EXPECT_EQ(ReadFile(fs(), Path("data"), 1 << 20), std::string(64 * kPageBytes, 'x'));
}

TEST_P(IoContract, ThreadsMayTakeTurns) {
  const auto file = fs().CreateData(Path("data"));
  IoRing ring(fs().MakeIoBackend());
  Results written(3);
  for (std::size_t turn = 0; turn < 3; ++turn) {
    std::jthread([&] {
      ring.Write(*file, AsBytes("0123456789"), 10 * turn, written, turn);
      Drain(ring);
    }).join();
  }
  EXPECT_EQ(written.errors, std::vector<int>(3, 0));
  EXPECT_EQ(ReadFile(fs(), Path("data"), 100), "012345678901234567890123456789");
}

TEST_P(IoContract, OneThreadMayHaveItForItself) {
  const auto file = fs().CreateData(Path("data"));
  std::jthread([&] {
    IoRing ring(fs().MakeIoBackend({.depth = 2, .one_thread = true}));
    Results written(20);
    for (std::size_t i = 0; i < 20; ++i) {
      ring.Write(*file, AsBytes("0123456789"), 10 * i, written, i);
    }
    while (ring.in_flight() > 0) {
      if (!ring.Poll()) ring.WaitOne();
    }
    EXPECT_EQ(written.errors, std::vector<int>(20, 0));
  }).join();
  EXPECT_EQ(file->size(), 200U);
}

TEST_P(IoContract, ABackendThatIsGivenUpFinishesItsReadsFirst) {
  const auto file = fs().CreateData(Path("data"));
  file->Reserve(kMiB);
  for (int round = 0; round < 10; ++round) {
    const AlignedBytes memory(kMiB);
    const auto backend = fs().MakeIoBackend({.depth = 4});
    for (std::size_t i = 0; i < 4; ++i) {
      backend->Submit({.kind = IoRequest::Kind::kRead,
                       .file = file.get(),
                       .data = memory.bytes().data() + i * kMiB / 4,
                       .size = kMiB / 4,
                       .offset = i * kMiB / 4,
                       .tag = i});
    }
  }
}

}  // namespace
}  // namespace waypost
