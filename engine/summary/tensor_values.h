// What a summary shows of a tensor, whichever device has its memory.
#pragma once

#include <array>
#include <cstddef>
#include <vector>

#include "device/device_registry.h"
#include "device/histogram_totals.h"
#include "waypost/tensor.h"

namespace waypost {

// Where tensors may be, and the caller's stream whose work of this moment their values include.
struct TensorMemory {
  const DeviceRegistry& devices;
  void* stream = nullptr;
};

// Counted by the device itself where it can, else copied to the host piece by piece.
// Requires: IsRealDType(tensor.dtype()).  Throws what the device throws.
HistogramTotals CountValues(const ConstTensorView& tensor, const TensorMemory& memory);

// A range of a tensor's bytes in host memory: the tensor's own, or a copy of a device's.
struct ByteRange {
  std::size_t begin = 0;
  std::size_t size = 0;
};
class HostBytes {
 public:
  // Requires: the range is within the tensor, of a fixed-width type, which outlives this where it
  // is the host's.  Throws what the device throws.
  HostBytes(const ConstTensorView& tensor, ByteRange range, const TensorMemory& memory);
  HostBytes(const HostBytes&) = delete;
  HostBytes& operator=(const HostBytes&) = delete;

  const std::byte* data() const noexcept { return data_; }

 private:
  std::vector<std::byte> copy_;
  const std::byte* data_;
};

// The element of a scalar.  Requires: IsRealDType(tensor.dtype()).  Throws what the device throws.
std::array<std::byte, 8> ReadScalar(const ConstTensorView& tensor, const TensorMemory& memory);

}  // namespace waypost
