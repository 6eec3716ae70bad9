// What CudaDevice does beside the contract of every device: it makes no context that nobody needs
// and leaves the caller's thread alone, falls back when memory is short, tells a lost device and
// any failing call, and gives everything back.  Run over the fake runtime.
#include "cuda/cuda_device.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <future>
#include <numeric>
#include <random>
#include <thread>

#include "base/crc32c.h"
#include "base/units.h"
#include "cuda/fake_cuda.h"
#include "device/stream_marks.h"
#include "support/expect_error.h"
#include "support/seed.h"

namespace waypost {
namespace {

using ::testing::HasSubstr;

class CudaDeviceTest : public ::testing::Test {
 protected:
  CudaDeviceTest() {
    cuda_.Reset();
    MakeDevices();
  }
  ~CudaDeviceTest() override {
    for (auto& device : devices_) device.reset();
    for (const std::byte* const memory : memory_) cuda_.Free(memory);
    for (const cudaStream_t stream : streams_) cuda_.DestroyStream(stream);
  }

  void MakeDevices() {
    const auto platform = std::make_shared<CudaPlatform>();
    devices_.clear();
    for (int ordinal = 0; ordinal < FakeCuda::kDeviceCount; ++ordinal) {
      devices_.push_back(std::make_unique<CudaDevice>(platform, ordinal));
    }
  }
  std::vector<std::byte> RandomBytes(std::size_t size) {
    std::vector<std::byte> bytes(size);
    for (std::byte& byte : bytes) byte = static_cast<std::byte>(random_());
    return bytes;
  }
  std::byte* Holding(int ordinal, std::span<const std::byte> content) {
    std::byte* const memory = memory_.emplace_back(cuda_.Allocate(ordinal, content.size()));
    cuda_.Write(memory, content);
    return memory;
  }
  cudaStream_t Stream(int ordinal) { return streams_.emplace_back(cuda_.MakeStream(ordinal)); }
  // Pieces of 100 bytes of `memory`, to every 128th byte of `window`.
  static std::vector<Device::Copy> SmallPieces(std::byte* window, const std::byte* memory,
                                               std::size_t count) {
    std::vector<Device::Copy> copies;
    for (std::size_t i = 0; i < count; ++i) {
      copies.push_back({window + 128 * i, memory + 100 * i, 100});
    }
    return copies;
  }

  static ConstTensorView Bytes(const std::byte* memory, std::size_t count) {
    return {memory, DType::kUInt8, {static_cast<std::int64_t>(count)}};
  }

  FakeCuda& cuda_ = FakeCuda::Instance();
  std::mt19937_64 random_{TestSeed()};
  std::vector<std::byte*> memory_;
  std::vector<cudaStream_t> streams_;
  std::vector<std::unique_ptr<Device>> devices_;
};

// ---- Contexts ----

TEST_F(CudaDeviceTest, OwnsWhatTheDriverSaysAndMakesNoContextForThat) {
  const std::byte on_host{0};
  std::byte* const first = Holding(0, RandomBytes(10));
  std::byte* const second = Holding(1, RandomBytes(10));
  EXPECT_TRUE(devices_[0]->Owns(first + 9));
  EXPECT_FALSE(devices_[1]->Owns(first));
  EXPECT_TRUE(devices_[1]->Owns(second));
  EXPECT_FALSE(devices_[0]->Owns(&on_host));
  EXPECT_FALSE(devices_[0]->Owns(nullptr));
  EXPECT_FALSE(cuda_.HasContext(0));
  EXPECT_FALSE(cuda_.HasContext(1));
}

TEST_F(CudaDeviceTest, OwnsNothingBeforeTheProcessHasLoadedTheDriver) {
  std::byte* const memory = Holding(0, RandomBytes(10));
  cuda_.SetDriverLoaded(false);
  EXPECT_FALSE(devices_[0]->Owns(memory));
  EXPECT_EQ(CodeOf([&] { devices_[0]->MarkStream(nullptr); }), Code::kUnavailable);
  cuda_.SetDriverLoaded(true);
  EXPECT_TRUE(devices_[0]->Owns(memory));
}

// Else its memory would be read as the host's.
TEST_F(CudaDeviceTest, OwnsItsMemoryAlsoWhenTheDriverIsTooOldAndSaysSo) {
  std::byte* const memory = Holding(1, RandomBytes(10));
  cuda_.SetDriverTooOld();
  EXPECT_TRUE(devices_[1]->Owns(memory));
  const auto use = [&] { devices_[1]->MarkStream(nullptr); };
  EXPECT_EQ(CodeOf(use), Code::kUnavailable);
  EXPECT_THAT(MessageOf(use), HasSubstr("CUDA driver"));
  EXPECT_FALSE(cuda_.HasContext(1));
}

TEST_F(CudaDeviceTest, MakesTheContextOfTheDeviceThatIsUsedAndOfNoOther) {
  const std::vector<std::byte> content = RandomBytes(1000);
  std::byte* const memory = Holding(1, content);
  std::vector<std::byte> target(1000);
  // A thread of its own, which has no context and gets none.
  std::thread([&] {
    const std::vector<Device*> used = {devices_[1].get()};
    const StreamMarks marks(used, nullptr);
    devices_[1]->Wait(devices_[1]->StartCopyToHost(target, memory, marks.Of(*used[0])));
    devices_[1]->FreeMemory(devices_[1]->AllocateMemory(100));
  }).join();
  EXPECT_TRUE(target == content);
  EXPECT_TRUE(cuda_.HasContext(1));
  EXPECT_FALSE(cuda_.HasContext(0));
  devices_[1].reset();
  EXPECT_FALSE(cuda_.HasContext(1)) << "given back";
}

// ---- The caller's stream ----

TEST_F(CudaDeviceTest, WaitsForAStreamOfAnotherDevice) {
  const std::vector<std::byte> content = RandomBytes(1000);
  std::byte* const memory = Holding(1, RandomBytes(1000));
  const cudaStream_t stream = Stream(0);
  std::promise<void> gate;
  cuda_.RunOnStream(stream, [&, written = gate.get_future().share()] {
    written.wait();
    cuda_.Write(memory, content);
  });
  const Device::Mark mark = devices_[1]->MarkStream(stream);
  std::vector<std::byte> target(1000);
  const Device::Ticket ticket = devices_[1]->StartCopyToHost(target, memory, mark);
  devices_[1]->ReleaseMark(mark);
  gate.set_value();
  devices_[1]->Wait(ticket);
  EXPECT_TRUE(target == content);
}

TEST_F(CudaDeviceTest, RefusesAStreamThatIsBeingCaptured) {
  const cudaStream_t stream = Stream(0);
  cuda_.SetCapturing(stream, true);
  const auto mark = [&] { devices_[0]->MarkStream(stream); };
  EXPECT_EQ(CodeOf(mark), Code::kFailedPrecondition);
  EXPECT_THAT(MessageOf(mark), HasSubstr("cuda:0: the caller's stream is being captured"));
  cuda_.SetCapturing(stream, false);
  devices_[0]->ReleaseMark(devices_[0]->MarkStream(stream));
}

TEST_F(CudaDeviceTest, RefusesWhatIsNoStream) {
  int no_stream = 0;
  const auto mark = [&] { devices_[0]->MarkStream(&no_stream); };
  EXPECT_EQ(CodeOf(mark), Code::kInvalidArgument);
  EXPECT_EQ(MessageOf(mark), "cuda:0: the caller's stream is not a CUDA stream");
}

// ---- The caller's thread ----

TEST_F(CudaDeviceTest, TakesNoEarlierErrorOfTheThreadForItsOwn) {
  const std::vector<std::byte> content = RandomBytes(100 * 100);
  std::byte* const memory = Holding(0, content);
  std::vector<std::byte> window(128 * 100);
  // As cudaStreamQuery leaves it behind: until somebody asks for it.
  cuda_.FailCall("cudaMalloc", 0, cudaErrorNotReady);
  void* nothing = nullptr;
  ASSERT_EQ(cudaMalloc(&nothing, 1), cudaErrorNotReady);
  cuda_.ForgiveCalls();
  devices_[0]->Wait(devices_[0]->StartCopiesToHost(SmallPieces(window.data(), memory, 100), 0));
  EXPECT_EQ(cuda_.CallCount("Pack"), 1U);
  EXPECT_TRUE(std::equal(window.begin(), window.begin() + 100, content.begin()));
}

// ---- Small copies together ----

TEST_F(CudaDeviceTest, GathersSmallCopiesWithOneLaunch) {
  const std::vector<std::byte> content = RandomBytes(100 * 1000);
  std::byte* const memory = Holding(0, content);
  std::vector<std::byte> window(128 * 1000);
  devices_[0]->Wait(devices_[0]->StartCopiesToHost(SmallPieces(window.data(), memory, 1000), 0));
  EXPECT_EQ(cuda_.CallCount("Pack"), 1U);
  EXPECT_EQ(cuda_.CallCount("cudaMemcpyAsync"), 2U) << "the list, and the window";
  for (std::size_t i = 0; i < 1000; ++i) {
    EXPECT_TRUE(std::equal(&window[128 * i], &window[128 * i + 100], &content[100 * i]));
  }
}

// Windows with larger pieces between small ones, as layers have them.
TEST_F(CudaDeviceTest, ListsOfManyBatchesShareTheirMemory) {
  constexpr std::size_t kBatches = 20;
  constexpr std::size_t kBatchBytes = 128 * kKiB;
  const std::vector<std::byte> content = RandomBytes(kBatches * kBatchBytes);
  std::byte* const memory = Holding(0, content);
  std::vector<std::byte> window(content.size());
  std::vector<Device::Copy> copies;
  for (std::size_t batch = 0; batch < kBatches; ++batch) {
    const std::size_t begin = batch * kBatchBytes;
    for (std::size_t i = 0; i < 10; ++i) {
      copies.push_back({&window[begin + 128 * i], memory + begin + 128 * i, 128});
    }
    copies.push_back({&window[begin + 1280], memory + begin + 1280, kBatchBytes - 1280});
  }
  devices_[0]->Wait(devices_[0]->StartCopiesToHost(copies, 0));
  EXPECT_EQ(cuda_.CallCount("Pack"), kBatches);
  EXPECT_EQ(cuda_.CallCount("cudaHostAlloc"), 1U);
  EXPECT_TRUE(window == content);
}

TEST_F(CudaDeviceTest, ScattersSmallCopiesOnlyFromPageLockedMemory) {
  const std::vector<std::byte> content = RandomBytes(kWindowBytes);
  std::vector<std::byte> window = content;
  std::byte* const memory = Holding(0, RandomBytes(100 * 1000));
  const auto copy_in = [&] {
    std::vector<Device::Copy> copies = SmallPieces(window.data(), memory, 1000);
    for (Device::Copy& copy : copies) {
      copy = {const_cast<std::byte*>(copy.source), copy.target, copy.size};
    }
    devices_[0]->Wait(devices_[0]->StartCopiesFromHost(copies, 0));
    const std::vector<std::byte> copied = cuda_.Read(memory, 100 * 1000);
    for (std::size_t i = 0; i < 1000; ++i) {
      EXPECT_TRUE(std::equal(&content[128 * i], &content[128 * i + 100], &copied[100 * i]));
    }
  };
  copy_in();
  EXPECT_EQ(cuda_.CallCount("Scatter"), 0U) << "what is between the sources may be no memory";
  cuda_.Write(memory, RandomBytes(100 * 1000));
  devices_[0]->RegisterHostMemory(window);
  copy_in();
  EXPECT_EQ(cuda_.CallCount("Scatter"), 1U);
  devices_[0]->UnregisterHostMemory(window);
}

TEST_F(CudaDeviceTest, CopiesOneByOneWhenTheDevicesMemoryIsShort) {
  const std::vector<std::byte> content = RandomBytes(100 * 100);
  std::byte* const memory = Holding(0, content);
  std::vector<std::byte> window(128 * 100);
  cuda_.FailCall("cudaMalloc", 0, cudaErrorMemoryAllocation);
  devices_[0]->Wait(devices_[0]->StartCopiesToHost(SmallPieces(window.data(), memory, 100), 0));
  EXPECT_EQ(cuda_.CallCount("Pack"), 0U);
  for (std::size_t i = 0; i < 100; ++i) {
    EXPECT_TRUE(std::equal(&window[128 * i], &window[128 * i + 100], &content[100 * i]));
  }
}

TEST_F(CudaDeviceTest, HasNoMemoryToGiveWhereThereAreNoPools) {
  for (const cudaError_t error : {cudaErrorNotSupported, cudaErrorMemoryAllocation}) {
    cuda_.FailCall("cudaMemPoolCreate", 0, error);
    EXPECT_EQ(devices_[0]->AllocateMemory(100), nullptr);
  }
  cuda_.FailCall("cudaMemPoolCreate", 0, cudaErrorOperatingSystem);
  EXPECT_EQ(CodeOf([&] { devices_[0]->AllocateMemory(100); }), Code::kInternal);
  std::byte* const memory = devices_[0]->AllocateMemory(100);
  ASSERT_NE(memory, nullptr);
  devices_[0]->FreeMemory(memory);
}

TEST_F(CudaDeviceTest, DoesNotSumWhenMemoryIsShortOrPartsAreTooMany) {
  std::byte* const memory = Holding(0, RandomBytes(100));
  std::size_t differing = 0;
  std::vector<Device::SummedPart> parts = {{memory, 100, 0}};
  cuda_.FailCall("cudaMalloc", 0, cudaErrorMemoryAllocation);
  EXPECT_EQ(devices_[0]->StartComparison(parts, differing), std::nullopt);
  parts.resize(100'000, parts[0]);
  EXPECT_EQ(devices_[0]->StartComparison(parts, differing), std::nullopt);
}

TEST_F(CudaDeviceTest, UploadsTheLimitsOfHistogramsOnce) {
  std::byte* const memory = Holding(0, RandomBytes(100));
  HistogramTotals totals;
  devices_[0]->Wait(*devices_[0]->StartHistogram(Bytes(memory, 100), totals, 0));
  EXPECT_EQ(cuda_.CallCount("cudaMemcpyAsync"), 2U) << "the limits, and the totals";
  devices_[0]->Wait(*devices_[0]->StartHistogram(Bytes(memory, 50), totals, 0));
  EXPECT_EQ(cuda_.CallCount("cudaMemcpyAsync"), 3U);
  EXPECT_EQ(std::accumulate(totals.counts.begin(), totals.counts.end(), std::uint64_t{0}), 50U);
}

TEST_F(CudaDeviceTest, DoesNotCountWhatIsNotAlignedOrTooLargeOrWhenMemoryIsShort) {
  std::byte* const memory = Holding(0, RandomBytes(kWindowBytes));
  HistogramTotals totals;
  const auto start = [&](const ConstTensorView& tensor) {
    return devices_[0]->StartHistogram(tensor, totals, 0);
  };
  EXPECT_EQ(start(ConstTensorView(memory + 2, DType::kFloat32, {10})), std::nullopt);
  EXPECT_EQ(start(Bytes(memory, kWindowBytes)), std::nullopt) << "more scratch than a window";
  cuda_.FailCall("cudaMalloc", 0, cudaErrorMemoryAllocation);
  EXPECT_EQ(start(Bytes(memory, 100)), std::nullopt);
  devices_[0]->Wait(*start(Bytes(memory, 100)));
}

TEST_F(CudaDeviceTest, AllocatesNothingAfterTheFirstSave) {
  const std::vector<std::byte> content = RandomBytes(100 * 1000);
  std::byte* const memory = Holding(0, content);
  const cudaStream_t stream = Stream(0);
  std::vector<std::byte> window(128 * 1000);
  const auto save = [&] {
    const Device::Mark mark = devices_[0]->MarkStream(stream);
    devices_[0]->Wait(
        devices_[0]->StartCopiesToHost(SmallPieces(window.data(), memory, 1000), mark));
    std::size_t differing = 0;
    const Device::SummedPart part = {memory, content.size(), Crc32c(content)};
    devices_[0]->Wait(*devices_[0]->StartComparison({&part, 1}, differing));
    EXPECT_EQ(differing, 1U);
    HistogramTotals totals;
    devices_[0]->Wait(*devices_[0]->StartHistogram(Bytes(memory, 100), totals, mark));
    devices_[0]->ReleaseMark(mark);
  };
  const auto allocations = [&] {
    return cuda_.CallCount("cudaMalloc") + cuda_.CallCount("cudaHostAlloc") +
           cuda_.CallCount("cudaEventCreateWithFlags") +
           cuda_.CallCount("cudaStreamCreateWithPriority");
  };
  save();
  const std::uint64_t after_first = allocations();
  EXPECT_GT(after_first, 0U);
  for (int i = 0; i < 3; ++i) save();
  EXPECT_EQ(allocations(), after_first);
}

// ---- Page-locking ----

TEST_F(CudaDeviceTest, LocksTheHostsMemoryOnceWhenADeviceIsFirstUsed) {
  std::vector<std::byte> ring(1000);
  for (const auto& device : devices_) device->RegisterHostMemory(ring);
  EXPECT_EQ(cuda_.locked_bytes(), 0U) << "nobody has used a device yet";
  devices_[1]->ReleaseMark(devices_[1]->MarkStream(nullptr));
  devices_[0]->ReleaseMark(devices_[0]->MarkStream(nullptr));
  EXPECT_EQ(cuda_.locked_bytes(), 1000U);
  EXPECT_EQ(cuda_.CallCount("cudaHostRegister"), 1U);
  std::vector<std::byte> later(500);
  for (const auto& device : devices_) device->RegisterHostMemory(later);
  EXPECT_EQ(cuda_.locked_bytes(), 1500U);
  devices_[0]->UnregisterHostMemory(ring);
  EXPECT_EQ(cuda_.locked_bytes(), 1500U) << "the other device still uses it";
  devices_[1]->UnregisterHostMemory(ring);
  for (const auto& device : devices_) device->UnregisterHostMemory(later);
  EXPECT_EQ(cuda_.locked_bytes(), 0U);
}

TEST_F(CudaDeviceTest, CopiesAlsoWhenMemoryCannotBeLocked) {
  std::vector<std::byte> window(1000);
  devices_[0]->RegisterHostMemory(window);
  cuda_.FailCall("cudaHostRegister", 0, cudaErrorMemoryAllocation);
  const std::vector<std::byte> content = RandomBytes(1000);
  std::byte* const memory = Holding(0, content);
  devices_[0]->Wait(devices_[0]->StartCopyToHost(window, memory, 0));
  EXPECT_TRUE(window == content);
  devices_[0]->UnregisterHostMemory(window);
}

TEST_F(CudaDeviceTest, LocksNothingWithAContextThatCouldNotBeUsed) {
  std::vector<std::byte> ring(1000);
  devices_[0]->RegisterHostMemory(ring);
  const auto use = [&] { devices_[0]->ReleaseMark(devices_[0]->MarkStream(nullptr)); };
  cuda_.FailCall("cudaStreamCreateWithPriority", 1, cudaErrorOperatingSystem);
  EXPECT_EQ(CodeOf(use), Code::kInternal);
  EXPECT_FALSE(cuda_.HasContext(0));
  EXPECT_EQ(cuda_.locked_bytes(), 0U);
  use();
  EXPECT_EQ(cuda_.locked_bytes(), 1000U);
  devices_[0]->UnregisterHostMemory(ring);
  EXPECT_EQ(cuda_.locked_bytes(), 0U);
}

TEST_F(CudaDeviceTest, ForgetsMemoryThatADeviceRefused) {
  devices_[0]->ReleaseMark(devices_[0]->MarkStream(nullptr));
  std::vector<std::byte> ring(1000);
  cuda_.FailCall("cuCtxPushCurrent", 0, cudaErrorContextIsDestroyed);
  EXPECT_EQ(CodeOf([&] { devices_[0]->RegisterHostMemory(ring); }), Code::kUnavailable);
  devices_[1]->RegisterHostMemory(ring);
  EXPECT_EQ(cuda_.locked_bytes(), 1000U);
  devices_[1]->UnregisterHostMemory(ring);
  EXPECT_EQ(cuda_.locked_bytes(), 0U);
}

// ---- Failures ----

TEST_F(CudaDeviceTest, TellsEveryWaiterThatTheDeviceIsLostAndHangsNowhere) {
  std::byte* const memory = Holding(0, RandomBytes(1000));
  const cudaStream_t stream = Stream(0);
  std::promise<void> gate;
  cuda_.RunOnStream(stream, [opened = gate.get_future().share()] { opened.wait(); });
  const Device::Mark mark = devices_[0]->MarkStream(stream);
  std::vector<std::vector<std::byte>> targets(6, std::vector<std::byte>(1000));
  std::vector<Device::Ticket> tickets;
  for (std::vector<std::byte>& target : targets) {
    tickets.push_back(devices_[0]->StartCopyToHost(target, memory, mark));
  }
  cuda_.LoseAfter(0, 3);
  gate.set_value();
  {
    std::vector<std::jthread> threads;
    for (const Device::Ticket ticket : tickets) {
      threads.emplace_back([&, ticket] {
        // CUDA says so of the first ones as well, unless they are waited for in time.
        const std::optional<Code> code = CodeOf([&] { devices_[0]->Wait(ticket); });
        if (ticket > tickets[2] || code) {
          EXPECT_EQ(code, Code::kUnavailable);
        }
      });
    }
  }
  const auto start = [&] { devices_[0]->StartCopyToHost(targets[0], memory, 0); };
  EXPECT_EQ(CodeOf(start), Code::kUnavailable);
  EXPECT_THAT(MessageOf(start), HasSubstr("cuda:0: "));
  EXPECT_THAT(MessageOf(start), HasSubstr("cudaErrorIllegalAddress"));
  EXPECT_EQ(CodeOf([&] { devices_[0]->MarkStream(stream); }), Code::kUnavailable);
  devices_[0]->ReleaseMark(mark);
  std::byte* const other = Holding(1, RandomBytes(1000));
  devices_[1]->Wait(devices_[1]->StartCopyToHost(targets[0], other, 0));
}

// Who is told of an error uses the memory again.
TEST_F(CudaDeviceTest, LeavesNothingUnderWayWhenAWaitFails) {
  const std::vector<std::byte> content = RandomBytes(1000);
  std::byte* const memory = Holding(0, content);
  const cudaStream_t stream = Stream(0);
  std::promise<void> gate;
  cuda_.RunOnStream(stream, [opened = gate.get_future().share()] { opened.wait(); });
  const Device::Mark mark = devices_[0]->MarkStream(stream);
  std::vector<std::byte> target(1000);
  const Device::Ticket ticket = devices_[0]->StartCopyToHost(target, memory, mark);
  cuda_.FailCall("cudaEventSynchronize", 0, cudaErrorOperatingSystem);
  std::jthread opener([&](const std::stop_token& stop) {
    // The second one is that of the stream.
    while (!stop.stop_requested() && cuda_.CallCount("cudaEventSynchronize") < 2) {
      std::this_thread::yield();
    }
    gate.set_value();
  });
  EXPECT_EQ(CodeOf([&] { devices_[0]->Wait(ticket); }), Code::kInternal);
  EXPECT_EQ(cuda_.CallCount("cudaEventSynchronize"), 2U);
  EXPECT_TRUE(target == content);
  devices_[0]->ReleaseMark(mark);
}

TEST_F(CudaDeviceTest, RefusesASecondWait) {
  std::byte* const memory = Holding(0, RandomBytes(1000));
  std::vector<std::byte> target(1000);
  const Device::Ticket ticket = devices_[0]->StartCopyToHost(target, memory, 0);
  devices_[0]->Wait(ticket);
  EXPECT_EQ(CodeOf([&] { devices_[0]->Wait(ticket); }), Code::kInternal);
}

// Whatever call fails, and whenever, is an error of the copy, after which nothing is under way and
// the next one is done.
TEST_F(CudaDeviceTest, TellsAnyCallThatFailsAndGoesOnAfterwards) {
  const std::vector<std::byte> content = RandomBytes(100 * 100);
  std::byte* const memory = Holding(0, content);
  const cudaStream_t stream = Stream(0);
  for (const std::string name :
       {"cudaEventCreateWithFlags", "cudaEventRecord", "cudaEventSynchronize", "cudaMemcpyAsync",
        "cudaStreamWaitEvent", "cudaStreamCreateWithPriority", "cudaStreamIsCapturing",
        "cudaHostAlloc", "Pack", "SumParts", "CompareSums", "CountHistogram"}) {
    SCOPED_TRACE(name);
    bool has_failed = true;
    for (std::uint64_t number = 0; has_failed; ++number) {
      SCOPED_TRACE(number);
      MakeDevices();
      std::vector<std::byte> window(128 * 100);
      const auto save = [&] {
        const std::vector<Device*> used = {devices_[0].get()};
        const StreamMarks marks(used, stream);
        devices_[0]->Wait(devices_[0]->StartCopiesToHost(SmallPieces(window.data(), memory, 100),
                                                         marks.Of(*used[0])));
        std::size_t differing = 0;
        const Device::SummedPart part = {memory, content.size(), Crc32c(content)};
        devices_[0]->Wait(*devices_[0]->StartComparison({&part, 1}, differing));
        EXPECT_EQ(differing, 1U);
        HistogramTotals totals;
        devices_[0]->Wait(
            *devices_[0]->StartHistogram(Bytes(memory, 100), totals, marks.Of(*used[0])));
        EXPECT_EQ(totals.first_not_finite, HistogramTotals::kAllFinite);
      };
      cuda_.FailCall(name, number, cudaErrorOperatingSystem);
      const std::optional<Code> code = CodeOf(save);
      has_failed = code.has_value();
      EXPECT_TRUE(!has_failed || code == Code::kInternal);
      cuda_.ForgiveCalls();
      std::ranges::fill(window, std::byte{0});
      EXPECT_EQ(CodeOf(save), std::nullopt);
      EXPECT_TRUE(std::equal(window.begin(), window.begin() + 100, content.begin()));
      EXPECT_TRUE(number > 0 || has_failed) << "the call is used";
    }
  }
}

}  // namespace
}  // namespace waypost
