// Every backend, driven by IoRing, moves the bytes it is told to: random transfers, many at once
// and several times the backend's depth, are compared with the same writes to a string.
#include <gtest/gtest.h>

#include <random>

#include "base/bytes.h"
#include "contract/file_systems.h"
#include "io/io_ring.h"
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

class IoContract : public ::testing::TestWithParam<FileSystemKind> {
 protected:
  FileSystem& fs() { return kind_->fs(); }
  std::string Path(const std::string& name) const { return kind_->directory() + "/" + name; }

  std::string RandomBytes(std::size_t size) {
    std::string bytes(size, '\0');
    for (char& byte : bytes) byte = static_cast<char>(random_());
    return bytes;
  }
  std::mt19937_64 random_{TestSeed()};

 private:
  std::unique_ptr<FileSystemUnderTest> kind_ = GetParam().make();
};

INSTANTIATE_TEST_SUITE_P(All, IoContract, ::testing::ValuesIn(AllFileSystems()),
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
  while (ring.WaitOne()) {
  }
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
  while (ring.WaitOne()) {
  }
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
  while (ring.WaitOne()) {
  }
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
  while (ring.WaitOne()) {
  }
  EXPECT_EQ(written.errors[0], EBADF);
  EXPECT_EQ(written.sizes[0], 0U);
  EXPECT_EQ(ReadFile(fs(), Path("data"), 100), "");
}

}  // namespace
}  // namespace waypost
