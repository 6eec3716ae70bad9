#include "summary/tensor_values.h"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "base/check.h"
#include "base/units.h"
#include "device/stream_marks.h"
#include "summary/histogram.h"

namespace waypost {
namespace {

const std::byte* BytesOf(const ConstTensorView& tensor) {
  return static_cast<const std::byte*>(tensor.data());
}

StreamMarks MarkOn(Device& device, const TensorMemory& memory) {
  Device* const devices[] = {&device};
  return {devices, memory.stream};
}

// With no more memory than a window, however large the tensor is.
HistogramTotals CountCopies(const ConstTensorView& tensor, Device& device, Device::Mark behind) {
  const std::size_t element_bytes = ElementBytes(tensor.dtype());
  static_assert(kWindowBytes % sizeof(std::uint64_t) == 0, "a piece holds whole elements");
  std::vector<std::byte> window(std::min<std::size_t>(tensor.size_bytes(), kWindowBytes));
  Histogram histogram;
  for (std::size_t begin = 0; begin < tensor.size_bytes(); begin += window.size()) {
    const std::size_t size = std::min(window.size(), tensor.size_bytes() - begin);
    const auto piece = std::span(window).first(size);
    device.Wait(device.StartCopyToHost(piece, BytesOf(tensor) + begin, behind));
    const auto count = static_cast<std::int64_t>(size / element_bytes);
    histogram.AddAll(ConstTensorView(piece.data(), tensor.dtype(), {count}));
  }
  return histogram.totals();
}

}  // namespace

HistogramTotals CountValues(const ConstTensorView& tensor, const TensorMemory& memory) {
  Device& device = memory.devices.OwnerOf(tensor.data());
  // Without elements there is no memory to ask for.
  if (device.IsHostMemory() || tensor.element_count() == 0) {
    Histogram histogram;
    histogram.AddAll(tensor);
    return histogram.totals();
  }
  const StreamMarks marks = MarkOn(device, memory);
  HistogramTotals totals;
  if (const auto ticket = device.StartHistogram(tensor, totals, marks.Of(device))) {
    device.Wait(*ticket);
    return totals;
  }
  return CountCopies(tensor, device, marks.Of(device));
}

HostBytes::HostBytes(const ConstTensorView& tensor, ByteRange range, const TensorMemory& memory)
    : data_(BytesOf(tensor)) {
  if (range.size == 0) return;
  data_ += range.begin;
  Device& device = memory.devices.OwnerOf(tensor.data());
  if (device.IsHostMemory()) return;
  const StreamMarks marks = MarkOn(device, memory);
  copy_.resize(range.size);
  device.Wait(device.StartCopyToHost(copy_, data_, marks.Of(device)));
  data_ = copy_.data();
}

std::array<std::byte, 8> ReadScalar(const ConstTensorView& tensor, const TensorMemory& memory) {
  WAYPOST_CHECK(tensor.element_count() == 1);
  std::array<std::byte, 8> element = {};
  WAYPOST_CHECK(tensor.size_bytes() <= element.size());
  const HostBytes bytes(tensor, {.begin = 0, .size = tensor.size_bytes()}, memory);
  std::copy_n(bytes.data(), tensor.size_bytes(), element.begin());
  return element;
}

}  // namespace waypost
