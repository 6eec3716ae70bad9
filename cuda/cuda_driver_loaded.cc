#include <dlfcn.h>

#include <atomic>

#include "cuda/cuda_driver.h"

namespace waypost {

void* FindInLoadedCudaDriver(const char* name) noexcept {
  // It is never unloaded, and this is asked for every tensor.
  static std::atomic<void*> library = nullptr;
  if (library.load(std::memory_order_relaxed) == nullptr) {
    library = ::dlopen("libcuda.so.1", RTLD_LAZY | RTLD_NOLOAD);
  }
  void* const loaded = library;
  return loaded == nullptr ? nullptr : ::dlsym(loaded, name);
}

}  // namespace waypost
