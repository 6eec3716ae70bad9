// SimState: what a SimFileSystem shares with the files, locks and backends it made.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <optional>
#include <random>

#include "support/sim_model.h"
#include "waypost/error.h"

namespace waypost {

// Thrown by the call during which the simulated power fails, and by all later ones.
class PowerCut : public Error {
 public:
  PowerCut() : Error(Code::kUnavailable, "simulated power cut") {}
};

struct SimState {
  SimState(SimModel the_model, std::uint64_t seed) : model(std::move(the_model)), random(seed) {}

  // All of these require `mutex` to be held.
  void CheckPower() const {
    if (power_is_off) throw PowerCut();
  }
  // Before each call that changes something; this is where the power fails.
  void CountOperation() {
    CheckPower();
    if (cut_at && operations >= *cut_at) {
      power_is_off = true;
      lock_released.notify_all();
      throw PowerCut();
    }
    ++operations;
  }
  // Whether this sync is the one that is to fail.
  bool NextSyncFails() {
    if (!syncs_before_failure) return false;
    if ((*syncs_before_failure)-- > 0) return false;
    syncs_before_failure.reset();
    return true;
  }

  std::mutex mutex;
  std::condition_variable lock_released;
  // Guarded by mutex: all that follows.
  SimModel model;
  std::mt19937_64 random;
  std::uint64_t operations = 0;
  std::optional<std::uint64_t> cut_at;
  bool power_is_off = false;
  std::optional<std::uint64_t> syncs_before_failure;
  bool has_locks = true;
};

}  // namespace waypost
