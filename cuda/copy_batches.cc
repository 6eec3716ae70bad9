#include "cuda/copy_batches.h"

#include <algorithm>
#include <functional>
#include <utility>

namespace waypost {
namespace {

const std::byte* AddressOf(const Device::Copy& copy, CopySide side) {
  return side == CopySide::kTarget ? copy.target : copy.source;
}

// Where the copies that are batched with copies[begin] end.
std::size_t EndOfBatch(const std::vector<Device::Copy>& copies, std::size_t begin, CopySide side,
                       const CopyBatchLimits& limits) {
  const std::byte* const first = AddressOf(copies[begin], side);
  std::size_t end_offset = 0;  // of the copies so far
  std::size_t end = begin;
  while (end < copies.size() && end - begin < limits.count_max) {
    const Device::Copy& copy = copies[end];
    const auto offset = static_cast<std::size_t>(AddressOf(copy, side) - first);
    if (offset < end_offset) break;  // two copies from the same bytes
    if (copy.size >= limits.small_bytes || offset + copy.size > limits.span_bytes_max) break;
    end_offset = offset + copy.size;
    ++end;
  }
  return end - begin < limits.count_min ? begin + 1 : end;
}

}  // namespace

std::vector<CopyBatch> BatchCopies(std::vector<Device::Copy> copies, CopySide side,
                                   const CopyBatchLimits& limits) {
  std::erase_if(copies, [](const Device::Copy& copy) { return copy.size == 0; });
  std::sort(copies.begin(), copies.end(), [&](const Device::Copy& a, const Device::Copy& b) {
    return std::less<>()(AddressOf(a, side), AddressOf(b, side));
  });
  std::vector<CopyBatch> batches;
  for (std::size_t begin = 0; begin < copies.size();) {
    const std::size_t end = EndOfBatch(copies, begin, side, limits);
    batches.push_back({{&copies[begin], &copies[begin] + (end - begin)}});
    begin = end;
  }
  return batches;
}

}  // namespace waypost
