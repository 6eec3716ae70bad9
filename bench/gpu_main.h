// What the main() of a benchmark that needs a GPU does.
#pragma once

#include <benchmark/benchmark.h>
#include <cuda_runtime_api.h>

#include <cstdio>

namespace waypost {

// Without a GPU it says so, and that is no failure.
inline int RunGpuBenchmarks(const char* program, int argc, char** argv) {
  int count = 0;
  const cudaError_t error = cudaGetDeviceCount(&count);
  if (error != cudaSuccess || count == 0) {
    std::printf("%s: no GPU (%s), nothing is measured\n", program, cudaGetErrorString(error));
    return 0;
  }
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
  return 0;
}

}  // namespace waypost
