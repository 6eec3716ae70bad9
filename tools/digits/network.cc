#include "digits/network.h"

#include <algorithm>
#include <cmath>

#include "digits/random.h"

namespace waypost::digits {
namespace {

constexpr auto kHiddenKernel = Parameters::kHiddenKernel;
constexpr auto kHiddenBias = Parameters::kHiddenBias;
constexpr auto kOutputKernel = Parameters::kOutputKernel;
constexpr auto kOutputBias = Parameters::kOutputBias;

using Hidden = std::array<float, kHiddenUnits>;
using Output = std::array<float, kClasses>;

// target += factor * source.  Each element for itself, so that vector instructions cannot change
// the sum.
template <std::size_t kSize>
void AddScaled(float factor, const float* source, float* target) {
  for (std::size_t i = 0; i < kSize; ++i) target[i] += factor * source[i];
}

// bias + input * kernel.
template <std::size_t kInputs, std::size_t kOutputs>
std::array<float, kOutputs> Dense(const float* input, const std::vector<float>& kernel,
                                  const std::vector<float>& bias) {
  std::array<float, kOutputs> output;
  std::copy(bias.begin(), bias.end(), output.begin());
  for (std::size_t i = 0; i < kInputs; ++i) {
    AddScaled<kOutputs>(input[i], kernel.data() + i * kOutputs, output.data());
  }
  return output;
}

struct Forward {
  Hidden hidden;
  Output probabilities;
  double loss;
  bool correct;
};

Forward Propagate(const Parameters& weights, const float* image, std::size_t label) {
  Forward result;
  result.hidden = Dense<kPixels, kHiddenUnits>(image, weights.values(kHiddenKernel),
                                               weights.values(kHiddenBias));
  for (float& unit : result.hidden) unit = std::max(unit, 0.0F);
  Output& logits = result.probabilities;
  logits = Dense<kHiddenUnits, kClasses>(result.hidden.data(), weights.values(kOutputKernel),
                                         weights.values(kOutputBias));
  const auto highest = std::max_element(logits.begin(), logits.end());
  result.correct = static_cast<std::size_t>(highest - logits.begin()) == label;
  const float shift = *highest;  // so that no exponential overflows
  const float label_logit = logits[label] - shift;
  float sum = 0;
  for (float& value : logits) sum += value = std::exp(value - shift);
  for (float& value : logits) value /= sum;
  result.loss = std::log(static_cast<double>(sum)) - static_cast<double>(label_logit);
  return result;
}

// Adds one image's part, `weight` of the whole, to the gradients.
void Backpropagate(const Parameters& weights, const float* image, std::size_t label,
                   const Forward& forward, float weight, Parameters& gradients) {
  Output output = forward.probabilities;
  output[label] -= 1.0F;
  for (float& value : output) value *= weight;
  AddScaled<kClasses>(1.0F, output.data(), gradients.values(kOutputBias).data());
  Hidden hidden{};
  for (std::size_t i = 0; i < kHiddenUnits; ++i) {
    AddScaled<kClasses>(forward.hidden[i], output.data(),
                        &gradients.values(kOutputKernel)[i * kClasses]);
    if (forward.hidden[i] == 0.0F) continue;
    const float* row = &weights.values(kOutputKernel)[i * kClasses];
    for (std::size_t k = 0; k < kClasses; ++k) hidden[i] += row[k] * output[k];
  }
  AddScaled<kHiddenUnits>(1.0F, hidden.data(), gradients.values(kHiddenBias).data());
  for (std::size_t i = 0; i < kPixels; ++i) {
    AddScaled<kHiddenUnits>(image[i], hidden.data(),
                            &gradients.values(kHiddenKernel)[i * kHiddenUnits]);
  }
}

void FillUniform(std::vector<float>& values, std::size_t inputs, SplitMix64& random) {
  const float limit = std::sqrt(6.0F / static_cast<float>(inputs));
  for (float& value : values) value = limit * random.Signed();
}

// Means over `images`; `visit` is called for each with its number and what the network makes of it.
template <typename Visit>
Evaluation EvaluateEach(const Parameters& weights, const Dataset& data,
                        std::span<const std::uint32_t> images, Visit visit) {
  Evaluation total;
  for (const std::uint32_t index : images) {
    const Forward forward = Propagate(weights, data.image(index), data.labels[index]);
    total.loss += forward.loss;
    total.accuracy += forward.correct ? 1 : 0;
    visit(index, forward);
  }
  const auto count = static_cast<double>(images.size());
  return {total.loss / count, total.accuracy / count};
}

}  // namespace

Parameters::Parameters()
    : tensors{
          Parameter{
              "hidden/kernel", {kPixels, kHiddenUnits}, std::vector<float>(kPixels * kHiddenUnits)},
          Parameter{"hidden/bias", {kHiddenUnits}, std::vector<float>(kHiddenUnits)},
          Parameter{"output/kernel",
                    {kHiddenUnits, kClasses},
                    std::vector<float>(kHiddenUnits * kClasses)},
          Parameter{"output/bias", {kClasses}, std::vector<float>(kClasses)}} {}

Parameters InitialWeights(std::uint64_t seed) {
  Parameters weights;
  SplitMix64 random(~seed);  // another sequence than the one that splits the data
  FillUniform(weights.values(kHiddenKernel), kPixels, random);
  FillUniform(weights.values(kOutputKernel), kHiddenUnits, random);
  return weights;
}

Evaluation Evaluate(const Parameters& weights, const Dataset& data,
                    std::span<const std::uint32_t> images) {
  return EvaluateEach(weights, data, images, [](std::uint32_t, const Forward&) {});
}

Evaluation EvaluateGradients(const Parameters& weights, const Dataset& data,
                             std::span<const std::uint32_t> images, Parameters& gradients) {
  for (Parameter& gradient : gradients.tensors)
    std::fill(gradient.values.begin(), gradient.values.end(), 0.0F);
  const float weight = 1.0F / static_cast<float>(images.size());
  return EvaluateEach(weights, data, images, [&](std::uint32_t index, const Forward& forward) {
    Backpropagate(weights, data.image(index), data.labels[index], forward, weight, gradients);
  });
}

}  // namespace waypost::digits
