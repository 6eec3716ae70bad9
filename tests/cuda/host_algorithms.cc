// The algorithms on the host.
#include <memory>
#include <vector>

#include "cuda/algorithms/compare.h"
#include "cuda/algorithms/histogram.h"
#include "cuda/algorithms/pack.h"
#include "cuda/algorithms/sum_parts.h"
#include "cuda/device_algorithms.h"
#include "cuda/host_executor.h"

namespace waypost {
namespace {

class HostAlgorithms : public DeviceAlgorithms {
 public:
  std::span<std::byte> Allocate(std::size_t size) override {
    memory_.push_back(std::make_unique<std::byte[]>(size));
    return {memory_.back().get(), size};
  }

  void SumParts(std::span<const DevicePart> parts, std::uint64_t size_total,
                std::span<std::uint32_t> sums) override {
    Run(device_algorithm::NumberingScratchBytes(parts.size()), [&](HostExecutor& executor) {
      device_algorithm::SumParts(executor, parts, size_total, sums);
    });
  }
  void SumChunks(std::span<const DevicePart> tensors, std::uint64_t size_total,
                 std::span<std::uint32_t> sums) override {
    Run(device_algorithm::SumChunksScratchBytes(tensors.size(), sums.size()),
        [&](HostExecutor& executor) {
          device_algorithm::SumChunks(executor, tensors, size_total, sums);
        });
  }
  void CompareSums(std::span<const std::uint32_t> expected, std::span<const std::uint32_t> actual,
                   SumsDifference* result) override {
    Run(0, [&](HostExecutor& executor) {
      device_algorithm::CompareSums(executor, expected, actual, result);
    });
  }
  void Pack(std::span<const PackPiece> pieces, std::span<std::byte> window) override {
    Run(0, [&](HostExecutor& executor) { device_algorithm::Pack(executor, pieces, window); });
  }
  void Scatter(std::span<const ScatterPiece> pieces, std::span<const std::byte> window) override {
    Run(0, [&](HostExecutor& executor) { device_algorithm::Scatter(executor, pieces, window); });
  }
  void CountHistogram(DType dtype, const void* data, std::uint64_t element_count,
                      std::span<const double> limits, HistogramTotals* result) override {
    Run(device_algorithm::CountHistogramScratchBytes(element_count), [&](HostExecutor& executor) {
      device_algorithm::CountHistogram(executor, dtype, data, element_count, limits, result);
    });
  }

 private:
  template <typename F>
  void Run(std::size_t scratch_bytes, F&& run) {
    const auto scratch = std::make_unique<std::byte[]>(scratch_bytes);
    HostExecutor executor({scratch.get(), scratch_bytes}, kTeamsMax);
    run(executor);
  }

  static constexpr std::uint64_t kTeamsMax = 5;

  std::vector<std::unique_ptr<std::byte[]>> memory_;
};

}  // namespace

std::unique_ptr<DeviceAlgorithms> MakeDeviceAlgorithms(std::string& /*why_not*/) {
  return std::make_unique<HostAlgorithms>();
}

}  // namespace waypost
