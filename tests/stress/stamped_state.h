// StampedState: tensors that all hold one number, the step, in every element.  So whoever reads a
// checkpoint knows by itself whether it is whole and of one step.
//
// Small tensors, which SaveAsync copies, one that is staged, and one of more than a window.
#pragma once

#include <cstdint>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "support/tensor_set.h"
#include "waypost/checkpoint_reader.h"

namespace waypost {

class StampedState {
 public:
  explicit StampedState(const TensorSet::Accelerators& accelerators);

  const std::vector<NamedTensor>& tensors() const noexcept { return set_.tensors(); }
  void Stamp(std::int64_t step);
  // The number that all elements hold; nullopt when they do not agree.
  std::optional<std::int64_t> Step() const;

 private:
  TensorSet set_;
};

// The same of all tensors of an opened checkpoint: read, or mapped.
std::optional<std::int64_t> StepByReading(const CheckpointReader& reader);
std::optional<std::int64_t> StepByMapping(const CheckpointReader& reader);

}  // namespace waypost
