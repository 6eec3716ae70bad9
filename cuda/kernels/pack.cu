#include "cuda/algorithms/pack.h"
#include "cuda/kernels.h"
#include "cuda/kernels/device_executor.cuh"

namespace waypost {
namespace {

void CheckWindow(const char* operation, const std::byte* window) {
  if (device_algorithm::IsWordAligned(window)) return;
  throw Error(Code::kInvalidArgument,
              std::string(operation) + ": the window's address is no multiple of 16");
}

}  // namespace

void Pack(CudaStream stream, std::span<const PackPiece> pieces, std::span<std::byte> window) {
  CheckWindow("pack", window.data());
  device_algorithm::RunOnDevice("pack", stream, {}, [&](auto& executor) {
    device_algorithm::Pack(executor, pieces, window);
  });
}

void Scatter(CudaStream stream, std::span<const ScatterPiece> pieces,
             std::span<const std::byte> window) {
  CheckWindow("scatter", window.data());
  device_algorithm::RunOnDevice("scatter", stream, {}, [&](auto& executor) {
    device_algorithm::Scatter(executor, pieces, window);
  });
}

}  // namespace waypost
