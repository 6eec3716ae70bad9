// CUDA's errors as Error.
#pragma once

#include <cuda_runtime_api.h>

#include <string>
#include <string_view>

#include "waypost/error.h"

namespace waypost {

inline Code CudaErrorCode(cudaError_t error) noexcept {
  switch (error) {
    case cudaErrorMemoryAllocation: return Code::kResourceExhausted;
    case cudaErrorStreamCaptureUnsupported:
    case cudaErrorStreamCaptureImplicit: return Code::kFailedPrecondition;
    // No device, or none any more: those of the second group stay until the process ends.
    case cudaErrorInsufficientDriver:
    case cudaErrorNoDevice:
    case cudaErrorDevicesUnavailable:
    case cudaErrorSystemNotReady:
    case cudaErrorSystemDriverMismatch:
    case cudaErrorCudartUnloading:
    case cudaErrorAssert:
    case cudaErrorContextIsDestroyed:
    case cudaErrorECCUncorrectable:
    case cudaErrorHardwareStackError:
    case cudaErrorIllegalAddress:
    case cudaErrorIllegalInstruction:
    case cudaErrorInvalidAddressSpace:
    case cudaErrorInvalidPc:
    case cudaErrorLaunchFailure:
    case cudaErrorLaunchTimeout:
    case cudaErrorMisalignedAddress:
    case cudaErrorNvlinkUncorrectable:
    case cudaErrorUnknown: return Code::kUnavailable;
    default: return Code::kInternal;
  }
}

// `operation` says what failed, and on what: "cuda:0: copy to the host".
inline Error CudaError(cudaError_t error, std::string_view operation) {
  return {CudaErrorCode(error), std::string(operation) + ": " + cudaGetErrorName(error) + ": " +
                                    cudaGetErrorString(error)};
}

inline void CheckCuda(cudaError_t error, std::string_view operation) {
  if (error == cudaSuccess) return;
  // An error that does not stay is remembered for the thread's next call; it is told here.
  static_cast<void>(cudaGetLastError());
  throw CudaError(error, operation);
}

}  // namespace waypost
