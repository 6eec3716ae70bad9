// restore_sequentially, measured: at every read of a variable those before it on its device are
// assigned, and no more than two windows a device are ever in use.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <cstring>

#include "restore/bundle_maker.h"
#include "restore/bundle_reader.h"
#include "restore/restorer_rig.h"
#include "restore/separate_memory.h"
#include "restore/watched_file_systems.h"

namespace waypost {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr std::size_t kTensors = 6;
constexpr std::uint64_t kBytes = 5 * kMiB + 100;  // two windows

// Tensors of one size, alternately in two files and in neither's order.
class SequentialRestore : public ::testing::Test {
 protected:
  SequentialRestore() : maker_(2) {
    for (std::size_t i = 0; i < kTensors; ++i) {
      state_.Add(fmt::format("t{}", i), DType::kUInt8, {std::int64_t{kBytes}}, random_);
      maker_.Add(state_.tensors()[i].name, DType::kUInt8, {std::int64_t{kBytes}}, state_.Content(i),
                 PlaceOf(i));
    }
  }
  // The later tensors of a file lie before the earlier ones.
  static BundleMaker::Place PlaceOf(std::size_t i) {
    return {static_cast<int>(i % 2), (kTensors - i) / 2 * 10 * kMiB, true};
  }
  static std::size_t TensorAt(const CacheFileSystem::Read& read) {
    for (std::size_t i = 0; i < kTensors; ++i) {
      const BundleMaker::Place place = PlaceOf(i);
      if (read.path == fmt::format("/m.data-0000{}-of-00002", place.shard) &&
          read.offset >= place.offset && read.offset < place.offset + AlignUp(kBytes, kPageBytes)) {
        return i;
      }
    }
    ADD_FAILURE() << read.path << " at " << read.offset;
    return 0;
  }
  void Restore(FileSystem& fs, BufferPool& pool, std::span<const NamedTensor> targets,
               TensorRestorer::Order order) {
    const BundleReader reader(fs, kPrefix);
    TensorRestorer(reader, devices_, targets, nullptr, "restore /m")
        .Restore({.fs = fs, .pool = pool, .threads_max = 2}, order);
  }

  std::mt19937_64 random_{TestSeed()};
  DeviceRegistry devices_ = HostAnd();
  TensorSet state_;
  BundleMaker maker_;
};

TEST_F(SequentialRestore, ReadsATensorOnlyWhenTheOneBeforeItIsAssigned) {
  SimFileSystem sim(maker_.Disk(kPrefix), random_());
  CacheFileSystem fs(sim);
  BufferPool pool(16);
  const TensorSet restored = state_.Blank();
  std::size_t windows_used = 0;
  fs.on_read = [&](const CacheFileSystem::Read& read) {
    const std::size_t tensor = TensorAt(read);
    for (std::size_t i = 0; i < tensor; ++i) {
      EXPECT_TRUE(restored.Content(i) == state_.Content(i)) << tensor << " is read before " << i;
    }
    windows_used = std::max(windows_used, pool.window_count() - pool.available());
  };
  Restore(fs, pool, restored.tensors(), TensorRestorer::Order::kSequential);
  EXPECT_THAT(state_.Differences(restored), IsEmpty());
  std::vector<std::size_t> order;
  for (const CacheFileSystem::Read& read : fs.reads()) {
    const std::size_t tensor = TensorAt(read);
    if (order.empty() || order.back() != tensor) order.push_back(tensor);
  }
  EXPECT_THAT(order, ElementsAre(0, 1, 2, 3, 4, 5));
  EXPECT_EQ(windows_used, 2U) << "that is " << 2 * kWindowBytes << " bytes";
  EXPECT_EQ(fs.in_flight_max(), 2U);
}

TEST_F(SequentialRestore, UsesMoreWindowsWhenInParallel) {
  SimFileSystem sim(maker_.Disk(kPrefix), random_());
  CacheFileSystem fs(sim);
  BufferPool pool(16);
  const TensorSet restored = state_.Blank();
  Restore(fs, pool, restored.tensors(), TensorRestorer::Order::kParallel);
  EXPECT_THAT(state_.Differences(restored), IsEmpty());
  EXPECT_GT(fs.in_flight_max(), 2U) << "or the test above says nothing";
}

TEST_F(SequentialRestore, GoesItsWayOnEachDevice) {
  auto device = std::make_unique<SeparateMemory>(3 * kBytes);
  SeparateMemory& memory = *device;
  devices_ = HostAnd(std::move(device));
  SimFileSystem sim(maker_.Disk(kPrefix), random_());
  CacheFileSystem fs(sim);
  BufferPool pool(16);
  const TensorSet restored = state_.Blank();
  // 0, 1, 4 on the host, 2, 3, 5 on the device.
  std::vector<NamedTensor> targets = restored.tensors();
  std::size_t place = 0;
  const std::vector<std::size_t> on_device = {2, 3, 5};
  for (const std::size_t i : on_device) {
    targets[i].tensor =
        TensorView(memory.data() + kBytes * place++, DType::kUInt8, {std::int64_t{kBytes}});
  }
  const auto is_on_device = [&](std::size_t i) {
    return std::ranges::find(on_device, i) != on_device.end();
  };
  const auto is_assigned = [&](std::size_t i) {
    return is_on_device(i) ? memory.Content(targets[i].tensor.data(), kBytes) == state_.Content(i)
                           : restored.Content(i) == state_.Content(i);
  };
  std::atomic<std::size_t> windows_used = 0;
  fs.on_read = [&](const CacheFileSystem::Read& read) {
    const std::size_t tensor = TensorAt(read);
    for (std::size_t i = 0; i < tensor; ++i) {
      EXPECT_TRUE(is_on_device(i) != is_on_device(tensor) || is_assigned(i));
    }
    const std::size_t used = pool.window_count() - pool.available();
    for (std::size_t old = windows_used; old < used;) windows_used.compare_exchange_weak(old, used);
  };
  Restore(fs, pool, targets, TensorRestorer::Order::kSequential);
  for (std::size_t i = 0; i < kTensors; ++i) EXPECT_TRUE(is_assigned(i)) << i;
  EXPECT_LE(windows_used, 4U) << "two a device";
}

TEST_F(SequentialRestore, LeavesWhatComesAfterDamageUntouched) {
  maker_.data(1)[PlaceOf(3).offset + 77] ^= 1;
  SimFileSystem fs(maker_.Disk(kPrefix), random_());
  BufferPool pool(2);
  const TensorSet restored = state_.Blank();
  try {
    Restore(fs, pool, restored.tensors(), TensorRestorer::Order::kSequential);
    FAIL() << "it was taken for whole";
  } catch (const RestoreError& error) {
    EXPECT_THAT(error.assigned(), ElementsAre("t0", "t1", "t2"));
    EXPECT_THAT(error.undefined(), ElementsAre("t3"));
  }
}

}  // namespace
}  // namespace waypost
