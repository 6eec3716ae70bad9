// BigState: gigabytes of tensors in one piece of memory, the host's or a GPU's, all of it touched;
// the content can be recomputed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "bench/state_memory.h"
#include "waypost/engine.h"

namespace waypost {

class BigState {
 public:
  // float32 tensors of these sizes, each a multiple of 4; filled.  On the host, or on this GPU,
  // with MakeGpuMemory's errors.
  explicit BigState(const std::vector<std::uint64_t>& tensor_bytes,
                    std::optional<int> gpu = std::nullopt);

  const std::vector<NamedTensor>& tensors() const noexcept { return tensors_; }
  std::uint64_t size_bytes() const noexcept { return size_bytes_; }
  // All of it, the gaps between tensors too.
  StateMemory& memory() const noexcept { return *memory_; }

  // Other content than that of Fill.
  void Poison();
  // Names of the tensors that do not hold what Fill gave them; the first few.
  std::vector<std::string> Wrong() const;

 private:
  const std::unique_ptr<StateMemory> memory_;
  std::uint64_t size_bytes_;
  std::vector<NamedTensor> tensors_;
};

}  // namespace waypost
