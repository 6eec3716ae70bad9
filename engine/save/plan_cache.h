// PlanCache keeps the list of tensors of the last save and its plans, for the usual case that the
// next save has the same variables: then nothing is validated, sorted or laid out again.
//
// Two plans are kept, since a save over one prefix alternates between two numbers of shards.
//
// Threads: one at a time.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "save/save_input.h"
#include "save/save_planner.h"

namespace waypost {

class PlanCache {
 public:
  // The list that is kept if it is equal, else a new one.  Throws what TensorList throws.
  std::shared_ptr<const TensorList> ListOf(std::span<const NamedTensor> tensors);
  // Requires: `input` is over the list that ListOf gave last.
  std::shared_ptr<const SavePlan> PlanOf(const SaveInput& input, const SavePlanOptions& options);

 private:
  struct Kept {
    SavePlanOptions options;
    std::vector<std::uint64_t> sizes;  // of the string tensors, which change from save to save
    std::shared_ptr<const SavePlan> plan;
  };

  std::shared_ptr<const TensorList> list_;
  std::vector<Kept> plans_;  // of list_, the last used one first
};

}  // namespace waypost
