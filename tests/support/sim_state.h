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

// What the backends of one simulated disk have done so far.
struct SimTransferCounts {
  std::uint64_t whole = 0;
  std::uint64_t shortened = 0;
  std::uint64_t interrupted = 0;
  std::uint64_t overtook = 0;         // ended before one that its backend was given earlier
  std::uint64_t overtook_others = 0;  // the same, of another file
  std::size_t in_flight = 0;
  std::size_t in_flight_most = 0;
  std::size_t backends_busy = 0;  // with a transfer in flight
  std::size_t backends_busy_most = 0;
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
    if (is_read_only) {
      throw Error(Code::kUnavailable, "simulated disk: it is read-only since a sync failed");
    }
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
    is_read_only = read_only_after_failure;
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
  bool read_only_after_failure = false;
  bool is_read_only = false;
  SimTransferCounts transfers;
  bool transfers_at_once = false;
  bool has_locks = true;
};

}  // namespace waypost
