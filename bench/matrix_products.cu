#include "bench/matrix_products.h"
#include "cuda/cuda_check.h"

namespace waypost {
namespace {

constexpr int kTile = 64;   // of the product, a block's
constexpr int kDepth = 16;  // of the factors' tiles in shared memory
constexpr int kEach = 4;    // rows and columns of one thread
constexpr int kThreads = kTile / kEach;

// All sizes are multiples of kTile.
__global__ void Multiply(const float* left, const float* right, float* product, int size) {
  __shared__ float left_tile[kTile][kDepth];
  __shared__ float right_tile[kDepth][kTile];
  const int row = static_cast<int>(blockIdx.y) * kTile;
  const int column = static_cast<int>(blockIdx.x) * kTile;
  const int thread = static_cast<int>(threadIdx.y * blockDim.x + threadIdx.x);
  float sums[kEach][kEach] = {};
  for (int depth = 0; depth < size; depth += kDepth) {
    for (int i = thread; i < kTile * kDepth; i += kThreads * kThreads) {
      left_tile[i / kDepth][i % kDepth] = left[(row + i / kDepth) * size + depth + i % kDepth];
      right_tile[i / kTile][i % kTile] = right[(depth + i / kTile) * size + column + i % kTile];
    }
    __syncthreads();
    for (int k = 0; k < kDepth; ++k) {
      for (int i = 0; i < kEach; ++i) {
        for (int j = 0; j < kEach; ++j) {
          sums[i][j] += left_tile[static_cast<int>(threadIdx.y) * kEach + i][k] *
                        right_tile[k][static_cast<int>(threadIdx.x) * kEach + j];
        }
      }
    }
    __syncthreads();
  }
  for (int i = 0; i < kEach; ++i) {
    for (int j = 0; j < kEach; ++j) {
      product[(row + static_cast<int>(threadIdx.y) * kEach + i) * size + column +
              static_cast<int>(threadIdx.x) * kEach + j] = sums[i][j];
    }
  }
}

std::size_t MatrixBytes(int size) {
  return static_cast<std::size_t>(size) * static_cast<std::size_t>(size) * sizeof(float);
}

}  // namespace

MatrixProducts::MatrixProducts(int size)
    : size_(size / kTile * kTile),
      left_(MakeDeviceMemory(MatrixBytes(size_))),
      right_(MakeDeviceMemory(MatrixBytes(size_))),
      product_(MakeDeviceMemory(MatrixBytes(size_))) {
  CheckCuda(cudaMemset(left_.get(), 0, MatrixBytes(size_)), "clear a matrix");
  CheckCuda(cudaMemset(right_.get(), 0, MatrixBytes(size_)), "clear a matrix");
}

void MatrixProducts::Put(cudaStream_t stream) {
  const unsigned int blocks = static_cast<unsigned int>(size_ / kTile);
  Multiply<<<dim3(blocks, blocks), dim3(kThreads, kThreads), 0, stream>>>(
      reinterpret_cast<const float*>(left_.get()), reinterpret_cast<const float*>(right_.get()),
      reinterpret_cast<float*>(product_.get()), size_);
  CheckCuda(cudaGetLastError(), "multiply matrices");
}

}  // namespace waypost
