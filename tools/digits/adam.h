// Adam's update of one weight (Kingma and Ba, "Adam", algorithm 1, with the paper's constants).
//
// One source for the host and for the GPU, where the compiler is told to round each operation as
// the host does (no fused multiply-add): both give the same bits.
#pragma once

#include <cmath>
#include <cstdint>

#include "cuda/algorithms/host_device.h"

namespace waypost::digits {

struct AdamStep {
  static constexpr float kLearningRate = 0.001F;
  static constexpr float kBeta1 = 0.9F;
  static constexpr float kBeta2 = 0.999F;
  static constexpr float kEpsilon = 1e-8F;

  // The `step`-th update, counted from 1.
  explicit AdamStep(std::int64_t step)
      : correction_1(Correction(kBeta1, step)), correction_2(Correction(kBeta2, step)) {}

  WAYPOST_HOST_DEVICE void operator()(float& weight, float& m, float& v, float gradient) const {
    m = kBeta1 * m + (1.0F - kBeta1) * gradient;
    v = kBeta2 * v + (1.0F - kBeta2) * gradient * gradient;
    weight -= kLearningRate * (m / correction_1) / (std::sqrt(v / correction_2) + kEpsilon);
  }

  float correction_1;
  float correction_2;

 private:
  static float Correction(float beta, std::int64_t step) {
    return static_cast<float>(1.0 - std::pow(static_cast<double>(beta), static_cast<double>(step)));
  }
};

}  // namespace waypost::digits
