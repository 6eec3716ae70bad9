#include "stress/stamped_state.h"

#include <algorithm>
#include <cstring>
#include <span>

namespace waypost {
namespace {

constexpr std::int64_t kWidth = sizeof(std::int64_t);

// Gathers numbers that should all be one.
class OneNumber {
 public:
  void Add(const void* bytes, std::size_t size) {
    for (std::size_t at = 0; at < size; at += static_cast<std::size_t>(kWidth)) {
      std::int64_t number = 0;
      std::memcpy(&number, static_cast<const std::byte*>(bytes) + at, sizeof number);
      is_one_ = is_one_ && (!number_ || *number_ == number);
      number_ = number;
    }
  }
  std::optional<std::int64_t> number() const { return is_one_ ? number_ : std::nullopt; }

 private:
  std::optional<std::int64_t> number_;
  bool is_one_ = true;
};

}  // namespace

StampedState::StampedState(const TensorSet::Accelerators& accelerators) : set_(accelerators) {
  std::mt19937_64 random(1);
  set_.Add("step", DType::kInt64, {}, random);
  set_.Add("small", DType::kInt64, {3, 5}, random);
  set_.Add("staged", DType::kInt64, {20'000}, random);
  set_.Add("windows", DType::kInt64, {600'000}, random);
}

void StampedState::Stamp(std::int64_t step) {
  for (std::size_t i = 0; i < set_.tensors().size(); ++i) {
    std::string bytes(set_.tensors()[i].tensor.size_bytes(), '\0');
    for (std::size_t at = 0; at < bytes.size(); at += sizeof step) {
      std::memcpy(bytes.data() + at, &step, sizeof step);
    }
    set_.SetContent(i, bytes);
  }
}

std::optional<std::int64_t> StampedState::Step() const {
  OneNumber step;
  for (std::size_t i = 0; i < set_.tensors().size(); ++i) {
    const std::string bytes = set_.Content(i);
    step.Add(bytes.data(), bytes.size());
  }
  return step.number();
}

std::optional<std::int64_t> StepByReading(const CheckpointReader& reader) {
  OneNumber step;
  for (const CheckpointReader::TensorInfo& info : reader.List()) {
    std::vector<std::int64_t> values(static_cast<std::size_t>(ElementCount(info.shape)));
    reader.Read(info.name, TensorView(values.data(), info.dtype, info.shape));
    step.Add(values.data(), std::span(values).size_bytes());
  }
  return step.number();
}

std::optional<std::int64_t> StepByMapping(const CheckpointReader& reader) {
  OneNumber step;
  for (const CheckpointReader::TensorInfo& info : reader.List()) {
    const MappedTensor mapped = reader.Map(info.name);
    step.Add(mapped.view().data(), mapped.view().size_bytes());
  }
  return step.number();
}

}  // namespace waypost
