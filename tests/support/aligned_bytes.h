// AlignedBytes: memory that begins at a page, as direct transfers need it.
#pragma once

#include <cstddef>
#include <memory>
#include <new>
#include <span>

#include "base/units.h"

namespace waypost {

class AlignedBytes {
 public:
  explicit AlignedBytes(std::size_t size)
      : size_(size), data_(static_cast<std::byte*>(::operator new(size, kAlignment))) {}

  std::span<std::byte> bytes() const noexcept { return {data_.get(), size_}; }

 private:
  static constexpr std::align_val_t kAlignment{kPageBytes};
  struct Free {
    void operator()(std::byte* data) const noexcept { ::operator delete(data, kAlignment); }
  };

  std::size_t size_;
  std::unique_ptr<std::byte, Free> data_;
};

}  // namespace waypost
