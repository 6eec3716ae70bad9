// SimDevice: what an Engine has of a simulated accelerator, a Device whose work is done in order on
// a thread of its own.
#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "device/device.h"
#include "support/sim_accelerator.h"
#include "support/sim_stream.h"
#include "waypost/error.h"

namespace waypost {

class SimDevice final : public Device {
 public:
  explicit SimDevice(SimAccelerator& accelerator);
  ~SimDevice() override;

  std::string_view name() const noexcept override { return accelerator_.options_.name; }
  bool Owns(const void* address) const noexcept override {
    return accelerator_.memory_.Owns(address);
  }
  // `stream` is null or a SimStream.
  Mark MarkStream(void* stream) override;
  void ReleaseMark(Mark mark) noexcept override;
  Ticket StartCopiesToHost(std::span<const Copy> copies, Mark behind) override;
  Ticket StartCopiesFromHost(std::span<const Copy> copies, Mark behind) override;
  Ticket StartCopiesWithin(std::span<const Copy> copies, Mark behind) override;
  std::optional<Ticket> StartComparison(std::span<const SummedPart> parts,
                                        std::size_t& differing) override;
  std::optional<Ticket> StartHistogram(const ConstTensorView& tensor, HistogramTotals& totals,
                                       Mark behind) override;
  // Throws kInternal for a ticket that was waited for before.
  void Wait(Ticket ticket) override;
  std::byte* AllocateMemory(std::size_t size_bytes) override;
  void FreeMemory(std::byte* memory) noexcept override { accelerator_.memory_.Free(memory); }

  // Throws kInvalidArgument for memory that is registered already.
  void RegisterHostMemory(std::span<std::byte> memory) override;
  void UnregisterHostMemory(std::span<std::byte> memory) noexcept override;

 private:
  enum class Kind { kToHost, kFromHost, kWithin, kComparison, kHistogram };
  // What one ticket stands for.
  struct Job {
    Kind kind = Kind::kToHost;
    std::vector<Copy> copies;
    std::vector<SummedPart> parts;
    std::size_t* differing = nullptr;
    ConstTensorView tensor;
    HistogramTotals* totals = nullptr;
    SimStream::Event behind;
    bool has_waiter = false;
    bool has_ended = false;
    std::optional<Error> error;
  };
  // Addresses of the accelerator, replaced by those of their bytes, which are kept.
  struct Reached {
    std::vector<Copy> copies;
    std::vector<SummedPart> parts;
    ConstTensorView tensor;
    std::vector<std::shared_ptr<std::byte>> memory;
    std::size_t link_bytes = 0;
  };

  Ticket StartCopies(Kind kind, std::span<const Copy> copies, Mark behind);
  Ticket Start(Job job, Mark behind);
  // Throws kInvalidArgument for what is not within one block of the accelerator's memory.
  Reached Reach(const Job& job) const;
  void Loop(const std::stop_token& stop);
  // Does a job whose turn it is; what went wrong, if anything did.  Unlocks while it copies.
  std::optional<Error> Perform(const Job& job, std::unique_lock<std::mutex>& lock,
                               const std::stop_token& stop);

  SimAccelerator& accelerator_;
  // Guarded by the accelerator's mutex.
  std::map<Mark, SimStream::Event> marks_;
  Mark mark_last_ = 0;
  std::map<Ticket, Job> jobs_;  // those that were not waited for
  Ticket started_ = 0;
  Ticket turn_ = 1;         // the next that the thread takes
  Ticket waited_last_ = 0;  // the highest that somebody waits for, or has
  std::map<const std::byte*, std::size_t> registered_;

  std::jthread thread_;
};

}  // namespace waypost
