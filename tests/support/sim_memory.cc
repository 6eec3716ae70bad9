#include "support/sim_memory.h"

#include <fmt/format.h>
#include <sys/mman.h>

#include <cerrno>
#include <vector>

#include "base/check.h"
#include "base/errno_error.h"
#include "base/units.h"

namespace waypost {

// Addresses that nobody may access, and the bytes that they stand for.  A page before and one after
// them belong to no block, so that a pointer that has left a block is in none.
class SimMemory::Block {
 public:
  explicit Block(std::size_t size_bytes)
      : bytes_(size_bytes, kPoison),
        mapped_bytes_(AlignUp(size_bytes, kPageBytes) + 2 * kPageBytes),
        mapping_(::mmap(nullptr, mapped_bytes_, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)) {
    if (mapping_ == MAP_FAILED) {
      throw ErrnoError("map", fmt::format("{} bytes of simulated memory", size_bytes), errno,
                       IoDirection::kWrite);
    }
  }
  ~Block() { ::munmap(mapping_, mapped_bytes_); }
  Block(const Block&) = delete;
  Block& operator=(const Block&) = delete;

  std::byte* address() const noexcept { return static_cast<std::byte*>(mapping_) + kPageBytes; }
  std::size_t size() const noexcept { return bytes_.size(); }
  std::byte* bytes() noexcept { return bytes_.data(); }

 private:
  std::vector<std::byte> bytes_;
  std::size_t mapped_bytes_;
  void* mapping_;
};

SimMemory::SimMemory(std::size_t capacity_bytes) : capacity_bytes_(capacity_bytes) {}

SimMemory::~SimMemory() { WAYPOST_CHECK(blocks_.empty()); }

std::byte* SimMemory::Allocate(std::size_t size_bytes) {
  WAYPOST_CHECK(size_bytes > 0);
  const std::scoped_lock lock(mutex_);
  if (size_bytes > capacity_bytes_ - used_bytes_) {
    throw Error(Code::kResourceExhausted,
                fmt::format("allocate {} bytes of simulated memory: {} of {} are used", size_bytes,
                            used_bytes_, capacity_bytes_));
  }
  auto block = std::make_shared<Block>(size_bytes);
  std::byte* const address = block->address();
  blocks_[reinterpret_cast<std::uintptr_t>(address)] = std::move(block);
  used_bytes_ += size_bytes;
  return address;
}

void SimMemory::Free(const std::byte* address) noexcept {
  const std::scoped_lock lock(mutex_);
  const auto found = blocks_.find(reinterpret_cast<std::uintptr_t>(address));
  WAYPOST_CHECK(found != blocks_.end());
  used_bytes_ -= found->second->size();
  blocks_.erase(found);
}

std::map<std::uintptr_t, std::shared_ptr<SimMemory::Block>>::const_iterator SimMemory::BlockOf(
    std::uintptr_t address) const noexcept {
  auto found = blocks_.upper_bound(address);
  if (found == blocks_.begin()) return blocks_.end();
  --found;
  return address - found->first < found->second->size() ? found : blocks_.end();
}

std::size_t SimMemory::used_bytes() const {
  const std::scoped_lock lock(mutex_);
  return used_bytes_;
}

bool SimMemory::Owns(const void* address) const noexcept {
  const std::scoped_lock lock(mutex_);
  return BlockOf(reinterpret_cast<std::uintptr_t>(address)) != blocks_.end();
}

std::shared_ptr<std::byte> SimMemory::Find(const std::byte* address,
                                           std::size_t size) const noexcept {
  const auto number = reinterpret_cast<std::uintptr_t>(address);
  const std::scoped_lock lock(mutex_);
  const auto found = BlockOf(number);
  if (found == blocks_.end()) return nullptr;
  const std::shared_ptr<Block>& block = found->second;
  const std::size_t offset = number - found->first;
  if (size > block->size() - offset) return nullptr;
  return {block, block->bytes() + offset};
}

}  // namespace waypost
