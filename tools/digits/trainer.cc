#include "digits/trainer.h"

#include <cmath>

namespace waypost::digits {
namespace {

constexpr std::size_t kBatchSize = 64;

// Kingma and Ba, "Adam", algorithm 1, with the paper's constants.
constexpr float kLearningRate = 0.001F;
constexpr float kBeta1 = 0.9F;
constexpr float kBeta2 = 0.999F;
constexpr float kEpsilon = 1e-8F;

}  // namespace

Trainer::Trainer(const Dataset& data, std::uint64_t seed)
    : data_(&data),
      split_(SplitDigits(data.size(), seed)),
      batches_(seed, split_.train, kBatchSize),
      weights_(InitialWeights(seed)) {}

Evaluation Trainer::ForwardBackward() {
  return EvaluateGradients(weights_, *data_, batches_.Batch(), gradients_);
}

void Trainer::ApplyUpdate() {
  batches_.Advance();
  ++step_;
  const auto step = static_cast<double>(step_);
  const auto correction_1 = static_cast<float>(1.0 - std::pow(static_cast<double>(kBeta1), step));
  const auto correction_2 = static_cast<float>(1.0 - std::pow(static_cast<double>(kBeta2), step));
  for (std::size_t tensor = 0; tensor < weights_.tensors.size(); ++tensor) {
    const std::vector<float>& gradients = gradients_.values(tensor);
    for (std::size_t i = 0; i < gradients.size(); ++i) {
      const float gradient = gradients[i];
      float& m = adam_m_.values(tensor)[i];
      float& v = adam_v_.values(tensor)[i];
      m = kBeta1 * m + (1.0F - kBeta1) * gradient;
      v = kBeta2 * v + (1.0F - kBeta2) * gradient * gradient;
      weights_.values(tensor)[i] -=
          kLearningRate * (m / correction_1) / (std::sqrt(v / correction_2) + kEpsilon);
    }
  }
}

Evaluation Trainer::EvaluateTest() const { return Evaluate(weights_, *data_, split_.test); }

}  // namespace waypost::digits
