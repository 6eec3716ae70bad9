#include "inspect/compare.h"

#include <algorithm>
#include <cstring>

#include "base/check.h"
#include "inspect/tensor_pipe.h"

namespace waypost::tool {
namespace {

void Count(Differences& differences, std::uint64_t element) {
  if (differences.count == 0) differences.first = element;
  ++differences.count;
}

// Takes the same ranges of both tensors, in order, cut anywhere.
class ByteComparer {
 public:
  explicit ByteComparer(DType dtype)
      : element_bytes_(ElementBytes(dtype)), mask_(ValueMask(dtype)) {}

  void Take(std::span<const std::byte> a, std::span<const std::byte> b) {
    if (std::memcmp(a.data(), b.data(), a.size()) != 0) CountBytes(a, b);
    position_ += a.size();
  }

  const Differences& differences() const noexcept { return differences_; }

 private:
  void CountBytes(std::span<const std::byte> a, std::span<const std::byte> b) {
    for (std::size_t i = 0; i < a.size(); ++i) {
      if (((a[i] ^ b[i]) & mask_) == std::byte{0}) continue;
      const std::uint64_t element = (position_ + i) / element_bytes_;
      if (element < next_element_) continue;
      Count(differences_, element);
      next_element_ = element + 1;  // its other bytes do not count again
    }
  }

  std::uint64_t element_bytes_;
  std::byte mask_;
  std::uint64_t position_ = 0;
  std::uint64_t next_element_ = 0;
  Differences differences_;
};

Differences CompareStrings(const std::vector<std::string>& a, const std::vector<std::string>& b) {
  Differences differences;
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (a[i] != b[i]) Count(differences, i);
  }
  return differences;
}

}  // namespace

Differences CompareTensors(Checkpoint& a, const StoredTensor& tensor_a, Checkpoint& b,
                           const StoredTensor& tensor_b) {
  if (tensor_a.dtype == DType::kString)
    return CompareStrings(a.Strings(tensor_a), b.Strings(tensor_b));
  ByteComparer comparer(tensor_a.dtype);
  TensorPipe pipe(b, tensor_b);
  std::span<const std::byte> bytes_b;
  a.Stream(tensor_a, [&](std::span<const std::byte> bytes_a) {
    while (!bytes_a.empty()) {
      if (bytes_b.empty()) bytes_b = pipe.Next();
      WAYPOST_CHECK(!bytes_b.empty());
      const std::size_t size = std::min(bytes_a.size(), bytes_b.size());
      comparer.Take(bytes_a.first(size), bytes_b.first(size));
      bytes_a = bytes_a.subspan(size);
      bytes_b = bytes_b.subspan(size);
    }
  });
  WAYPOST_CHECK(bytes_b.empty() && pipe.Next().empty());
  return comparer.differences();
}

}  // namespace waypost::tool
