// StepState: a training job's tensors, a few megabytes, whose whole content is a function of the
// step.
//
// So a restored checkpoint tells by itself whether it is whole and of one step: its tensor "step"
// says what all the others must hold.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "waypost/engine.h"

namespace waypost {

class StepState {
 public:
  StepState();
  StepState(const StepState&) = delete;
  StepState& operator=(const StepState&) = delete;

  // The memory stays where it is.  Half of the tensors have another device than the others.
  const std::vector<NamedTensor>& tensors() const noexcept { return tensors_; }

  void SetStep(std::int64_t step);
  // Content that belongs to no step.
  void Poison();
  // The step whose content all tensors hold; nullopt when they hold no step's, or those of several.
  std::optional<std::int64_t> Step() const;

 private:
  void Add(const std::string& name, DType dtype, const Shape& shape, const std::string& device);
  void AddStrings(const std::string& name, const Shape& shape);

  std::vector<NamedTensor> tensors_;
  std::vector<std::vector<std::byte>> bytes_;  // of the tensors that are no strings, in their order
  std::vector<std::vector<std::string>> strings_;  // of the others
};

}  // namespace waypost
