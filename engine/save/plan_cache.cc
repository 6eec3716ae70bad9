#include "save/plan_cache.h"

#include <algorithm>
#include <utility>

#include "base/check.h"

namespace waypost {
namespace {

constexpr std::size_t kPlansMax = 2;

std::vector<std::uint64_t> StringSizes(const SaveInput& input) {
  std::vector<std::uint64_t> sizes;
  for (std::size_t i = 0; i < input.sources().size(); ++i) {
    if (input.tensors()[i].tensor.dtype() == DType::kString) {
      sizes.push_back(input.sources()[i].size_bytes);
    }
  }
  return sizes;
}

}  // namespace

std::shared_ptr<const TensorList> PlanCache::ListOf(std::span<const NamedTensor> tensors) {
  if (list_ == nullptr || !list_->Equals(tensors)) {
    // The old list goes first: it may be as large as the new one.
    plans_.clear();
    list_.reset();
    list_ = std::make_shared<const TensorList>(tensors);
  }
  return list_;
}

std::shared_ptr<const SavePlan> PlanCache::PlanOf(const SaveInput& input,
                                                  const SavePlanOptions& options) {
  WAYPOST_CHECK(input.list() == list_);
  std::vector<std::uint64_t> sizes = StringSizes(input);
  const auto same = std::find_if(plans_.begin(), plans_.end(), [&](const Kept& kept) {
    return kept.options == options && kept.sizes == sizes;
  });
  if (same != plans_.end()) {
    std::rotate(plans_.begin(), same, same + 1);
    return plans_.front().plan;
  }
  auto plan = std::make_shared<const SavePlan>(PlanSave(input.Describe(), options));
  plans_.insert(plans_.begin(), {options, std::move(sizes), plan});
  if (plans_.size() > kPlansMax) plans_.pop_back();
  return plan;
}

}  // namespace waypost
