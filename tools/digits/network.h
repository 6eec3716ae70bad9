// The network of train_digits: 64 pixels, a layer of 32 rectified units, a layer of 10, softmax.
//
// Plain float arithmetic on one thread, in an order that the source fixes: the same weights and the
// same images give the same bits, which is what lets the demonstration compare two runs bit by bit.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "digits/dataset.h"
#include "waypost/tensor.h"

namespace waypost::digits {

inline constexpr std::size_t kHiddenUnits = 32;

// One tensor of the network: kernels are [inputs, outputs], row-major.
struct Parameter {
  const char* name;
  Shape shape;
  std::vector<float> values;
};

// A value for each weight: the weights themselves, their gradients, or one of Adam's moments.
struct Parameters {
  std::array<Parameter, 4> tensors;  // in the order of the indices below

  // All zero.
  Parameters();

  static constexpr std::size_t kHiddenKernel = 0, kHiddenBias = 1, kOutputKernel = 2,
                               kOutputBias = 3;
  std::vector<float>& values(std::size_t index) noexcept { return tensors[index].values; }
  const std::vector<float>& values(std::size_t index) const noexcept {
    return tensors[index].values;
  }
};

// Uniform random kernels of the variance that keeps activations of one size (He et al.), zero
// biases.
Parameters InitialWeights(std::uint64_t seed);

struct Evaluation {
  double loss = 0;      // mean cross entropy
  double accuracy = 0;  // share of the images whose digit got the highest probability
};

// `images` are numbers of images of `data`; at least one.
Evaluation Evaluate(const Parameters& weights, const Dataset& data,
                    std::span<const std::uint32_t> images);

// The same, and sets `gradients` to the derivative of the loss by each weight.
Evaluation EvaluateGradients(const Parameters& weights, const Dataset& data,
                             std::span<const std::uint32_t> images, Parameters& gradients);

}  // namespace waypost::digits
