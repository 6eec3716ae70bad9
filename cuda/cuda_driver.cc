#include "cuda/cuda_driver.h"

#include <cuda_runtime_api.h>

#include <array>
#include <string>

#include "cuda/cuda_check.h"

namespace waypost {
namespace {

// The version that each function below had its present form in, or an earlier one.
constexpr unsigned int kDriverVersion = 12000;

template <typename Function>
void Find(const char* name, Function& function) {
  void* address = nullptr;
  auto found = cudaDriverEntryPointSymbolNotFound;
  const cudaError_t error =
      cudaGetDriverEntryPointByVersion(name, &address, kDriverVersion, cudaEnableDefault, &found);
  CheckCuda(error, std::string("CUDA driver: find ") + name);
  if (found != cudaDriverEntryPointSuccess || address == nullptr) {
    throw Error(Code::kUnavailable, std::string("CUDA driver: it has no ") + name);
  }
  function = reinterpret_cast<Function>(address);
}

void Check(CUresult result, const std::string& operation) {
  if (result == CUDA_SUCCESS) return;
  const Code code =
      result == CUDA_ERROR_OUT_OF_MEMORY ? Code::kResourceExhausted : Code::kUnavailable;
  throw Error(code, operation + ": CUDA driver error " + std::to_string(result));
}

}  // namespace

CudaDriver::CudaDriver() {
  Find("cuDevicePrimaryCtxRetain", retain_);
  Find("cuDevicePrimaryCtxRelease", release_);
  Find("cuStreamGetCtx", context_of_);
  Find("cuCtxPushCurrent", push_);
  Find("cuCtxPopCurrent", pop_);
}

CUcontext CudaDriver::RetainPrimaryContext(int ordinal) const {
  CUcontext context = nullptr;
  Check(retain_(&context, ordinal), "make a CUDA context");
  return context;
}

void CudaDriver::ReleasePrimaryContext(int ordinal) const noexcept {
  static_cast<void>(release_(ordinal));  // fails only when the driver is gone, or the device lost
}

CUcontext CudaDriver::ContextOf(CUstream stream, const std::string& device) const {
  CUcontext context = nullptr;
  const CUresult result = context_of_(stream, &context);
  if (result == CUDA_ERROR_INVALID_HANDLE) {
    throw Error(Code::kInvalidArgument, device + ": the caller's stream is not a CUDA stream");
  }
  Check(result, device + ": find the context of the caller's stream");
  return context;
}

void CudaDriver::Push(CUcontext context) const {
  Check(push_(context), "make a CUDA context current");
}

void CudaDriver::Pop() const noexcept {
  CUcontext context = nullptr;
  static_cast<void>(pop_(&context));
}

std::optional<int> OwnerOfCudaMemory(const void* address) noexcept {
  using GetAttributes = CUresult (*)(unsigned int, CUpointer_attribute*, void**, CUdeviceptr);
  const auto get_attributes =
      reinterpret_cast<GetAttributes>(FindInLoadedCudaDriver("cuPointerGetAttributes"));
  if (get_attributes == nullptr) return std::nullopt;
  unsigned int type = 0;
  int ordinal = -1;
  unsigned int is_managed = 0;
  std::array attributes = {CU_POINTER_ATTRIBUTE_MEMORY_TYPE, CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL,
                           CU_POINTER_ATTRIBUTE_IS_MANAGED};
  std::array<void*, 3> values = {&type, &ordinal, &is_managed};
  const CUresult result =
      get_attributes(attributes.size(), attributes.data(), values.data(),
                     static_cast<CUdeviceptr>(reinterpret_cast<std::uintptr_t>(address)));
  if (result != CUDA_SUCCESS) return std::nullopt;
  if (is_managed == 0 && type != CU_MEMORYTYPE_DEVICE) return std::nullopt;
  return ordinal < 0 ? 0 : ordinal;
}

}  // namespace waypost
