#include "restore/restore_ledger.h"

namespace waypost {

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
