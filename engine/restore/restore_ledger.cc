#include "restore/restore_ledger.h"

#include <algorithm>

namespace waypost {

void RestoreLedger::Unite(std::span<const std::size_t> targets) {
  const auto is_begun = [&](std::size_t target) { return accounts_[target].is_begun.load(); };
  const auto is_lost = [&](std::size_t target) {
    return is_begun(target) && !accounts_[target].IsAssigned();
  };
  if (std::ranges::any_of(targets, is_lost)) {
    for (const std::size_t target : targets) Spoil(target);
  }
  if (std::ranges::any_of(targets, is_begun)) {
    for (const std::size_t target : targets) Begin(target);
  }
}

std::vector<std::string> RestoreLedger::Assigned(std::span<const NamedTensor> targets) const {
  std::vector<std::string> names;
  for (std::size_t i = 0; i < accounts_.size(); ++i) {
    if (accounts_[i].IsAssigned()) names.push_back(targets[i].name);
  }
  return names;
}

std::vector<std::string> RestoreLedger::Undefined(std::span<const NamedTensor> targets) const {
  std::vector<std::string> names;
  for (std::size_t i = 0; i < accounts_.size(); ++i) {
    if (accounts_[i].is_begun && !accounts_[i].IsAssigned()) names.push_back(targets[i].name);
  }
  return names;
}

}  // namespace waypost
