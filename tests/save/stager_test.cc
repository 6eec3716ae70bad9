// Windows filled by a stager, in any order and from several threads, must together be the image
// that the plan says, over whatever the windows held before; checksums are compared with those of
// the sources, computed directly.  An accelerator whose copies come only when they are waited for
// shows whether they are.
#include "save/stager.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <deque>
#include <numeric>
#include <random>
#include <thread>

#include "base/crc32c.h"
#include "base/units.h"
#include "support/expect_error.h"
#include "support/seed.h"
#include "support/sim_accelerator.h"

namespace waypost {
namespace {

using ::testing::HasSubstr;

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
    std::vector<std::unique_ptr<Device>> devices;
    devices.push_back(accelerator_.MakeDevice());
    devices.push_back(other_accelerator_.MakeDevice());
    devices.push_back(MakeHostDevice());
    registry_ = std::make_unique<DeviceRegistry>(std::move(devices));
  }

  // In host memory, or on `accelerator`.
  void Add(std::uint64_t size, const std::string& device = "",
           SimAccelerator* accelerator = nullptr) {
    std::vector<std::byte>& bytes = bytes_.emplace_back(size);
    for (std::byte& byte : bytes) byte = static_cast<std::byte>(random_());
    std::byte* memory = bytes.data();
    if (accelerator != nullptr) {
      memory = memory_.emplace_back(accelerator->Allocate(size)).get();
      accelerator->Write(memory, bytes);
    }
    tensors_.push_back(
        {.name = "t" + std::to_string(tensors_.size()),
         .tensor = TensorView(memory, DType::kUInt8, {static_cast<std::int64_t>(size)}),
         .device = device});
  }

  void Plan() {
    input_ = std::make_unique<SaveInput>(std::make_shared<const TensorList>(tensors_), *registry_);
    plan_ = PlanSave(input_->Describe(), {.sharded = true});
    stager_ = std::make_unique<Stager>(plan_, *input_, StreamMarks());
    images_.clear();
    for (const ShardPlan& shard : plan_.shards) {
      images_.emplace_back(shard.file_bytes, std::byte{0xEE});
    }
  }

  std::vector<WindowId> Windows() const {
    std::vector<WindowId> windows;
    for (int shard = 0; shard < static_cast<int>(images_.size()); ++shard) {
      for (std::uint64_t i = 0; i < stager_->WindowCount(shard); ++i) windows.push_back({shard, i});
    }
    return windows;
  }

  std::span<std::byte> Target(const WindowId& id) {
    return std::span(images_[static_cast<std::size_t>(id.shard)])
        .subspan(id.window * kWindowBytes, stager_->WindowBytes(id));
  }
  void Fill(const WindowId& id) { stager_->Complete(stager_->Begin(id, Target(id))); }
  void FillAll() {
    std::vector<WindowId> windows = Windows();
    std::shuffle(windows.begin(), windows.end(), random_);
    for (const WindowId& id : windows) Fill(id);
  }

  void ExpectImagesAndChecksums() {
    std::vector<std::vector<std::byte>> expected;
    for (const ShardPlan& shard : plan_.shards) expected.emplace_back(shard.file_bytes);
    for (std::size_t i = 0; i < tensors_.size(); ++i) {
      const std::span<const std::byte> bytes = bytes_[i];
      std::ranges::copy(bytes, expected[static_cast<std::size_t>(stager_->ShardOf(i))].begin() +
                                   static_cast<std::ptrdiff_t>(stager_->OffsetOf(i)));
      const StagedChecksums checksums = stager_->ChecksumsOf(i);
      EXPECT_EQ(checksums.crc32c, Crc32c(bytes)) << "tensor " << i;
      EXPECT_EQ(checksums.chunk_crc32c, ChunkCrcs(bytes)) << "tensor " << i;
    }
    for (std::size_t shard = 0; shard < images_.size(); ++shard) {
      EXPECT_TRUE(images_[shard] == expected[shard]) << "shard " << shard;
    }
  }

  std::mt19937_64 random_{TestSeed()};
  SimAccelerator accelerator_{{.copies_late = true}};
  SimAccelerator other_accelerator_{{.name = "sim:1", .copies_late = true}};
  std::vector<SimAccelerator::Memory> memory_;
  std::unique_ptr<DeviceRegistry> registry_;
  std::deque<std::vector<std::byte>> bytes_;  // by tensor
  std::vector<NamedTensor> tensors_;
  std::unique_ptr<SaveInput> input_;
  SavePlan plan_;
  std::unique_ptr<Stager> stager_;
  std::vector<std::vector<std::byte>> images_;  // by shard
};

TEST_F(StagerTest, FillsTensorsOfAnySizeInAnyOrderOfWindows) {
  for (const std::uint64_t size :
       {std::uint64_t{0}, std::uint64_t{1}, std::uint64_t{63}, kPageBytes, kLargeTensorBytes - 1,
        kLargeTensorBytes, kChunkBytes - 1, kChunkBytes, kChunkBytes + 1, 3 * kChunkBytes + 5,
        kWindowBytes, kWindowBytes + 1, 2 * kWindowBytes + 3}) {
    Add(size);
  }
  Plan();
  FillAll();
  ExpectImagesAndChecksums();
}

TEST_F(StagerTest, FillsRandomStatesOverSeveralShards) {
  for (int i = 0; i < 200; ++i) {
    Add(random_() % (std::uint64_t{1} << random_() % 22), std::to_string(random_() % 3));
  }
  Add(0, "empty");
  Plan();
  FillAll();
  ExpectImagesAndChecksums();
}

TEST_F(StagerTest, FillsDifferentWindowsFromSeveralThreads) {
  for (int i = 0; i < 12; ++i) Add(2'000'003 + static_cast<std::uint64_t>(i));
  Plan();
  const std::vector<WindowId> windows = Windows();
  std::atomic<std::size_t> next = 0;
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < 3; ++i) {
      threads.emplace_back([&] {
        for (std::size_t w = next++; w < windows.size(); w = next++) Fill(windows[w]);
      });
    }
  }
  ExpectImagesAndChecksums();
}

TEST_F(StagerTest, WaitsForTheDevicesCopies) {
  Add(kWindowBytes + 3 * kChunkBytes + 5, "", &accelerator_);
  Add(100, "", &accelerator_);
  Add(100);
  Plan();
  for (const WindowId& id : Windows()) {
    Stager::Filling filling = stager_->Begin(id, Target(id));
    EXPECT_TRUE(filling.waits_for_device());
    stager_->Complete(std::move(filling));
  }
  EXPECT_EQ(accelerator_.unwaited_tickets(), 0U);
  ExpectImagesAndChecksums();
}

// A device may overwrite what is between its pieces, but not what another one copies there.
TEST_F(StagerTest, KeepsPiecesOfSeveralDevicesApart) {
  for (int i = 0; i < 30; ++i) {
    SimAccelerator* const owners[] = {&accelerator_, &other_accelerator_, nullptr, &accelerator_};
    Add(1 + random_() % 300, "", owners[random_() % 4]);
  }
  Plan();
  FillAll();
  ExpectImagesAndChecksums();
}

TEST_F(StagerTest, WaitsForCopiesAlsoWhenTheyAreGivenUp) {
  Add(kWindowBytes, "", &accelerator_);
  Plan();
  { const Stager::Filling filling = stager_->Begin({0, 0}, Target({0, 0})); }
  EXPECT_EQ(accelerator_.unwaited_tickets(), 0U);
}

TEST_F(StagerTest, ThrowsTheErrorOfALostDevice) {
  Add(100, "", &accelerator_);
  Add(200, "", &accelerator_);
  Plan();
  accelerator_.LoseAtCopy(0);
  EXPECT_EQ(CodeOf([&] { Fill({0, 0}); }), Code::kUnavailable);
  EXPECT_EQ(accelerator_.unwaited_tickets(), 0U);
}

TEST_F(StagerTest, NoticesASourceThatChanged) {
  Add(2 * kWindowBytes + 77);
  Add(kLargeTensorBytes + 1, "", &accelerator_);
  Plan();
  FillAll();
  std::vector<std::byte> scratch(kWindowBytes);
  for (const WindowId& id : Windows()) stager_->RequireUnchanged(id, scratch);
  bytes_[0][kWindowBytes + 5] ^= std::byte{1};
  int changed = 0;
  for (const WindowId& id : Windows()) {
    const auto check = [&] { stager_->RequireUnchanged(id, scratch); };
    if (CodeOf(check) != Code::kAborted) continue;
    ++changed;
    EXPECT_THAT(MessageOf(check), HasSubstr("tensor t0"));
  }
  EXPECT_EQ(changed, 1);
}

TEST_F(StagerTest, LetsCopiedTensorsChangeAtOnce) {
  Add(100);
  Plan();
  const std::vector<std::byte> before = bytes_[0];
  std::ranges::fill(bytes_[0], std::byte{9});
  FillAll();
  std::vector<std::byte> scratch(kWindowBytes);
  stager_->RequireUnchanged({0, 0}, scratch);
  EXPECT_TRUE(std::ranges::equal(before, std::span(images_[0]).first(100)));
  EXPECT_EQ(stager_->ChecksumsOf(0).crc32c, Crc32c(before));
}

}  // namespace
}  // namespace waypost
