// SimAccelerator: an accelerator in software, for what must work without a GPU, and for faults that
// no GPU gives when asked.
//
//   SimStream: the caller's work ──event──► a device's copy thread ──link──► SimMemory
//
// The host cannot touch its memory (sim_memory.h).  A copy is done by a thread of the device,
// behind the caller's stream, as slowly as the link's rate says.  Until it has ended its target
// holds poison, so that whoever uses the target, or gives the source away, without having waited
// shows by wrong bytes.
//
// Each Engine is given a Device of its own by MakeDevice(), as each has its own stream on a GPU;
// what is said here of copies holds over all devices of the accelerator.
//
// Threads:  any.
// Lifetime: an accelerator outlives its devices, its streams and its memory.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <random>
#include <span>
#include <stop_token>
#include <string>
#include <vector>

#include "device/device.h"
#include "support/sim_memory.h"
#include "waypost/error.h"

namespace waypost {

struct SimAcceleratorOptions {
  std::string name = "sim:0";
  std::size_t memory_bytes = std::size_t{1} << 30;
  // What the link carries, both ways together; 0: no limit.
  std::uint64_t bytes_per_second = 0;
  // A copy begins only when it or a later one of its device is waited for: what relies on a copy
  // that nobody waited for fails every time, and not only when the copy thread was slow.
  bool copies_late = false;
  // Whether it sums its memory itself.
  bool sums = true;
  // Whether it counts histograms itself.
  bool counts = true;
  // The longest of the random pauses before a copy, before it has ended, and before the call that
  // starts it or waits for it returns.  The order of a device's copies stays; what Device leaves
  // open varies: when they begin and end beside the host's threads and another device's copies.
  std::chrono::microseconds pause_max{0};
  std::uint64_t seed = 1;  // of the pauses
};

class SimAccelerator {
 public:
  static constexpr std::byte kPoison = SimMemory::kPoison;

  explicit SimAccelerator(SimAcceleratorOptions options = {});
  SimAccelerator(const SimAccelerator&) = delete;
  SimAccelerator& operator=(const SimAccelerator&) = delete;

  std::unique_ptr<Device> MakeDevice();

  // ---- Memory, as a job on the accelerator uses it ----
  struct Free {
    SimMemory* memory = nullptr;
    void operator()(const std::byte* address) const noexcept { memory->Free(address); }
  };
  using Memory = std::unique_ptr<std::byte[], Free>;
  // Poisoned memory.  Throws kResourceExhausted when there is not as much left.
  Memory Allocate(std::size_t size_bytes) { return {memory_.Allocate(size_bytes), {&memory_}}; }
  // What a kernel does: at once, not behind any stream.  Requires: memory of this accelerator.
  void Write(std::byte* target, std::span<const std::byte> source);
  std::vector<std::byte> Read(const std::byte* source, std::size_t size) const;

  // ---- Faults ----
  // The start of the copy with this number from now on throws kResourceExhausted.
  void RunOutOfMemoryAtStart(std::uint64_t number);
  // When it is the turn of the copy with this number from now on, the accelerator is lost: this
  // copy and all that have not ended throw kUnavailable to who waits for them, and so do later
  // starts.
  void LoseAtCopy(std::uint64_t number);

  // ---- What devices did ----
  // Copies that were started and not waited for, also those whose device is gone.
  std::size_t unwaited_tickets() const;
  // Marks that nobody has released.
  std::size_t unreleased_marks() const;
  // Waits until there is such a copy.
  void AwaitStart();
  // Memory that is allocated now, by whomever.
  std::size_t used_bytes() const { return memory_.used_bytes(); }
  // Host memory that is registered now.
  std::size_t registered_bytes() const;

 private:
  friend class SimDevice;
  friend class SimStream;

  Error LostError() const;
  // Throws what a start must throw now.  Requires: mutex_ is held, as for the following.
  void CheckStart();
  // Counts a copy whose turn it is; true when the accelerator is lost by now.
  bool IsLostAtThisCopy();
  // When the link will have carried `size` more bytes.
  std::chrono::steady_clock::time_point TakeLink(std::size_t size);
  // Pauses, unlocked, for a random time; not longer than until the accelerator is lost or `stop`.
  void Pause(std::unique_lock<std::mutex>& lock, const std::stop_token& stop = {});

  const SimAcceleratorOptions options_;
  SimMemory memory_;
  // One mutex and one condition for the accelerator, its devices and its streams: a copy waits for
  // a stream, for the link and for the loss of the accelerator at once.
  mutable std::mutex mutex_;
  std::condition_variable_any changed_;
  // All guarded by mutex_.
  std::mt19937_64 random_;
  std::chrono::steady_clock::time_point link_free_at_;
  std::optional<std::uint64_t> starts_before_shortage_;
  std::optional<std::uint64_t> copies_before_loss_;
  bool is_lost_ = false;
  std::size_t unwaited_tickets_ = 0;
  std::size_t unreleased_marks_ = 0;
  std::size_t registered_bytes_ = 0;
};

}  // namespace waypost
