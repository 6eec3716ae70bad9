// A save may be stopped (cancelled, or by another thread's error) between any two steps of its I/O
// threads: a worker that has not begun with its shards yet must leave them, never take their files
// for complete.
#include "save/io_worker.h"

#include <gtest/gtest.h>

#include <chrono>
#include <random>
#include <thread>

#include "io/io_ring.h"
#include "support/seed.h"
#include "support/sim_file_system.h"

namespace waypost {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::uint64_t kDrive = 1;

class IoWorkerTest : public ::testing::Test {
 protected:
  // Runs a worker for a save of two shards while another save has all windows of the ring, and
  // stops it after `delay`.  Returns how many of the files were opened.
  int FilesOpenedWhenStoppedAfter(std::chrono::nanoseconds delay) {
    Signal signal;
    StageQueue queue({{.drive = kDrive, .windows = 1}, {.drive = kDrive, .windows = 1}}, false,
                     signal);
    int opened = 0;
    IoWorker worker({.stager = stager_,
                     .queue = queue,
                     .pool = pool_,
                     .signal = signal,
                     .cap = cap_,
                     .open_file =
                         [&](int shard) {
                           ++opened;
                           return fs_.CreateData("/shard" + std::to_string(shard));
                         },
                     .bytes_written = bytes_written_,
                     .on_task_done = [] {}},
                    kDrive, ring_);
    std::jthread running([&] { worker.Run(); });
    // Every notification makes the worker look once more; it is stopped in the middle of that.
    for (int i = 0; i < 3; ++i) signal.Notify();
    for (const auto end = Clock::now() + delay; Clock::now() < end;) {
    }
    queue.Stop();
    running.join();
    return opened;
  }

  std::vector<std::byte> bytes_ = std::vector<std::byte>(2 * kWindowBytes);
  std::vector<NamedTensor> tensors_ = {
      {.name = "a",
       .tensor = TensorView(bytes_.data(), DType::kUInt8, {kWindowBytes}),
       .device = "/device:CPU:0"},
      {.name = "b",
       .tensor = TensorView(bytes_.data() + kWindowBytes, DType::kUInt8, {kWindowBytes}),
       .device = "/device:CPU:1"}};
  DeviceRegistry devices_ = [] {
    std::vector<std::unique_ptr<Device>> devices;
    devices.push_back(MakeHostDevice());
    return DeviceRegistry(std::move(devices));
  }();
  SaveInput input_{std::make_shared<const TensorList>(tensors_), devices_};
  SavePlan plan_ = PlanSave(input_.Describe(), {.sharded = true});
  Stager stager_{plan_, input_, StreamMarks()};
  SimFileSystem fs_{TestSeed()};
  IoRing ring_{fs_.MakeIoBackend()};
  BufferPool pool_{2};
  RateCap cap_{0};
  std::atomic<std::uint64_t> bytes_written_{0};
};

TEST_F(IoWorkerTest, LeavesFilesWhenStoppedAtAnyMoment) {
  const PinnedBuffer first = pool_.Acquire();
  const PinnedBuffer second = pool_.Acquire();
  std::mt19937_64 random(TestSeed());
  for (int round = 0; round < 3000; ++round) {
    ASSERT_EQ(FilesOpenedWhenStoppedAfter(std::chrono::nanoseconds(random() % 100'000)), 0);
  }
  EXPECT_EQ(bytes_written_, 0U);
}

}  // namespace
}  // namespace waypost
