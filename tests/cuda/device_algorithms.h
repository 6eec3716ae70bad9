// DeviceAlgorithms: the functions of cuda/kernels.h, run to their end, on the host or on a GPU.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "cuda/kernels.h"

namespace waypost {

class DeviceAlgorithms {
 public:
  virtual ~DeviceAlgorithms() = default;

  // Memory that both sides read and write, until this object is destroyed; it ends where it ends,
  // so that a sanitizer sees an access beyond.
  virtual std::span<std::byte> Allocate(std::size_t size) = 0;

  virtual void SumParts(std::span<const DevicePart> parts, std::uint64_t size_total,
                        std::span<std::uint32_t> sums) = 0;
  virtual void SumChunks(std::span<const DevicePart> tensors, std::uint64_t size_total,
                         std::span<std::uint32_t> sums) = 0;
  virtual void CompareSums(std::span<const std::uint32_t> expected,
                           std::span<const std::uint32_t> actual, SumsDifference* result) = 0;
  virtual void Pack(std::span<const PackPiece> pieces, std::span<std::byte> window) = 0;
  virtual void Scatter(std::span<const ScatterPiece> pieces, std::span<const std::byte> window) = 0;
  virtual void CountHistogram(DType dtype, const void* data, std::uint64_t element_count,
                              std::span<const double> limits, HistogramTotals* result) = 0;

  // The same memory, as `count` T.
  template <typename T>
  std::span<T> AllocateArray(std::size_t count) {
    return {reinterpret_cast<T*>(Allocate(count * sizeof(T)).data()), count};
  }
};

// The ones that this program tests; null, and why, where there are none.
std::unique_ptr<DeviceAlgorithms> MakeDeviceAlgorithms(std::string& why_not);

}  // namespace waypost
