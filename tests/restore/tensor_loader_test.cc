// The loader hands on exactly the bytes of the parts asked for, in order and verified, whatever
// their places in the files and however few windows it has; the simulated disk completes reads
// late, short and out of order.  Damage is named at the unit whose checksum shows it and does not
// end the loading.
#include "restore/tensor_loader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fmt/format.h>

#include <filesystem>
#include <map>
#include <optional>
#include <random>

#include "restore/bundle_maker.h"
#include "restore/bundle_reader.h"
#include "restore/watched_file_systems.h"
#include "support/expect_error.h"
#include "support/faulty_file_system.h"
#include "support/seed.h"
#include "support/sim_file_system.h"
#include "support/temp_dir.h"

namespace waypost {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

constexpr const char* kPrefix = "/m";

// Keeps what the loader says, by the part's `user`.
class Recorder final : public PartConsumer {
 public:
  struct Seen {
    std::string bytes;
    int done = 0;
    std::optional<Error> damage;
  };

  void OnBytes(const LoadPart& part, std::uint64_t offset,
               std::span<const std::byte> bytes) override {
    Seen& of_part = seen[part.user];
    EXPECT_EQ(offset, part.begin + of_part.bytes.size()) << "ascending and without gaps";
    EXPECT_FALSE(of_part.done != 0 || of_part.damage) << "nothing more comes";
    of_part.bytes += AsText(bytes);
  }
  void OnPartDone(const LoadPart& part) override { ++seen[part.user].done; }
  void OnDamage(const LoadPart& part, const Error& error) override {
    seen[part.user].damage = error;
  }

  std::map<std::size_t, Seen> seen;
};

class TensorLoaderTest : public ::testing::Test {
 protected:
  // Loads and returns what was seen.  `windows_max` as in TensorLoader.
  std::map<std::size_t, Recorder::Seen> Load(FileSystem& fs, const BundleReader& reader,
                                             const std::vector<LoadPart>& parts,
                                             std::size_t windows_max = 0) {
    TensorLoader loader(fs, pool_, {.windows_max = windows_max});
    Recorder recorder;
    loader.Load(reader, parts, recorder);
    EXPECT_EQ(pool_.available(), pool_.window_count());
    return recorder.seen;
  }

  std::mt19937_64 random_{TestSeed()};
  BufferPool pool_{4};
};

// ---- Any parts of any extents ----

// Two data files with extents of many sizes, some overlapping, some far apart.
BundleMaker MakeScattered(std::mt19937_64& random) {
  BundleMaker maker(2);
  for (int shard = 0; shard < 2; ++shard) {
    std::uint64_t offset = 0;
    for (int i = 0; i < 20; ++i) {
      const std::uint64_t sizes[] = {0, random() % 100, random() % (200 * kKiB),
                                     random() % (3 * kMiB)};
      const std::uint64_t size = i == 10 ? 5 * kMiB + random() % 1000 : sizes[random() % 4];
      const std::uint64_t gaps[] = {0, random() % 64, random() % (128 * kKiB), random() % kMiB};
      offset += gaps[random() % 4];
      maker.Add(fmt::format("{}/{:02}", shard, i), DType::kUInt8, {static_cast<std::int64_t>(size)},
                RandomBytes(size, random), {shard, offset, random() % 2 == 0});
      offset += size;
    }
    for (int i = 20; i < 26; ++i) {
      const std::uint64_t begin = random() % offset;
      const std::uint64_t size = random() % (offset - begin);
      maker.AddOver(fmt::format("{}/{:02}", shard, i), {static_cast<std::int64_t>(size)},
                    {shard, begin, random() % 2 == 0});
    }
  }
  return maker;
}

std::vector<LoadPart> RandomParts(const BundleIndex& index, std::mt19937_64& random) {
  std::vector<LoadPart> parts;
  for (const StoredTensor& tensor : index.tensors()) {
    const StoredExtent& extent = tensor.extents.front();
    for (std::uint64_t times = random() % 3; times > 0; --times) {
      const std::uint64_t begin = random() % (extent.size_bytes + 1);
      const std::uint64_t end = begin + random() % (extent.size_bytes - begin + 1);
      parts.push_back(CoveringPart(tensor, extent, begin, end, parts.size()));
      EXPECT_LE(parts.back().begin, begin);
      EXPECT_GE(parts.back().end, end);
    }
  }
  std::shuffle(parts.begin(), parts.end(), random);
  return parts;
}

TEST_F(TensorLoaderTest, HandsOnExactlyThePartsAskedFor) {
  for (int round = 0; round < 3 && !HasFailure(); ++round) {
    BundleMaker maker = MakeScattered(random_);
    SimFileSystem fs(maker.Disk(kPrefix), random_());
    const BundleReader reader(fs, kPrefix);
    const std::vector<LoadPart> parts = RandomParts(reader.index(), random_);
    for (const std::size_t windows_max : {0U, 1U, 2U}) {
      SCOPED_TRACE(testing::Message() << "round " << round << ", windows_max " << windows_max);
      const auto seen = Load(fs, reader, parts, windows_max);
      EXPECT_EQ(seen.size(), parts.size());
      for (const LoadPart& part : parts) {
        const Recorder::Seen& of_part = seen.at(part.user);
        EXPECT_EQ(of_part.done, 1);
        EXPECT_FALSE(of_part.damage) << of_part.damage->what();
        EXPECT_TRUE(
            of_part.bytes ==
            maker.data(part.extent->shard).substr(part.file_begin(), part.end - part.begin));
      }
    }
  }
}

TEST_F(TensorLoaderTest, NamesDamageInPartsOfRandomExtents) {
  for (int round = 0; round < 3 && !HasFailure(); ++round) {
    BundleMaker maker = MakeScattered(random_);
    const std::uint64_t flipped = random_() % maker.data(0).size();
    maker.data(0)[flipped] ^= 0x10;
    SimFileSystem fs(maker.Disk(kPrefix), random_());
    const BundleReader reader(fs, kPrefix);
    std::vector<LoadPart> parts = RandomParts(reader.index(), random_);
    const auto seen = Load(fs, reader, parts);
    for (const LoadPart& part : parts) {
      const bool is_damaged =
          part.extent->shard == 0 && part.file_begin() <= flipped && flipped < part.file_end();
      const Recorder::Seen& of_part = seen.at(part.user);
      EXPECT_EQ(of_part.damage.has_value(), is_damaged);
      EXPECT_EQ(of_part.done, is_damaged ? 0 : 1);
      if (!is_damaged || !of_part.damage) continue;
      const std::uint64_t within = flipped - part.extent->offset;
      const std::uint64_t unit =
          part.extent->chunk_crc32c.empty() ? 0 : AlignDown(within, kChunkBytes);
      EXPECT_EQ(of_part.damage->code(), Code::kDataLoss);
      EXPECT_THAT(of_part.damage->what(),
                  AllOf(HasSubstr("/m.data-00000-of-00002: tensor " + part.tensor->name +
                                  " at offset " + std::to_string(part.extent->offset + unit)),
                        HasSubstr("checksum")));
    }
  }
}

TEST_F(TensorLoaderTest, ReadsNeighboursTogetherAndLeavesOutWhatIsFarAway) {
  BundleMaker maker;
  for (int i = 0; i < 1000; ++i) {
    maker.Add(fmt::format("{:04}", i), DType::kUInt8, {10}, RandomBytes(10, random_),
              {.offset = static_cast<std::uint64_t>(i) * 64});
  }
  maker.Add("far", DType::kUInt8, {10}, RandomBytes(10, random_), {.offset = 3 * kMiB});
  maker.data(0).resize(3 * kMiB + kPageBytes);  // as a file of ours, padded
  const TempDir dir;
  maker.Disk(kPrefix).ExportTo(dir.path());
  CountingFileSystem fs(PosixFileSystem());
  const BundleReader reader(fs, dir.File("m"));
  std::vector<LoadPart> parts;
  for (const StoredTensor& tensor : reader.index().tensors()) {
    parts.push_back(WholeExtent(tensor, tensor.extents.front(), parts.size()));
  }
  EXPECT_EQ(Load(fs, reader, parts).size(), 1001U);
  EXPECT_EQ(fs.TakeBytesAsked(), AlignUp(999 * 64 + 10, kPageBytes) + kPageBytes);
  EXPECT_EQ(fs.TakeReads(), 2U);
}

// ---- Damage ----

TEST_F(TensorLoaderTest, NamesTheDamagedChunk) {
  const std::uint64_t size = 3 * kMiB + 5;
  const std::string bytes = RandomBytes(size, random_);
  for (const bool has_chunks : {true, false}) {
    for (std::uint64_t chunk = 0; chunk < 4; ++chunk) {
      BundleMaker maker;
      maker.Add("w", DType::kUInt8, {static_cast<std::int64_t>(size)}, bytes,
                {0, 4096, has_chunks});
      maker.data(0)[4096 + std::min(chunk * kMiB + 77, size - 1)] ^= 1;
      SimFileSystem fs(maker.Disk(kPrefix));
      const BundleReader reader(fs, kPrefix);
      const StoredTensor& tensor = *reader.index().Find("w");
      const auto seen = Load(fs, reader, {WholeExtent(tensor, tensor.extents.front())});
      ASSERT_TRUE(seen.at(0).damage);
      const std::uint64_t offset = 4096 + (has_chunks ? chunk * kMiB : 0);
      EXPECT_THAT(seen.at(0).damage->what(),
                  HasSubstr(fmt::format("tensor w at offset {}: checksum", offset)));
      // A part beside the damaged chunk is whole.
      const auto beside = Load(fs, reader,
                               {CoveringPart(tensor, tensor.extents.front(), chunk == 0 ? kMiB : 0,
                                             chunk == 0 ? size : kMiB)});
      EXPECT_EQ(beside.at(0).damage.has_value(), !has_chunks);
    }
  }
}

TEST_F(TensorLoaderTest, ChecksTheChecksumOfNoBytes) {
  BundleMaker maker;
  maker.Add("a", DType::kUInt8, {0}, "", {});
  maker.data(0);
  SimFileSystem fs(maker.Disk(kPrefix));
  const BundleReader reader(fs, kPrefix);
  const StoredTensor& tensor = *reader.index().Find("a");
  EXPECT_EQ(Load(fs, reader, {WholeExtent(tensor, tensor.extents.front())}).at(0).done, 1);
  StoredTensor damaged = tensor;
  damaged.extents[0].crc32c = 1;
  const auto seen = Load(fs, reader, {WholeExtent(damaged, damaged.extents.front())});
  ASSERT_TRUE(seen.at(0).damage);
  EXPECT_EQ(seen.at(0).damage->code(), Code::kDataLoss);
}

TEST_F(TensorLoaderTest, GoesOnAfterAnUnreadableBlock) {
  BundleMaker maker;
  for (int i = 0; i < 4; ++i) {
    maker.Add(std::to_string(i), DType::kUInt8, {100}, RandomBytes(100, random_),
              {.offset = static_cast<std::uint64_t>(i) * 6 * kMiB});
  }
  SimFileSystem sim(maker.Disk(kPrefix), random_());
  FaultyFileSystem fs(sim);
  fs.Inject({.at = 1, .errno_value = EIO, .operation = FsOperation::kRead});
  const BundleReader reader(fs, kPrefix);
  std::vector<LoadPart> parts;
  for (const StoredTensor& tensor : reader.index().tensors()) {
    parts.push_back(WholeExtent(tensor, tensor.extents.front(), parts.size()));
  }
  const auto seen = Load(fs, reader, parts, 1);
  std::size_t damaged = 0;
  for (const auto& [user, of_part] : seen) {
    EXPECT_EQ(of_part.done, of_part.damage ? 0 : 1);
    if (!of_part.damage) continue;
    ++damaged;
    EXPECT_EQ(of_part.damage->code(), Code::kDataLoss);
    EXPECT_THAT(of_part.damage->what(), AllOf(HasSubstr("read /m.data-00000-of-00001: tensor "),
                                              HasSubstr("Input/output error")));
  }
  EXPECT_EQ(damaged, 1U);
}

TEST_F(TensorLoaderTest, SeesAFileThatIsCutWhileItIsRead) {
  const TempDir dir;
  BundleMaker maker;
  maker.Add("a", DType::kUInt8, {100}, RandomBytes(100, random_), {});
  maker.Add("b", DType::kUInt8, {9000}, RandomBytes(9000, random_), {.offset = 8192});
  maker.Add("empty", DType::kUInt8, {0}, "", {});
  maker.Disk(kPrefix).ExportTo(dir.path());
  const BundleReader reader(PosixFileSystem(), dir.File("m"));
  // Parts without bytes are done before the first read, when sizes have been looked at.
  struct Cutter final : PartConsumer {
    void OnBytes(const LoadPart&, std::uint64_t, std::span<const std::byte>) override {}
    void OnPartDone(const LoadPart& part) override {
      if (part.tensor->name == "empty") std::filesystem::resize_file(path, 10'000);
      done += part.tensor->name + " ";
    }
    void OnDamage(const LoadPart& part, const Error& error) override {
      damaged += part.tensor->name;
      EXPECT_EQ(error.code(), Code::kDataLoss);
      EXPECT_THAT(error.what(), HasSubstr("cut while it was read"));
    }
    std::string path, done, damaged;
  } cutter;
  cutter.path = reader.DataFilePath(0);
  std::vector<LoadPart> parts;
  for (const StoredTensor& tensor : reader.index().tensors()) {
    parts.push_back(WholeExtent(tensor, tensor.extents.front()));
  }
  TensorLoader(PosixFileSystem(), pool_).Load(reader, parts, cutter);
  EXPECT_EQ(cutter.done, "empty a ");
  EXPECT_EQ(cutter.damaged, "b");
}

TEST_F(TensorLoaderTest, KnowsBeforeReadingWhatAFileCannotHold) {
  BundleMaker maker(3);
  maker.Add("short", DType::kUInt8, {100}, std::string(100, 'x'), {0, 50});
  maker.Claim("gone", DType::kUInt8, {100}, {.shard = 1}, 100);
  maker.Claim("huge", DType::kUInt8, {std::int64_t{1} << 60}, {.shard = 2}, std::uint64_t{1} << 60);
  maker.data(0).resize(149);
  maker.data(2) = "x";
  SimFileSystem sim(maker.Disk(kPrefix));
  CountingFileSystem fs(sim);
  const BundleReader reader(fs, kPrefix);
  std::vector<LoadPart> parts;
  for (const StoredTensor& tensor : reader.index().tensors()) {  // gone, huge, short
    parts.push_back(WholeExtent(tensor, tensor.extents.front(), parts.size()));
  }
  const auto seen = Load(fs, reader, parts);
  EXPECT_EQ(seen.at(0).damage->code(), Code::kNotFound);
  EXPECT_THAT(seen.at(0).damage->what(),
              HasSubstr("/m.data-00001-of-00003: tensor gone at offset 0: no such data file"));
  EXPECT_EQ(seen.at(1).damage->code(), Code::kDataLoss);
  EXPECT_EQ(seen.at(2).damage->code(), Code::kDataLoss);
  EXPECT_THAT(seen.at(2).damage->what(),
              AllOf(HasSubstr("tensor short at offset 50"), HasSubstr("file's end at 149")));
  EXPECT_EQ(fs.TakeBytesAsked(), 0U);
}

TEST_F(TensorLoaderTest, WaitsForItsReadsWhenTheConsumerThrows) {
  BundleMaker maker;
  const std::uint64_t size = 3 * kWindowBytes;
  maker.Add("w", DType::kUInt8, {static_cast<std::int64_t>(size)}, RandomBytes(size, random_), {});
  SimFileSystem fs(maker.Disk(kPrefix), random_());
  const BundleReader reader(fs, kPrefix);
  struct Thrower final : PartConsumer {
    void OnBytes(const LoadPart&, std::uint64_t, std::span<const std::byte>) override {
      throw Error(Code::kCancelled, "enough");
    }
    void OnPartDone(const LoadPart&) override {}
    void OnDamage(const LoadPart&, const Error&) override {}
    void OnWindowDone() override { ++windows_done; }
    int windows_done = 0;
  } thrower;
  TensorLoader loader(fs, pool_);
  const StoredTensor& tensor = *reader.index().Find("w");
  EXPECT_EQ(
      CodeOf([&] { loader.Load(reader, {WholeExtent(tensor, tensor.extents.front())}, thrower); }),
      Code::kCancelled);
  EXPECT_EQ(pool_.available(), pool_.window_count());
  EXPECT_EQ(thrower.windows_done, 1) << "copies of this window may be under way";
}

}  // namespace
}  // namespace waypost
