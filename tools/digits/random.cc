#include "digits/random.h"

#include <numeric>
#include <utility>

namespace waypost::digits {

std::vector<std::uint32_t> Permutation(std::size_t count, SplitMix64 random) {
  std::vector<std::uint32_t> order(count);
  std::iota(order.begin(), order.end(), 0U);
  for (std::size_t i = count; i > 1; --i) {
    std::swap(order[i - 1], order[random.Below(static_cast<std::uint32_t>(i))]);
  }
  return order;
}

}  // namespace waypost::digits
