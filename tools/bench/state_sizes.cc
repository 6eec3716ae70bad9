#include "bench/state_sizes.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "base/units.h"
#include "waypost/error.h"

namespace waypost::tool {
namespace {

constexpr std::uint64_t kElement = 4;
constexpr std::uint64_t kBytesDefault = kGiB;
constexpr std::uint64_t kSmallCount = 100'000;
constexpr std::uint64_t kSmallMin = kKiB, kSmallMax = 8 * kKiB;

[[noreturn]] void TooFew(std::uint64_t bytes, std::uint64_t least) {
  throw Error(
      Code::kInvalidArgument,
      fmt::format("bench: a state of {} bytes is too small, the least is {}", bytes, least));
}

// Parameters of a transformer of 32 layers, 4096 wide.
std::vector<std::uint64_t> LlmParameters() {
  constexpr std::uint64_t kWidth = 4096, kInner = 11008, kVocabulary = 32000;
  std::vector<std::uint64_t> parameters = {kVocabulary * kWidth};  // the embedding
  for (int layer = 0; layer < 32; ++layer) {
    parameters.insert(parameters.end(), 4, kWidth * kWidth);  // attention
    parameters.insert(parameters.end(), 3, kWidth * kInner);  // the network after it
    parameters.insert(parameters.end(), 2, kWidth);           // norms
  }
  parameters.push_back(kWidth);
  parameters.push_back(kVocabulary * kWidth);  // the output
  return parameters;
}

// The same mix, scaled to `bytes`.
std::vector<std::uint64_t> LlmSizes(std::uint64_t bytes) {
  const std::vector<std::uint64_t> parameters = LlmParameters();
  const auto sum =
      static_cast<double>(std::accumulate(parameters.begin(), parameters.end(), std::uint64_t{0}));
  const std::uint64_t least = kElement * parameters.size();
  if (bytes < 2 * least) TooFew(bytes, 2 * least);
  std::vector<std::uint64_t> sizes;
  sizes.reserve(parameters.size());
  std::uint64_t left = bytes;
  for (std::size_t i = 0; i + 1 < parameters.size(); ++i) {
    const double part = static_cast<double>(parameters[i]) / sum;
    const auto size = static_cast<std::uint64_t>(part * static_cast<double>(bytes - least));
    sizes.push_back(AlignDown(size, kElement) + kElement);
    left -= sizes.back();
  }
  sizes.push_back(AlignDown(left, kElement));
  return sizes;
}

// Sizes that come as if by chance, and always the same.
std::uint64_t SmallSize(std::uint64_t i) {
  return kSmallMin + AlignDown(i * 2654435761U % (kSmallMax - kSmallMin + 1), kElement);
}

std::vector<std::uint64_t> SmallSizes(std::optional<std::uint64_t> bytes) {
  std::vector<std::uint64_t> sizes;
  if (!bytes) {
    for (std::uint64_t i = 0; i < kSmallCount; ++i) sizes.push_back(SmallSize(i));
    return sizes;
  }
  std::uint64_t sum = 0;
  for (std::uint64_t i = 0; sum + SmallSize(i) <= *bytes; ++i) {
    sizes.push_back(SmallSize(i));
    sum += sizes.back();
  }
  if (sizes.empty()) TooFew(*bytes, SmallSize(0));
  return sizes;
}

std::vector<std::uint64_t> EqualSizes(std::uint64_t bytes, std::uint64_t count) {
  const std::uint64_t size = AlignDown(bytes / count, kElement);
  if (size == 0) TooFew(bytes, count * kElement);
  std::vector<std::uint64_t> sizes(count, size);
  sizes.back() += AlignDown(bytes - count * size, kElement);
  return sizes;
}

}  // namespace

std::string_view LikenessName(Likeness likeness) noexcept {
  switch (likeness) {
    case Likeness::kLlm: return "llm";
    case Likeness::kSmall: return "small";
    case Likeness::kOne: return "one";
    case Likeness::kEqual: return "equal";
  }
  return "";
}

std::vector<std::uint64_t> TensorSizes(const StateShape& shape) {
  const std::uint64_t bytes = shape.bytes.value_or(kBytesDefault);
  switch (shape.likeness) {
    case Likeness::kLlm: return LlmSizes(bytes);
    case Likeness::kSmall: return SmallSizes(shape.bytes);
    case Likeness::kOne: return EqualSizes(bytes, 1);
    case Likeness::kEqual: return EqualSizes(bytes, shape.tensors);
  }
  return {};
}

}  // namespace waypost::tool
