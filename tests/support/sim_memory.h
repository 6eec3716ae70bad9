// SimMemory: the memory of a simulated accelerator, which the host cannot touch.
//
// The addresses that Allocate() gives lie in mappings without any right of access: a host that
// reads or writes one of them is stopped by the processor.  The bytes are elsewhere, and only
// Find() tells where.
//
// Threads: any.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>

namespace waypost {

class SimMemory {
 public:
  // What new memory holds.
  static constexpr std::byte kPoison{0xEE};

  explicit SimMemory(std::size_t capacity_bytes);
  // Requires: all memory was freed.
  ~SimMemory();
  SimMemory(const SimMemory&) = delete;
  SimMemory& operator=(const SimMemory&) = delete;

  // Throws kResourceExhausted when there is not as much left.  Requires: size_bytes > 0.
  std::byte* Allocate(std::size_t size_bytes);
  // Requires: `address` came from Allocate() and was not freed yet.
  void Free(const std::byte* address) noexcept;

  std::size_t used_bytes() const;
  bool Owns(const void* address) const noexcept;
  // The bytes behind `size` addresses, which stay as long as the result, freed or not.  Null unless
  // all of them lie in one block of memory.
  std::shared_ptr<std::byte> Find(const std::byte* address, std::size_t size) const noexcept;

 private:
  class Block;

  // The block that `address` lies in; end() for none.  Requires: mutex_ is held.
  std::map<std::uintptr_t, std::shared_ptr<Block>>::const_iterator BlockOf(
      std::uintptr_t address) const noexcept;

  const std::size_t capacity_bytes_;
  mutable std::mutex mutex_;
  std::size_t used_bytes_ = 0;                               // Guarded by mutex_.
  std::map<std::uintptr_t, std::shared_ptr<Block>> blocks_;  // By address.  Guarded by mutex_.
};

}  // namespace waypost
