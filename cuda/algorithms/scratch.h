// Scratch: hands out parts of memory that the caller gave, so that no algorithm allocates.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "base/units.h"
#include "waypost/error.h"

namespace waypost::device_algorithm {

// Also an allocator as Thrust takes one for its temporary storage.  What is given back is not used
// again: an algorithm asks for little, and only a few times.
class Scratch {
 public:
  using value_type = char;

  explicit Scratch(std::span<std::byte> memory) noexcept : memory_(memory) {}
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;

  // The bytes that an array takes, wherever the memory begins.
  static constexpr std::size_t BytesFor(std::size_t size) noexcept {
    return AlignUp(size, kAlignment) + kAlignment;
  }

  // An array of `count` T whose content is undefined.
  template <typename T>
  T* Take(std::size_t count) {
    return reinterpret_cast<T*>(allocate(static_cast<std::ptrdiff_t>(count * sizeof(T))));
  }

  char* allocate(std::ptrdiff_t size) {
    const auto address = reinterpret_cast<std::uintptr_t>(memory_.data());
    const std::size_t before = AlignUp(address, kAlignment) - address;
    const std::size_t taken = before + static_cast<std::size_t>(size);
    if (taken > memory_.size()) {
      throw Error(Code::kInvalidArgument, "device scratch: " + std::to_string(taken) +
                                              " bytes are needed and " +
                                              std::to_string(memory_.size()) + " are left");
    }
    auto* data = reinterpret_cast<char*>(memory_.data() + before);
    memory_ = memory_.subspan(taken);
    return data;
  }
  void deallocate(char* /*data*/, std::size_t /*size*/) noexcept {}

 private:
  static constexpr std::size_t kAlignment = 256;

  std::span<std::byte> memory_;
};

// What thrust::inclusive_scan of 8-byte values takes on a device: CUB keeps 16 bytes for each tile
// of 768 values or more, and for 32 tiles beside.  Several times that, since it is CUB's to change;
// too little would be an Error, never a wrong result.
constexpr std::size_t ScanScratchBytes(std::size_t count) noexcept {
  return Scratch::BytesFor(4 * kKiB + count / 8);
}

}  // namespace waypost::device_algorithm
