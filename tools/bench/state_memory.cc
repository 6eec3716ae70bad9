#include "bench/state_memory.h"

#include <sys/mman.h>

#include <cerrno>
#include <cstring>

#include "base/errno_error.h"
#include "base/stopwatch.h"

namespace waypost {
namespace {

class HostMemory final : public StateMemory {
 public:
  explicit HostMemory(std::size_t size_bytes) {
    void* const memory =
        ::mmap(nullptr, size_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) throw ErrnoError("map", "the state", errno, IoDirection::kWrite);
    memory_ = {static_cast<std::byte*>(memory), size_bytes};
  }
  ~HostMemory() override { ::munmap(memory_.data(), memory_.size()); }
  HostMemory(const HostMemory&) = delete;
  HostMemory& operator=(const HostMemory&) = delete;

  std::span<std::byte> memory() const noexcept override { return memory_; }
  void Write(std::byte* target, std::span<const std::byte> source) override {
    std::memcpy(target, source.data(), source.size());
  }
  void Read(std::span<std::byte> target, const std::byte* source) const override {
    std::memcpy(target.data(), source, target.size());
  }
  double CopyRate() override {
    const std::size_t half = memory_.size() / 2;
    if (half == 0) return 0;
    Stopwatch watch;
    std::memcpy(memory_.data(), memory_.data() + half, half);
    return static_cast<double>(half) / watch.Lap();
  }

 private:
  std::span<std::byte> memory_;
};

}  // namespace

std::unique_ptr<StateMemory> MakeHostMemory(std::size_t size_bytes) {
  return std::make_unique<HostMemory>(size_bytes);
}

}  // namespace waypost
