// SaveV1: what is written is read back by V1Reader's users in tests/engine; here are the files'
// names, what is refused and with which code, the bytes of tensors of accelerators, and what an
// earlier save left.
#include "save/v1_save.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>

#include "base/bytes.h"
#include "base/units.h"
#include "format/bundle_names.h"
#include "format/v1_files.h"
#include "format/v1_names.h"
#include "format/v1_reader.h"
#include "save/prefix_lock.h"
#include "support/expect_error.h"
#include "support/faulty_file_system.h"
#include "support/seed.h"
#include "support/sim_accelerator.h"
#include "support/sim_file_system.h"
#include "support/sim_stream.h"
#include "support/temp_dir.h"

namespace waypost {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

std::string ReadAll(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

class V1SaveTest : public ::testing::Test {
 protected:
  V1SaveTest() {
    std::vector<std::unique_ptr<Device>> devices;
    devices.push_back(accelerator_.MakeDevice());
    devices.push_back(MakeHostDevice());
    devices_ = std::make_unique<DeviceRegistry>(std::move(devices));
  }

  V1SaveResult Save(std::span<const NamedTensor> tensors, const V1SaveOptions& options = {}) {
    return SaveV1(PosixFileSystem(), *devices_, Prefix(), tensors, options);
  }
  // What a save of one tensor says; it must change nothing.
  std::string Refusal(const NamedTensor& tensor, Code expected) {
    const auto save = [&] { Save(std::span(&tensor, 1)); };
    EXPECT_EQ(CodeOf(save), expected);
    EXPECT_THAT(Names(), IsEmpty());
    return MessageOf(save);
  }
  std::string Prefix() const { return dir_.File("m"); }
  std::vector<std::string> Names() const { return PosixFileSystem().List(dir_.path()); }

  TempDir dir_;
  // Its copies come only when they are waited for.
  SimAccelerator accelerator_{{.copies_late = true}};
  std::unique_ptr<DeviceRegistry> devices_;
  std::vector<float> floats_ = {1.5F, 2.0F, -3.0F};
  NamedTensor x_ = {.name = "x", .tensor = TensorView(floats_.data(), DType::kFloat32, {3})};
};

TEST_F(V1SaveTest, WritesOneFile) {
  const V1SaveResult result = Save(std::span(&x_, 1));
  EXPECT_EQ(result.path, Prefix());
  EXPECT_THAT(result.files, ElementsAre(Prefix()));
  EXPECT_THAT(Names(), ElementsAre("m"));
}

TEST_F(V1SaveTest, WritesAFileForEachDeviceString) {
  std::vector<NamedTensor> tensors(3, x_);
  tensors[0].device = "/device:CPU:1";
  tensors[1].name = "y";
  tensors[1].device = "/device:CPU:0";
  tensors[2].name = "z";
  tensors[2].device = "/device:CPU:1";
  const V1SaveResult result = Save(tensors, {.sharded = true});
  EXPECT_EQ(result.path, V1ShardedPath(Prefix(), 2));
  EXPECT_THAT(result.files, ElementsAre(V1ShardPath(Prefix(), 0, 2), V1ShardPath(Prefix(), 1, 2)));
  EXPECT_THAT(Names(), ElementsAre("m-00000-of-00002", "m-00001-of-00002"));
  EXPECT_NE(ReadAll(result.files[0]).find('y'), std::string::npos);
  EXPECT_EQ(ReadAll(result.files[1]).find('y'), std::string::npos);
}

TEST_F(V1SaveTest, ShardedOverOneDeviceIsShardedAllTheSame) {
  EXPECT_EQ(Save(std::span(&x_, 1), {.sharded = true}).path, V1ShardedPath(Prefix(), 1));
  EXPECT_THAT(Names(), ElementsAre("m-00000-of-00001"));
}

TEST_F(V1SaveTest, RefusesWhatTheFormatDoesNotHave) {
  std::vector<std::byte> bytes(64);
  for (const auto& [dtype, code] :
       std::vector<std::pair<DType, Code>>{{DType::kUInt32, Code::kInvalidArgument},
                                           {DType::kUInt64, Code::kInvalidArgument},
                                           {DType::kBFloat16, Code::kUnimplemented},
                                           {DType::kQInt16, Code::kUnimplemented},
                                           {DType::kQUInt16, Code::kUnimplemented},
                                           {DType::kFloat8E5M2, Code::kUnimplemented},
                                           {DType::kInt4, Code::kUnimplemented}}) {
    const std::string why =
        Refusal({.name = "it", .tensor = TensorView(bytes.data(), dtype, {4})}, code);
    EXPECT_THAT(why, HasSubstr("tensor it"));
    EXPECT_THAT(why, HasSubstr(std::string(DTypeName(dtype))));
  }
  NamedTensor no_utf8 = x_;
  no_utf8.name = "\xff";
  EXPECT_THAT(Refusal(no_utf8, Code::kInvalidArgument), HasSubstr("UTF-8"));
}

// The memory is never looked at.
TEST_F(V1SaveTest, RefusesSlicesThatMayBecomeTooLarge) {
  std::byte byte{};
  const std::int64_t floats = (std::int64_t{1} << 31) / 4;
  EXPECT_THAT(Refusal({.name = "it", .tensor = TensorView(&byte, DType::kFloat32, {floats - 255})},
                      Code::kInvalidArgument),
              HasSubstr("tensor it"));
  const std::int64_t ints = (std::int64_t{1} << 31) / 10;
  EXPECT_THAT(Refusal({.name = "it", .tensor = TensorView(&byte, DType::kInt32, {ints})},
                      Code::kInvalidArgument),
              HasSubstr("2147483648"));
}

TEST_F(V1SaveTest, RefusesAPrefixOfFormatV2) {
  std::ofstream(IndexPath(Prefix())) << "index";
  EXPECT_EQ(CodeOf([&] { Save(std::span(&x_, 1)); }), Code::kFailedPrecondition);
  EXPECT_THAT(Names(), ElementsAre("m.index"));
}

TEST_F(V1SaveTest, WritesShardsBesideACheckpointOfFormatV2) {
  std::ofstream(IndexPath(Prefix())) << "index";
  EXPECT_EQ(Save(std::span(&x_, 1), {.sharded = true}).path, V1ShardedPath(Prefix(), 1));
  EXPECT_THAT(Names(), ElementsAre("m-00000-of-00001", "m.index"));
}

TEST_F(V1SaveTest, RefusesAPrefixThatIsBeingSaved) {
  const auto held = TakePrefix(PosixFileSystem(), Prefix(), 7);
  EXPECT_EQ(CodeOf([&] { Save(std::span(&x_, 1)); }), Code::kAborted);
  EXPECT_THAT(MessageOf([&] { RemoveV1Checkpoint(PosixFileSystem(), Prefix()); }), IsEmpty())
      << "there is nothing to be removed";
}

TEST_F(V1SaveTest, IsNotSweptWhileItLives) {
  const auto held = TakePrefix(PosixFileSystem(), dir_.File("other"), 7);
  const std::string temporary = TemporaryPath(dir_.File("other"), 7);
  std::ofstream(temporary) << "under way";
  Save(std::span(&x_, 1));
  EXPECT_TRUE(std::filesystem::exists(temporary));
}

TEST_F(V1SaveTest, SweepsWhatADeadSaveLeft) {
  std::ofstream(TemporaryPath(Prefix(), 7)) << "half";
  Save(std::span(&x_, 1));
  EXPECT_THAT(Names(), ElementsAre("m"));
}

TEST_F(V1SaveTest, TakesTensorsOfAcceleratorsBehindTheirStream) {
  // More than two pieces, and one of varints.
  constexpr std::size_t kBytes = 9 * kMiB + 4;
  std::vector<std::byte> values(kBytes);
  for (std::size_t i = 0; i < kBytes; ++i) values[i] = static_cast<std::byte>(i * 7 >> 3);
  const auto memory = accelerator_.Allocate(kBytes);
  const auto make = [&](const char* name, DType dtype, void* data) {
    return NamedTensor{.name = name,
                       .tensor = TensorView(
                           data, dtype, {static_cast<std::int64_t>(kBytes / ElementBytes(dtype))})};
  };
  std::vector<NamedTensor> here = {make("f", DType::kFloat32, values.data()),
                                   make("i", DType::kUInt8, values.data())};
  Save(here);
  const std::string expected = ReadAll(Prefix());
  std::vector<NamedTensor> there = {make("f", DType::kFloat32, memory.get()),
                                    make("i", DType::kUInt8, memory.get())};
  SimStream stream(accelerator_);
  stream.Run([&] { accelerator_.Write(memory.get(), values); });
  Save(there, {.stream = &stream});
  EXPECT_EQ(ReadAll(Prefix()), expected);
  EXPECT_EQ(accelerator_.unwaited_tickets(), 0U);
  EXPECT_EQ(accelerator_.unreleased_marks(), 0U);
}

TEST_F(V1SaveTest, OfALostAcceleratorLeavesTheOldFile) {
  Save(std::span(&x_, 1));
  const std::string old = ReadAll(Prefix());
  const auto memory = accelerator_.Allocate(64);
  const NamedTensor lost = {.name = "x", .tensor = TensorView(memory.get(), DType::kFloat32, {16})};
  accelerator_.LoseAtCopy(0);
  EXPECT_EQ(CodeOf([&] { Save(std::span(&lost, 1)); }), Code::kUnavailable);
  EXPECT_EQ(ReadAll(Prefix()), old);
  EXPECT_THAT(Names(), ElementsAre("m"));
}

TEST_F(V1SaveTest, IsRemovedWithAllItsShardsAndNothingElse) {
  std::vector<NamedTensor> tensors(2, x_);
  tensors[0].device = "/device:CPU:1";
  tensors[1].name = "y";
  const V1SaveResult sharded = Save(tensors, {.sharded = true});
  const V1SaveResult single = Save(std::span(&x_, 1));
  std::ofstream(dir_.File("m-00000-of-00003")) << "of another";
  EXPECT_THAT(RemoveV1Checkpoint(PosixFileSystem(), sharded.path),
              UnorderedElementsAre(sharded.files[0], sharded.files[1]));
  EXPECT_THAT(Names(), ElementsAre("m", "m-00000-of-00003"));
  EXPECT_THAT(RemoveV1Checkpoint(PosixFileSystem(), single.path), ElementsAre(Prefix()));
  EXPECT_THAT(RemoveV1Checkpoint(PosixFileSystem(), single.path), IsEmpty());
  EXPECT_THAT(Names(), ElementsAre("m-00000-of-00003"));
}

// ---- A dead save whose shards have not all got their names ----

class V1SaveAfterADeadOne : public V1SaveTest {
 protected:
  V1SaveAfterADeadOne() {
    SaveShards("old");
    // Its second shard keeps its temporary name.
    fs_.Inject({.and_all_later = true,
                .operation = FsOperation::kRename,
                .path_part = "m-00001-of-00002"});
    EXPECT_EQ(CodeOf([&] { SaveShards("dead"); }), Code::kUnavailable);
    fs_.Clear();
  }

  V1SaveResult SaveShards(const std::string& name) {
    std::vector<NamedTensor> tensors(2, x_);
    tensors[0].name = name + "/0";
    tensors[1].name = name + "/1";
    tensors[1].device = "/device:CPU:1";
    return SaveV1(fs_, *devices_, kPrefix, tensors, {.sharded = true});
  }
  // One rename, which is the sweep's.
  void FailTheNextSweep() {
    fs_.Inject({.operation = FsOperation::kRename, .path_part = "m-00001-of-00002"});
  }
  // The names of the tensors that a reader finds.
  std::vector<std::string> Stored() {
    std::vector<std::string> names;
    const V1Reader reader(fs_, V1ShardedPath(kPrefix, 2));
    for (const StoredTensor& tensor : reader.tensors()) names.push_back(tensor.name);
    return names;
  }

  const std::string kPrefix = "/ckpt/m";
  SimFileSystem disk_{TestSeed()};
  FaultyFileSystem fs_{disk_};
};

TEST_F(V1SaveAfterADeadOne, ASaveSettlesItFirst) {
  EXPECT_THAT(Stored(), ElementsAre("dead/0", "dead/1"));
  SaveShards("new");
  EXPECT_THAT(Stored(), ElementsAre("new/0", "new/1"));
  EXPECT_EQ(FindV1Journal(fs_, kPrefix), std::nullopt);
}

TEST_F(V1SaveAfterADeadOne, ASaveThatCannotSettleItIsRefused) {
  const std::vector<std::string> before = fs_.List("/ckpt");
  FailTheNextSweep();
  EXPECT_EQ(CodeOf([&] { SaveShards("new"); }), Code::kFailedPrecondition);
  FailTheNextSweep();
  const std::string why = MessageOf([&] { SaveShards("new"); });
  EXPECT_THAT(why, HasSubstr(*FindV1Journal(fs_, kPrefix)));
  EXPECT_THAT(why, HasSubstr("sweep of dead save")) << "it tells why";
  EXPECT_EQ(fs_.List("/ckpt"), before);
  EXPECT_THAT(Stored(), ElementsAre("dead/0", "dead/1"));
  FailTheNextSweep();
  SaveV1(fs_, *devices_, kPrefix, std::span(&x_, 1));  // a single file is no shard of another save
}

TEST_F(V1SaveAfterADeadOne, WithoutLocksASaveIsRefused) {
  disk_.RemoveLocks();
  const std::vector<std::string> before = fs_.List("/ckpt");
  EXPECT_EQ(CodeOf([&] { SaveShards("new"); }), Code::kFailedPrecondition);
  EXPECT_EQ(fs_.List("/ckpt"), before);
  EXPECT_THAT(Stored(), ElementsAre("dead/0", "dead/1"));
}

// Without its temporary shard the old one would be read again.
TEST_F(V1SaveAfterADeadOne, IsNotRemovedBeforeItIsSettled) {
  const std::vector<std::string> before = fs_.List("/ckpt");
  const auto remove = [&] { RemoveV1Checkpoint(fs_, V1ShardedPath(kPrefix, 2)); };
  FailTheNextSweep();
  EXPECT_EQ(CodeOf(remove), Code::kFailedPrecondition);
  FailTheNextSweep();
  EXPECT_THAT(MessageOf(remove), HasSubstr("sweep of dead save"));
  EXPECT_EQ(fs_.List("/ckpt"), before);
  remove();
  EXPECT_THAT(fs_.List("/ckpt"), IsEmpty());
}

TEST_F(V1SaveAfterADeadOne, WithoutLocksItIsNotRemoved) {
  disk_.RemoveLocks();
  EXPECT_EQ(CodeOf([&] { RemoveV1Checkpoint(fs_, V1ShardedPath(kPrefix, 2)); }),
            Code::kFailedPrecondition);
  EXPECT_THAT(Stored(), ElementsAre("dead/0", "dead/1"));
}

}  // namespace
}  // namespace waypost
