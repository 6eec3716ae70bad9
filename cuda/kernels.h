// The algorithms that run on a CUDA device, as plain C++ functions: no CUDA or Thrust type.
//
//   SumParts, SumChunks   CRC-32C, equal to Crc32c (base/crc32c.h), of any length at any address
//   CompareSums           which of two lists of sums differ first, and how many
//   Pack, Scatter         many tensors into one window with one launch, and back
//   CountHistogram        HistogramTotals (device/histogram_totals.h)
//
// Every function puts its work on `stream` and returns: it waits for nothing and allocates nothing.
// All memory that is passed, lists and `scratch` included, is memory that the device reads and
// writes (its own, managed, or pinned host memory); the host does not look at it, and it must stay
// as it is until the work has ended.  A `scratch` of at least ...ScratchBytes(...) may be used
// again by what follows on the same stream.
//
// Each algorithm is a template in cuda/algorithms, which the tests also run on the host.
//
// Threads:  any, at once, with different scratch.  The current device must be the stream's.
// Errors:   Error from the launch: kUnavailable without a driver or when the device is lost,
//           kResourceExhausted, kInvalidArgument for what is not as required, else kInternal.
//           What goes wrong while the work runs shows at the stream's next wait, as with CUDA.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "base/units.h"
#include "device/histogram_totals.h"
#include "waypost/tensor.h"

struct CUstream_st;

namespace waypost {

using CudaStream = CUstream_st*;  // cudaStream_t, without CUDA's header

// Borrowed bytes of device memory, at any address; with size 0, `data` is not looked at.
struct DevicePart {
  const std::byte* data = nullptr;
  std::uint64_t size = 0;
};

std::size_t SumPartsScratchBytes(std::size_t part_count) noexcept;
// Sets sums[i] to the CRC-32C of parts[i].  `size_total`, the bytes of all parts together, only
// says how many thread blocks are worth while: the sums are right whatever it is.
// Requires: as many sums as parts.
void SumParts(CudaStream stream, std::span<const DevicePart> parts, std::uint64_t size_total,
              std::span<std::uint32_t> sums, std::span<std::byte> scratch);

// How many sums SumChunks makes for a tensor of this size.
constexpr std::uint64_t SumChunkCount(std::uint64_t tensor_size) noexcept {
  return (tensor_size + kChunkBytes - 1) / kChunkBytes;
}

std::size_t SumChunksScratchBytes(std::size_t tensor_count, std::size_t sum_count) noexcept;
// Sets sums to the CRC-32C of each chunk (kChunkBytes, the last shorter) of the first tensor, then
// of the second, and so on.  An empty tensor has no chunk.  `size_total` as in SumParts.
// Requires: sums.size() is the SumChunkCount of all tensors together.
void SumChunks(CudaStream stream, std::span<const DevicePart> tensors, std::uint64_t size_total,
               std::span<std::uint32_t> sums, std::span<std::byte> scratch);

// What CompareSums finds, in 16 bytes.
struct SumsDifference {
  static constexpr std::uint64_t kNone = ~std::uint64_t{0};
  std::uint64_t first = kNone;  // the lowest index at which the lists differ
  std::uint64_t count = 0;      // at how many they do
};

// Requires: both lists have the same length.
void CompareSums(CudaStream stream, std::span<const std::uint32_t> expected,
                 std::span<const std::uint32_t> actual, SumsDifference* result);

// Bytes of a tensor, at any address, and where in the window they go or come from.
struct PackPiece {
  const std::byte* source = nullptr;
  std::uint64_t size = 0;
  std::uint64_t offset = 0;
};
struct ScatterPiece {
  std::byte* target = nullptr;
  std::uint64_t size = 0;
  std::uint64_t offset = 0;
};

// Sets the whole window: the pieces at their offsets, zero bytes between and after them.
// Requires: the pieces are sorted, each beginning where the one before ends or later; the window's
// address is a multiple of 16 (else kInvalidArgument).  What lies beyond the window is left out.
void Pack(CudaStream stream, std::span<const PackPiece> pieces, std::span<std::byte> window);

// Copies the pieces of the window to their targets.  Requires: as Pack; targets do not overlap.
void Scatter(CudaStream stream, std::span<const ScatterPiece> pieces,
             std::span<const std::byte> window);

std::size_t CountHistogramScratchBytes(std::uint64_t element_count) noexcept;
// Counts the elements of a tensor.  `limits`: HistogramLimits() in device memory.
//
// The sums have an order of their own: 256 running sums of every 16384 values, added in pairs, then
// the same over these, whatever the device is; so they have the same bits in every run and on every
// device.  Where no sum overflows they are within 2^-52 n Σ|v| (Σv²) of the host's, which adds one
// value after the other, and nearer to the true sum.
//
// Requires: IsRealDType(dtype); `data` is aligned for it; kHistogramLimitCount limits.
// Throws kInvalidArgument when one of them is not so.
void CountHistogram(CudaStream stream, DType dtype, const void* data, std::uint64_t element_count,
                    std::span<const double> limits, HistogramTotals* result,
                    std::span<std::byte> scratch);

}  // namespace waypost
