#include "bench/big_state.h"

#include <fmt/format.h>
#include <sys/mman.h>

#include <cerrno>
#include <cstring>
#include <numeric>

#include "base/errno_error.h"
#include "base/units.h"
#include "bench/byte_pattern.h"

namespace waypost {
namespace {

constexpr int kPoison = 0xA5;
constexpr std::size_t kListedMax = 10;
// Where frameworks put their tensors: at cache lines, and seldom at pages.
constexpr std::uint64_t kAlignment = 64;

std::uint64_t MappedBytes(const std::vector<std::uint64_t>& tensor_bytes) {
  return std::accumulate(
      tensor_bytes.begin(), tensor_bytes.end(), std::uint64_t{0},
      [](std::uint64_t sum, std::uint64_t size) { return sum + AlignUp(size, kAlignment); });
}

std::span<std::byte> Map(std::size_t size) {
  void* const memory =
      ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) throw ErrnoError("map", "the state", errno, IoDirection::kWrite);
  return {static_cast<std::byte*>(memory), size};
}

std::span<std::byte> BytesOf(const NamedTensor& tensor) {
  return {static_cast<std::byte*>(tensor.tensor.data()), tensor.tensor.size_bytes()};
}

}  // namespace

BigState::BigState(const std::vector<std::uint64_t>& tensor_bytes)
    : memory_(Map(MappedBytes(tensor_bytes))),
      size_bytes_(std::accumulate(tensor_bytes.begin(), tensor_bytes.end(), std::uint64_t{0})) {
  tensors_.reserve(tensor_bytes.size());
  std::byte* next = memory_.data();
  for (const std::uint64_t size : tensor_bytes) {
    const std::size_t number = tensors_.size();
    tensors_.push_back(
        {.name = fmt::format("layer{:06}/kernel/Adam", number),
         .tensor = TensorView(next, DType::kFloat32, {static_cast<std::int64_t>(size / 4)})});
    FillPattern({next, size}, number);
    next += AlignUp(size, kAlignment);
  }
}

BigState::~BigState() { ::munmap(memory_.data(), memory_.size()); }

void BigState::Poison() { std::memset(memory_.data(), kPoison, memory_.size()); }

std::vector<std::string> BigState::Wrong() const {
  std::vector<std::string> wrong;
  for (std::size_t i = 0; i < tensors_.size() && wrong.size() < kListedMax; ++i) {
    if (!MatchesPattern(BytesOf(tensors_[i]), i)) wrong.push_back(tensors_[i].name);
  }
  return wrong;
}

}  // namespace waypost
