#include "digits/batch_source.h"

#include <algorithm>
#include <utility>

#include "digits/random.h"

namespace waypost::digits {

BatchSource::BatchSource(std::uint64_t seed, std::vector<std::uint32_t> images,
                         std::size_t batch_size)
    : images_(std::move(images)), batch_size_(batch_size), state_{seed, 0, 0} {}

std::span<const std::uint32_t> BatchSource::Batch() {
  const auto [seed, epoch, used] = state_;
  if (order_.empty() || order_of_ != std::array{seed, epoch}) {
    // Mixed once, so that neighbouring epochs have nothing in common.
    order_ = Permutation(images_.size(), SplitMix64(SplitMix64(seed + epoch).Next() ^ seed));
    for (std::uint32_t& image : order_) image = images_[image];
    order_of_ = {seed, epoch};
  }
  const std::size_t begin = std::min<std::size_t>(used, order_.size() - batch_size_);
  return std::span(order_).subspan(begin, batch_size_);
}

void BatchSource::Advance() {
  state_[2] += batch_size_;
  // Images that do not fill a batch wait for another epoch's order.
  if (state_[2] + batch_size_ > images_.size()) state_ = {state_[0], state_[1] + 1, 0};
}

}  // namespace waypost::digits
