// V1 checkpoints through the public API: what SaveV1 wrote is restored whatever the partition,
// wherever the targets are; wrong requests and damage give the errors that bundles give.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "format/bundle_names.h"
#include "format/v1_names.h"
#include "save/v1_save.h"
#include "support/expect_error.h"
#include "support/seed.h"
#include "support/temp_dir.h"
#include "support/tensor_set.h"
#include "support/test_engine.h"
#include "waypost/checkpoint_reader.h"

namespace waypost {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

const std::vector<DType> kDTypes = {
    DType::kFloat32, DType::kFloat64, DType::kInt32,     DType::kUInt8,      DType::kInt16,
    DType::kInt8,    DType::kInt64,   DType::kBool,      DType::kQInt8,      DType::kQUInt8,
    DType::kQInt32,  DType::kUInt16,  DType::kComplex64, DType::kComplex128, DType::kFloat16};

// One of every dtype that V1 has, whole; a scalar, an empty one, odd names, a large one.
TensorSet MakeState(std::uint64_t seed) {
  std::mt19937_64 random(seed);
  TensorSet set;
  for (const DType dtype : kDTypes) {
    set.Add("all/" + std::string(DTypeName(dtype)), dtype, {6, 5}, random);
  }
  set.Add("scalar", DType::kFloat64, {}, random);
  set.Add("empty", DType::kFloat32, {3, 0, 2}, random);
  set.Add("large/floats", DType::kFloat32, {300, 1000}, random);
  set.Add("large/bytes", DType::kUInt8, {5 << 20}, random);
  set.Add(std::string("odd\0name", 8), DType::kInt32, {2}, random);
  set.AddStrings("strings", {3, 2}, {"ab", "", std::string("\0\xff", 2), "c", "d", "e"});
  set.AddStrings("no_strings", {0}, {});
  for (std::size_t i = 0; i < set.tensors().size(); ++i) {
    set.SetDevice(i, i % 3 == 0 ? "/device:CPU:1" : "/device:CPU:0");
  }
  return set;
}

class V1RestoreTest : public ::testing::Test {
 protected:
  std::string Prefix() const { return dir_.File("m"); }
  std::string Save(const TensorSet& state, bool sharded = false) {
    return SaveV1(PosixFileSystem(), engine_.impl().devices(), Prefix(), state.tensors(),
                  {.sharded = sharded})
        .path;
  }
  // Cuts the bytes of one tensor's values, which are `bytes`, out of the file and puts others
  // there.
  void Damage(const std::string& path, const std::string& bytes) const {
    std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
    const std::string content(std::istreambuf_iterator<char>(file), {});
    const std::size_t place = content.find(bytes);
    ASSERT_NE(place, content.npos);
    file.seekp(static_cast<std::streamoff>(place)).put(static_cast<char>(bytes[0] ^ 1)).flush();
  }

  TempDir dir_;
  Engine engine_ = TestEngine();
};

TEST_F(V1RestoreTest, FillsEveryDType) {
  const TensorSet state = MakeState(TestSeed());
  for (const bool sharded : {false, true}) {
    const std::string path = Save(state, sharded);
    for (const RestoreOptions& options :
         {RestoreOptions{}, RestoreOptions{.restore_sequentially = true},
          RestoreOptions{.verify_first = true}}) {
      const TensorSet restored = state.Blank();
      Restore(engine_, path, restored.tensors(), options);
      EXPECT_THAT(state.Differences(restored), IsEmpty());
    }
  }
}

// Rows of every dtype are saved, and other boxes are asked for.
TEST_F(V1RestoreTest, FillsSlicesOfAnyPartition) {
  std::mt19937_64 random(TestSeed());
  const Shape full = {6, 4};
  TensorSet rows;
  for (const DType dtype : kDTypes) {
    for (const std::int64_t begin : {0, 1, 4}) {
      const std::int64_t end = begin == 0 ? 1 : begin == 1 ? 4 : 6;
      rows.AddSlice(std::string(DTypeName(dtype)), dtype, full, {{{begin, end - begin}, {0, -1}}},
                    random);
    }
  }
  for (std::size_t i = 0; i < rows.tensors().size(); ++i) {
    rows.SetDevice(i, "/device:CPU:" + std::to_string(i % 2));
  }
  const std::string path = Save(rows, true);
  TensorSet whole;
  TensorSet columns;
  for (const DType dtype : kDTypes) {
    const std::string name(DTypeName(dtype));
    whole.Add(name, dtype, full, random);
    columns.AddSlice(name, dtype, full, {{{0, -1}, {1, 2}}}, random);
  }
  Restore(engine_, path, whole.tensors());
  Restore(engine_, path, columns.tensors());
  for (std::size_t t = 0; t < kDTypes.size(); ++t) {
    const std::string joined =
        rows.Content(3 * t) + rows.Content(3 * t + 1) + rows.Content(3 * t + 2);
    EXPECT_EQ(whole.Content(t), joined) << DTypeName(kDTypes[t]);
    const std::size_t width = ElementBytes(kDTypes[t]);
    std::string middle;
    for (std::size_t row = 0; row < 6; ++row) {
      middle += joined.substr((row * 4 + 1) * width, 2 * width);
    }
    EXPECT_EQ(columns.Content(t), middle) << DTypeName(kDTypes[t]);
  }
}

TEST_F(V1RestoreTest, JoinsStringsOfSlices) {
  std::vector<std::string> first = {"a", "b"};
  std::vector<std::string> second = {"c", "", std::string("\0", 1), "f"};
  const std::vector<NamedTensor> slices = {
      {.name = "s",
       .tensor = TensorView(first.data(), DType::kString, {1, 2}),
       .full_shape = {3, 2},
       .slice = {{{0, 1}, {0, -1}}}},
      {.name = "s",
       .tensor = TensorView(second.data(), DType::kString, {2, 2}),
       .full_shape = {3, 2},
       .slice = {{{1, 2}, {0, 2}}}}};
  SaveV1(PosixFileSystem(), engine_.impl().devices(), Prefix(), slices);
  std::vector<std::string> column(3);
  const NamedTensor target = {.name = "s",
                              .tensor = TensorView(column.data(), DType::kString, {3, 1}),
                              .full_shape = {3, 2},
                              .slice = {{{0, -1}, {1, 1}}}};
  Restore(engine_, Prefix(), std::span(&target, 1));
  EXPECT_THAT(column, ElementsAre("b", "", "f"));
}

TEST_F(V1RestoreTest, ReportsAllThatIsWrongBeforeAnythingIsRead) {
  const TensorSet state = MakeState(1);
  Save(state);
  std::vector<float> floats(40, 7);
  const std::vector<NamedTensor> wrong = {
      {.name = "all/float32", .tensor = TensorView(floats.data(), DType::kFloat32, {6, 5})},
      {.name = "nobody", .tensor = TensorView(floats.data(), DType::kFloat32, {1})},
      {.name = "all/int32", .tensor = TensorView(floats.data(), DType::kFloat32, {6, 5})},
      {.name = "scalar", .tensor = TensorView(floats.data(), DType::kFloat64, {2})}};
  const auto restore = [&] { Restore(engine_, Prefix(), wrong); };
  EXPECT_EQ(CodeOf(restore), Code::kInvalidArgument);
  EXPECT_THAT(MessageOf(restore), AllOf(HasSubstr("tensor nobody is not in the checkpoint"),
                                        HasSubstr("tensor all/int32: dtype float32 was asked for"),
                                        HasSubstr("tensor scalar: shape [2] was asked for")));
  EXPECT_EQ(floats, std::vector<float>(40, 7));
  EXPECT_EQ(CodeOf([&] { Restore(engine_, Prefix(), std::span(wrong).subspan(1, 1)); }),
            Code::kNotFound);
  EXPECT_EQ(CodeOf([&] { Restore(engine_, dir_.File("none"), std::span(wrong).first(1)); }),
            Code::kNotFound);
}

TEST_F(V1RestoreTest, SaysWhatIsAssignedAndWhatIsNot) {
  std::mt19937_64 random(TestSeed());
  TensorSet state;
  state.Add("a", DType::kFloat32, {100'000}, random);
  state.Add("b", DType::kFloat32, {200'000}, random);  // a block of its own
  Save(state);
  Damage(Prefix(), state.Content(1).substr(4000, 64));
  for (const bool verify_first : {false, true}) {
    const TensorSet restored = state.Blank();
    const TensorSet blank = state.Blank();
    try {
      Restore(engine_, Prefix(), restored.tensors(),
              {.restore_sequentially = true, .verify_first = verify_first});
      FAIL() << "it is damaged";
    } catch (const RestoreError& error) {
      EXPECT_FALSE(verify_first);
      EXPECT_EQ(error.code(), Code::kDataLoss);
      EXPECT_THAT(error.what(), AllOf(HasSubstr(Prefix() + ": tensor b"), HasSubstr("checksum")));
      EXPECT_THAT(error.assigned(), ElementsAre("a"));
      EXPECT_THAT(error.undefined(), IsEmpty()) << "the block is checked before it is used";
      EXPECT_THAT(state.Differences(restored), ElementsAre("b"));
    } catch (const Error& error) {
      EXPECT_TRUE(verify_first);
      EXPECT_EQ(error.code(), Code::kDataLoss);
      EXPECT_THAT(error.what(), HasSubstr("nothing was changed"));
      EXPECT_THAT(blank.Differences(restored), IsEmpty());
    }
  }
}

TEST_F(V1RestoreTest, TiedTargetsMustHaveTheSameValues) {
  std::mt19937_64 random(TestSeed());
  TensorSet state;
  state.Add("a", DType::kFloat32, {100}, random);
  state.Add("b", DType::kFloat32, {100}, random);
  state.Add("c", DType::kFloat32, {100}, random);
  state.SetContent(1, state.Content(0));
  Save(state);
  const TensorSet restored = state.Blank();
  std::vector<NamedTensor> tied = {restored.tensors()[0], restored.tensors()[0]};
  tied[1].name = "b";
  Restore(engine_, Prefix(), tied);
  EXPECT_EQ(restored.Content(0), state.Content(0));
  tied[1].name = "c";
  EXPECT_EQ(CodeOf([&] { Restore(engine_, Prefix(), tied); }), Code::kInvalidArgument);
}

TEST_F(V1RestoreTest, AnIndexBesideItComesFirst) {
  const TensorSet state = MakeSmallState(1);
  Save(state);
  SaveAsync(engine_, Prefix(), MakeSmallState(2).tensors()).WaitFinished();
  const TensorSet restored = state.Blank();
  Restore(engine_, Prefix(), restored.tensors());
  EXPECT_THAT(MakeSmallState(2).Differences(restored), IsEmpty());
}

TEST_F(V1RestoreTest, OfTheLatestFallsBackFromDamage) {
  std::vector<std::string> paths;
  for (const int step : {1, 2}) {
    paths.push_back(SaveV1(PosixFileSystem(), engine_.impl().devices(),
                           dir_.File("m-" + std::to_string(step)), MakeSmallState(step).tensors(),
                           {.sharded = true})
                        .path);
  }
  UpdateCheckpointState(dir_.path(), paths[1], {.all_model_checkpoint_paths = paths});
  EXPECT_EQ(LatestCheckpoint(dir_.path()), paths[1]);
  EXPECT_EQ(LatestCheckpoint(dir_.path(), {.verified = true}), paths[1]);
  const TensorSet restored = MakeSmallState(1).Blank();
  EXPECT_EQ(RestoreLatest(engine_, dir_.path(), restored.tensors()).prefix, paths[1]);
  EXPECT_THAT(MakeSmallState(2).Differences(restored), IsEmpty());
  Damage(V1ShardPath(dir_.File("m-2"), 0, 1), MakeSmallState(2).Content(0).substr(8, 32));
  EXPECT_EQ(LatestCheckpoint(dir_.path(), {.verified = true}), paths[0]);
  EXPECT_EQ(RestoreLatest(engine_, dir_.path(), restored.tensors()).prefix, paths[0]);
  EXPECT_THAT(MakeSmallState(1).Differences(restored), IsEmpty());
}

TEST_F(V1RestoreTest, IsReadByCheckpointReader) {
  const TensorSet state = MakeSmallState(1);
  Save(state);
  const CheckpointReader reader(Prefix());
  EXPECT_TRUE(reader.is_v1());
  EXPECT_EQ(reader.shard_count(), 1);
  const auto list = reader.List();
  ASSERT_EQ(list.size(), 4U);
  EXPECT_EQ(list[1].name, "dense/kernel");
  EXPECT_EQ(list[1].extents[0].size_bytes, 140U);
  EXPECT_EQ(list[1].extents[0].offset, 0U);
  EXPECT_EQ(list[1].extents[0].crc32c, 0U);
  EXPECT_EQ(reader.Find("note")->dtype, DType::kString);
  EXPECT_FALSE(reader.Find("nobody"));
  std::vector<float> kernel(35);
  reader.Read("dense/kernel", TensorView(kernel.data(), DType::kFloat32, {5, 7}));
  EXPECT_EQ(std::string(reinterpret_cast<const char*>(kernel.data()), 140), state.Content(0));
  float corner = 0;
  reader.ReadSlice("dense/kernel", {{{4, 1}, {6, 1}}},
                   TensorView(&corner, DType::kFloat32, {1, 1}));
  EXPECT_EQ(std::memcmp(&corner, &kernel[34], sizeof corner), 0);
  const MappedTensor mapped = reader.Map("dense/kernel");
  EXPECT_TRUE(mapped.is_copy());
  EXPECT_EQ(std::memcmp(mapped.view().data(), kernel.data(), 140), 0);
  EXPECT_EQ(CodeOf([&] { static_cast<void>(reader.Map("nobody")); }), Code::kNotFound);
}

TEST_F(V1RestoreTest, StaysReadableWhenItIsReplacedOrRemoved) {
  Save(MakeSmallState(1));
  const CheckpointReader reader(Prefix());
  Save(MakeSmallState(2));
  RemoveV1Checkpoint(PosixFileSystem(), Prefix());
  std::int64_t step = 0;
  reader.Read("step", TensorView(&step, DType::kInt64, {}));
  EXPECT_EQ(std::string(reinterpret_cast<const char*>(&step), 8), MakeSmallState(1).Content(2));
}

}  // namespace
}  // namespace waypost
