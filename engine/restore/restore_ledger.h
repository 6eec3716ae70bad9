// RestoreLedger keeps account of what has become of each target of a restore.
//
// Threads: any, at once; read the names when all of them have ended.
#pragma once

#include <atomic>
#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "waypost/engine.h"

namespace waypost {

class RestoreLedger {
 public:
  explicit RestoreLedger(std::size_t target_count) : accounts_(target_count) {}

  // One more part is needed for the target.
  void Expect(std::size_t target) noexcept { ++accounts_[target].parts_left; }
  // Its memory is about to be written.
  void Begin(std::size_t target) noexcept { Set(accounts_[target].is_begun); }
  // A copy to its device has failed.
  void Spoil(std::size_t target) noexcept { Set(accounts_[target].is_spoilt); }
  // What becomes of one of targets that share memory becomes of all.  Once no thread writes any
  // more.
  void Unite(std::span<const std::size_t> targets);
  // One of its parts is there, and is what was saved.
  void PartDone(std::size_t target) noexcept { --accounts_[target].parts_left; }

  // Names of the targets that hold the checkpoint's values, and of those that hold neither these
  // nor what they held before.
  std::vector<std::string> Assigned(std::span<const NamedTensor> targets) const;
  std::vector<std::string> Undefined(std::span<const NamedTensor> targets) const;

 private:
  struct Account {
    std::atomic<std::size_t> parts_left = 0;
    std::atomic<bool> is_begun = false;
    std::atomic<bool> is_spoilt = false;

    bool IsAssigned() const noexcept { return parts_left == 0 && !is_spoilt; }
  };

  // A store only where it changes something: threads that write one tensor share its account.
  static void Set(std::atomic<bool>& flag) noexcept {
    if (!flag.load(std::memory_order_relaxed)) flag = true;
  }

  std::vector<Account> accounts_;
};

}  // namespace waypost
