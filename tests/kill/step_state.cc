#include "kill/step_state.h"

#include <algorithm>
#include <cstring>
#include <span>

#include "bench/byte_pattern.h"

namespace waypost {
namespace {

constexpr std::byte kPoison{0xA5};
constexpr std::int64_t kNoStep = -1;

std::span<std::byte> BytesOf(const NamedTensor& tensor) {
  return {static_cast<std::byte*>(tensor.tensor.data()), tensor.tensor.size_bytes()};
}

std::span<std::string> StringsOf(const NamedTensor& tensor) {
  return {static_cast<std::string*>(tensor.tensor.data()),
          static_cast<std::size_t>(tensor.tensor.element_count())};
}

bool IsString(const NamedTensor& tensor) { return tensor.tensor.dtype() == DType::kString; }

std::uint64_t SeedOf(std::int64_t step, std::size_t tensor) {
  return static_cast<std::uint64_t>(step) * 1000 + tensor;
}

// Of any length from 0, also with bytes that are no text.
std::string StringOf(std::int64_t step, std::size_t tensor, std::size_t element) {
  const std::uint64_t seed = PatternWord(SeedOf(step, tensor), element);
  std::string text(seed % 300, '\0');
  FillPattern(std::as_writable_bytes(std::span(text)), seed);
  return text;
}

}  // namespace

StepState::StepState() {
  const std::string first = "/device:CPU:0";
  const std::string second = "/device:CPU:1";
  Add("step", DType::kInt64, {}, first);
  Add("dense/kernel", DType::kFloat32, {512, 640}, first);
  Add("dense/kernel/Adam", DType::kFloat32, {512, 640}, second);
  Add("dense/bias", DType::kFloat32, {640}, first);
  Add("embedding", DType::kBFloat16, {2500, 129}, second);
  Add("mask", DType::kUInt8, {70001}, second);
  for (const char* const name : {"small/a", "small/b", "small/c"}) {
    Add(name, DType::kInt32, {333}, name[6] == 'b' ? second : first);
  }
  AddStrings("vocabulary", {50, 8});
  AddStrings("note", {});
  SetStep(0);
}

void StepState::Add(const std::string& name, DType dtype, const Shape& shape,
                    const std::string& device) {
  const auto count = static_cast<std::size_t>(ElementCount(shape));
  std::vector<std::byte>& bytes = bytes_.emplace_back(count * ElementBytes(dtype));
  tensors_.push_back(
      {.name = name, .tensor = TensorView(bytes.data(), dtype, shape), .device = device});
}

void StepState::AddStrings(const std::string& name, const Shape& shape) {
  std::vector<std::string>& strings =
      strings_.emplace_back(static_cast<std::size_t>(ElementCount(shape)));
  tensors_.push_back({.name = name, .tensor = TensorView(strings.data(), DType::kString, shape)});
}

void StepState::SetStep(std::int64_t step) {
  std::memcpy(tensors_[0].tensor.data(), &step, sizeof(step));
  for (std::size_t i = 1; i < tensors_.size(); ++i) {
    if (IsString(tensors_[i])) {
      const std::span<std::string> strings = StringsOf(tensors_[i]);
      for (std::size_t k = 0; k < strings.size(); ++k) strings[k] = StringOf(step, i, k);
    } else {
      FillPattern(BytesOf(tensors_[i]), SeedOf(step, i));
    }
  }
}

void StepState::Poison() {
  const std::string poison_text = "?";
  for (const NamedTensor& tensor : tensors_) {
    if (IsString(tensor)) {
      std::ranges::fill(StringsOf(tensor), poison_text);
    } else {
      std::ranges::fill(BytesOf(tensor), kPoison);
    }
  }
  std::memcpy(tensors_[0].tensor.data(), &kNoStep, sizeof(kNoStep));
}

std::optional<std::int64_t> StepState::Step() const {
  std::int64_t step = kNoStep;
  std::memcpy(&step, tensors_[0].tensor.data(), sizeof(step));
  if (step == kNoStep) return std::nullopt;
  for (std::size_t i = 1; i < tensors_.size(); ++i) {
    if (IsString(tensors_[i])) {
      const std::span<std::string> strings = StringsOf(tensors_[i]);
      for (std::size_t k = 0; k < strings.size(); ++k) {
        if (strings[k] != StringOf(step, i, k)) return std::nullopt;
      }
    } else if (!MatchesPattern(BytesOf(tensors_[i]), SeedOf(step, i))) {
      return std::nullopt;
    }
  }
  return step;
}

}  // namespace waypost
