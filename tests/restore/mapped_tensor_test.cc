// CheckpointReader::Map: views of the very bytes in the file, checked once; a copy where there can
// be no view; views that outlive everything else.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fmt/format.h>

#include <chrono>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <random>
#include <thread>
#include <type_traits>

#include "base/bytes.h"
#include "format/bundle_names.h"
#include "restore/bundle_maker.h"
#include "support/expect_error.h"
#include "support/seed.h"
#include "support/temp_dir.h"
#include "support/tensor_set.h"
#include "waypost/checkpoint_reader.h"
#include "waypost/engine.h"

namespace waypost {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

static_assert(!std::is_copy_constructible_v<MappedTensor>);

std::string ContentOf(const MappedTensor& tensor) {
  return {static_cast<const char*>(tensor.view().data()), tensor.view().size_bytes()};
}

class MappedTensorTest : public ::testing::Test {
 protected:
  void Save(const TensorSet& state) {
    Engine engine({.staging_bytes = std::size_t{16} << 20});
    SaveAsync(engine, prefix_, state.tensors()).WaitFinished();
  }
  void Flip(std::uint64_t offset) {
    std::fstream file(DataPath(prefix_, 0, 1), std::ios::in | std::ios::out | std::ios::binary);
    file.seekg(static_cast<std::streamoff>(offset));
    const char damaged = static_cast<char>(file.get() ^ 1);
    file.seekp(static_cast<std::streamoff>(offset)).put(damaged).flush();
  }

  std::mt19937_64 random_{TestSeed()};
  TempDir dir_;
  std::string prefix_ = dir_.File("m");
};

TEST_F(MappedTensorTest, ShowsEveryTensorWithoutACopy) {
  const TensorSet state = MakeRichState(TestSeed());
  Save(state);
  const CheckpointReader reader(prefix_);
  for (std::size_t i = 0; i < state.tensors().size(); ++i) {
    const NamedTensor& saved = state.tensors()[i];
    if (saved.tensor.dtype() == DType::kString) continue;
    const MappedTensor mapped = reader.Map(saved.name);
    EXPECT_EQ(mapped.view().dtype(), saved.tensor.dtype());
    EXPECT_EQ(mapped.view().shape(), saved.tensor.shape());
    EXPECT_TRUE(ContentOf(mapped) == state.Content(i)) << saved.name;
    if (mapped.view().element_count() == 0) continue;
    EXPECT_FALSE(mapped.is_copy());
    EXPECT_EQ(reader.Map(saved.name).view().data(), mapped.view().data());
  }
}

TEST_F(MappedTensorTest, OutlivesReaderAndFiles) {
  const TensorSet state = MakeSmallState(1);
  Save(state);
  MappedTensor mapped;
  EXPECT_EQ(mapped.view().data(), nullptr);
  {
    CheckpointReader reader(prefix_);
    MappedTensor first = reader.Map(state.tensors()[0].name);
    mapped = std::move(first);
    EXPECT_EQ(first.view().data(), nullptr);  // NOLINT(bugprone-use-after-move): the subject
  }
  for (const auto& entry : std::filesystem::directory_iterator(dir_.path()))
    std::filesystem::remove(entry);
  EXPECT_EQ(ContentOf(mapped), state.Content(0));
}

TEST_F(MappedTensorTest, IsCheckedAtItsFirstCallUnlessToldNotTo) {
  TensorSet state;
  state.Add("w", DType::kUInt8, {9 << 20}, random_);
  Save(state);
  const std::uint64_t offset = CheckpointReader(prefix_).Find("w")->extents[0].offset;
  const CheckpointReader seen_whole(prefix_);
  seen_whole.Map("w");
  Flip(offset + 5'000'000);
  EXPECT_EQ(CodeOf([&] { seen_whole.Map("w"); }), std::nullopt) << "only the first call";
  const CheckpointReader reader(prefix_);
  EXPECT_EQ(reader.Map("w", {.verify = false}).view().size_bytes(), 9U << 20);
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(CodeOf([&] { reader.Map("w"); }), Code::kDataLoss);
    EXPECT_THAT(MessageOf([&] { reader.Map("w"); }),
                AllOf(HasSubstr(DataPath(prefix_, 0, 1)), HasSubstr("tensor w at offset"),
                      HasSubstr("checksum")));
  }
}

TEST_F(MappedTensorTest, IsDataLossWhenTheFileIsTooShort) {
  Save(MakeSmallState(1));
  const CheckpointReader reader(prefix_);
  std::filesystem::resize_file(DataPath(prefix_, 0, 1), 10);
  for (const bool verify : {true, false}) {
    EXPECT_EQ(CodeOf([&] { reader.Map("step", {.verify = verify}); }), Code::kDataLoss);
  }
}

TEST_F(MappedTensorTest, RefusesWhatHasNoBytesToShow) {
  TensorSet state;
  state.AddStrings("s", {1}, {"text"});
  Save(state);
  const CheckpointReader reader(prefix_);
  EXPECT_EQ(CodeOf([&] { reader.Map("s"); }), Code::kInvalidArgument);
  EXPECT_THAT(MessageOf([&] { reader.Map("s"); }), HasSubstr("tensor s is of dtype string"));
  EXPECT_EQ(CodeOf([&] { reader.Map("other"); }), Code::kNotFound);
}

// ---- Copies ----

TEST_F(MappedTensorTest, JoinsSlicesInMemory) {
  TensorSet state;
  state.AddSlice("w", DType::kInt16, {4, 100}, {{{0, 1}, {0, -1}}}, random_);
  state.AddSlice("w", DType::kInt16, {4, 100}, {{{1, 3}, {0, -1}}}, random_);
  Save(state);
  const CheckpointReader reader(prefix_);
  const MappedTensor mapped = reader.Map("w", {.verify = false});
  EXPECT_TRUE(mapped.is_copy());
  EXPECT_EQ(mapped.view().shape(), (Shape{4, 100}));
  EXPECT_EQ(ContentOf(mapped), state.Content(0) + state.Content(1));
  Flip(reader.Find("w")->extents[1].offset);
  EXPECT_EQ(CodeOf([&] { reader.Map("w", {.verify = false}); }), Code::kDataLoss)
      << "a copy is always checked";
}

TEST_F(MappedTensorTest, RefusesSlicesThatLeaveAHole) {
  TensorSet state;
  state.AddSlice("w", DType::kInt16, {4, 100}, {{{0, 1}, {0, -1}}}, random_);
  Save(state);
  const CheckpointReader reader(prefix_);
  EXPECT_EQ(CodeOf([&] { reader.Map("w"); }), Code::kFailedPrecondition);
}

TEST_F(MappedTensorTest, CopiesAMisalignedTensor) {
  const std::string bytes = RandomBytes(400, random_);
  BundleMaker maker;
  maker.Add("even", DType::kFloat32, {100}, bytes, {.offset = 0});
  maker.Add("odd", DType::kFloat32, {100}, bytes, {.offset = 402});
  maker.Add("bytes", DType::kUInt8, {400}, bytes, {.offset = 803});
  maker.Disk("/m").ExportTo(dir_.path());
  const CheckpointReader reader(prefix_);
  for (const char* name : {"even", "odd", "bytes"}) {
    const MappedTensor mapped = reader.Map(name);
    EXPECT_EQ(ContentOf(mapped), bytes) << name;
    EXPECT_EQ(mapped.is_copy(), std::string(name) == "odd") << name;
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(mapped.view().data()) %
                  ElementBytes(mapped.view().dtype()),
              0U);
  }
}

// ---- Threads and time ----

TEST_F(MappedTensorTest, IsMappedByManyThreadsAtOnce) {
  const TensorSet state = MakeSmallState(1);
  Save(state);
  const CheckpointReader reader(prefix_);
  std::vector<std::jthread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (std::size_t tensor = 0; tensor < state.tensors().size(); ++tensor) {
        if (state.tensors()[tensor].tensor.dtype() == DType::kString) continue;
        EXPECT_EQ(ContentOf(reader.Map(state.tensors()[tensor].name)), state.Content(tensor));
      }
    });
  }
}

TEST_F(MappedTensorTest, OpensFourGibibytesInNoTime) {
  constexpr std::int64_t kTensorBytes = std::int64_t{64} << 20;
  BundleMaker maker;
  for (int i = 0; i < 64; ++i) {
    maker.Claim(fmt::format("{}", i), DType::kUInt8, {kTensorBytes},
                {.offset = static_cast<std::uint64_t>(i * kTensorBytes)},
                static_cast<std::uint64_t>(kTensorBytes));
  }
  std::ofstream(IndexPath(prefix_), std::ios::binary) << maker.Index();
  std::ofstream(DataPath(prefix_, 0, 1)).close();
  std::filesystem::resize_file(DataPath(prefix_, 0, 1), 64 * kTensorBytes);  // a hole
  const auto begin = std::chrono::steady_clock::now();
  const CheckpointReader reader(prefix_);
  std::vector<MappedTensor> mapped;
  for (int i = 0; i < 64; ++i)
    mapped.push_back(reader.Map(fmt::format("{}", i), {.verify = false}));
  const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - begin;
  fmt::print("opening and mapping 4 GiB: {:.2f} ms\n", took.count());
  EXPECT_EQ(*static_cast<const char*>(mapped.back().view().data()), 0);
#if !defined(__SANITIZE_THREAD__) && !defined(__SANITIZE_ADDRESS__)
  EXPECT_LT(took.count(), 10);
#endif
}

}  // namespace
}  // namespace waypost
