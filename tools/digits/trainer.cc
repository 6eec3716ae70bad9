#include "digits/trainer.h"

#include <utility>

#include "digits/adam.h"

namespace waypost::digits {
namespace {

constexpr std::size_t kBatchSize = 64;

}  // namespace

Trainer::Trainer(const Dataset& data, std::uint64_t seed, std::unique_ptr<DeviceState> device)
    : data_(&data),
      split_(SplitDigits(data.size(), seed)),
      batches_(seed, split_.train, kBatchSize),
      weights_(InitialWeights(seed)),
      device_(std::move(device)) {
  if (device_ != nullptr) device_->Initialize(weights_);
}

Evaluation Trainer::ForwardBackward() {
  if (device_ != nullptr) device_->ReadWeights(weights_);
  return EvaluateGradients(weights_, *data_, batches_.Batch(), gradients_);
}

void Trainer::ApplyUpdate() {
  batches_.Advance();
  ++step_;
  if (device_ != nullptr) return device_->Update(gradients_, step_);
  const AdamStep adam(step_);
  for (std::size_t tensor = 0; tensor < weights_.tensors.size(); ++tensor) {
    const std::vector<float>& gradients = gradients_.values(tensor);
    for (std::size_t i = 0; i < gradients.size(); ++i) {
      adam(weights_.values(tensor)[i], adam_m_.values(tensor)[i], adam_v_.values(tensor)[i],
           gradients[i]);
    }
  }
}

Evaluation Trainer::EvaluateTest() {
  if (device_ != nullptr) device_->ReadWeights(weights_);
  return Evaluate(weights_, *data_, split_.test);
}

}  // namespace waypost::digits
