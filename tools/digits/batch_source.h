// BatchSource: which images make up the next minibatch.  Its whole state is three numbers.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace waypost::digits {

// Goes through the images in a new random order each epoch.  The order is a function of seed and
// epoch alone, so that a checkpoint holds three numbers instead of a permutation and a resumed job
// continues with the very image that came next.
//
// The state may be changed between calls from outside: a restore does that.
class BatchSource {
 public:
  using State = std::array<std::uint64_t, 3>;  // seed, epoch, images of this epoch already used

  // `images` must be at least `batch_size`.
  BatchSource(std::uint64_t seed, std::vector<std::uint32_t> images, std::size_t batch_size);

  // The next batch; the same at every call until Advance.  Valid until the next call.
  std::span<const std::uint32_t> Batch();
  void Advance();

  State& state() noexcept { return state_; }
  const State& state() const noexcept { return state_; }

 private:
  std::vector<std::uint32_t> images_;
  std::size_t batch_size_;
  State state_;
  // Of the epoch that `order_of_` names; made anew when the state says another one.
  std::vector<std::uint32_t> order_;
  std::array<std::uint64_t, 2> order_of_{};
};

}  // namespace waypost::digits
