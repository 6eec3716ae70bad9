// CudaScope: the calling thread uses one device for a while, and is left as it was found.
//
// Within it a stream that any thread is capturing into a graph does not forbid Waypost's own calls:
// they touch no stream of the caller's but to record an event.
#pragma once

#include <cuda_runtime_api.h>

#include "cuda/cuda_driver.h"

namespace waypost {

class CudaScope {
 public:
  // `driver` must outlive it.
  CudaScope(const CudaDriver& driver, CUcontext context) : driver_(driver) {
    driver_.Push(context);
    cudaThreadExchangeStreamCaptureMode(&capture_mode_);
  }
  ~CudaScope() {
    cudaThreadExchangeStreamCaptureMode(&capture_mode_);
    driver_.Pop();
  }
  CudaScope(const CudaScope&) = delete;
  CudaScope& operator=(const CudaScope&) = delete;

 private:
  const CudaDriver& driver_;
  cudaStreamCaptureMode capture_mode_ = cudaStreamCaptureModeRelaxed;  // then the thread's own
};

}  // namespace waypost
