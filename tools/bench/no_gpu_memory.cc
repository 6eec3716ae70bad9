// In place of gpu_memory.cc where CUDA is left out.
#include "bench/state_memory.h"
#include "waypost/error.h"

namespace waypost {

std::unique_ptr<StateMemory> MakeGpuMemory(int /*ordinal*/, std::size_t /*size_bytes*/) {
  throw Error(Code::kUnavailable, "this waypost was built without CUDA");
}

}  // namespace waypost
