// The kernels' functions neither wait nor allocate: while a stream is captured into a graph, CUDA
// refuses both.  What was captured works, too.
#include <cuda_runtime_api.h>

#include <array>

#include "base/crc32c.h"
#include "cuda/cuda_check.h"
#include "cuda/device_algorithms_test.h"
#include "summary/histogram.h"

namespace waypost {
namespace {

class StreamCapture : public DeviceAlgorithmsTest {
 protected:
  void SetUp() override {
    DeviceAlgorithmsTest::SetUp();
    if (device_ == nullptr) return;
    CheckCuda(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking), "make a stream");
  }
  void TearDown() override {
    if (stream_ != nullptr) CheckCuda(cudaStreamDestroy(stream_), "destroy a stream");
  }

  cudaStream_t stream_ = nullptr;
};

TEST_F(StreamCapture, TakesEveryAlgorithm) {
  constexpr std::size_t kSize = 100'000;
  const std::span<std::byte> data = RandomBytes(kSize);
  const std::span<std::byte> window = device_->Allocate(kSize);
  const auto parts = Upload<DevicePart>({{.data = data.data(), .size = kSize}});
  const auto pack = Upload<PackPiece>({{.source = data.data(), .size = kSize, .offset = 0}});
  const auto scatter = Upload<ScatterPiece>({{.target = data.data(), .size = kSize, .offset = 0}});
  const auto sums = device_->AllocateArray<std::uint32_t>(1);
  const auto chunk_sums = device_->AllocateArray<std::uint32_t>(1);
  const auto difference = device_->AllocateArray<SumsDifference>(1);
  const auto limits = Upload(std::vector(HistogramLimits().begin(), HistogramLimits().end()));
  const auto totals = device_->AllocateArray<HistogramTotals>(1);
  const auto scratch = device_->Allocate(SumPartsScratchBytes(1) + SumChunksScratchBytes(1, 1) +
                                         CountHistogramScratchBytes(kSize));
  const auto run_all = [&] {
    SumParts(stream_, parts, kSize, sums, scratch);
    SumChunks(stream_, parts, kSize, chunk_sums, scratch);
    CompareSums(stream_, sums, chunk_sums, difference.data());
    CountHistogram(stream_, DType::kInt8, data.data(), kSize, limits, totals.data(), scratch);
    Pack(stream_, pack, window);
    Scatter(stream_, scatter, window);
  };
  // The first call may load the kernels, which is once for a process.
  run_all();
  CheckCuda(cudaStreamSynchronize(stream_), "wait");
  sums[0] = chunk_sums[0] = 0;

  cudaGraph_t graph = nullptr;
  cudaGraphExec_t executable = nullptr;
  CheckCuda(cudaStreamBeginCapture(stream_, cudaStreamCaptureModeGlobal), "begin a capture");
  run_all();
  CheckCuda(cudaStreamEndCapture(stream_, &graph), "end a capture");
  CheckCuda(cudaGraphInstantiate(&executable, graph, 0), "instantiate a graph");
  CheckCuda(cudaGraphLaunch(executable, stream_), "launch a graph");
  CheckCuda(cudaStreamSynchronize(stream_), "wait");
  CheckCuda(cudaGraphExecDestroy(executable), "destroy a graph");
  CheckCuda(cudaGraphDestroy(graph), "destroy a graph");

  EXPECT_EQ(sums[0], Crc32c(data));
  EXPECT_EQ(chunk_sums[0], Crc32c(data));
  EXPECT_EQ(difference[0].count, 0U);
  EXPECT_TRUE(std::equal(window.begin(), window.end(), data.begin()));
}

}  // namespace
}  // namespace waypost
