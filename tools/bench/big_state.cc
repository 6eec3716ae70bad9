#include "bench/big_state.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <numeric>

#include "base/units.h"
#include "bench/byte_pattern.h"

namespace waypost {
namespace {

constexpr std::byte kPoison{0xA5};
constexpr std::size_t kListedMax = 10;
// What is written to the memory and read from it at once: it stays in the processor's cache.
constexpr std::size_t kBufferBytes = 512 * kKiB;
// Where frameworks put their tensors: at cache lines, and seldom at pages.
constexpr std::uint64_t kAlignment = 64;

std::uint64_t MappedBytes(const std::vector<std::uint64_t>& tensor_bytes) {
  return std::accumulate(
      tensor_bytes.begin(), tensor_bytes.end(), std::uint64_t{0},
      [](std::uint64_t sum, std::uint64_t size) { return sum + AlignUp(size, kAlignment); });
}

std::unique_ptr<StateMemory> MakeMemory(std::optional<int> gpu, std::size_t size) {
  return gpu ? MakeGpuMemory(*gpu, size) : MakeHostMemory(size);
}

std::span<std::byte> BytesOf(const NamedTensor& tensor) {
  return {static_cast<std::byte*>(tensor.tensor.data()), tensor.tensor.size_bytes()};
}

// Calls visit(part, first word) for all of `bytes`, in parts of no more than a buffer's size.
template <typename Visit>
void ForEachPart(std::span<std::byte> bytes, std::size_t buffer_size, Visit&& visit) {
  for (std::size_t begin = 0; begin < bytes.size(); begin += buffer_size) {
    visit(bytes.subspan(begin, std::min(buffer_size, bytes.size() - begin)),
          begin / sizeof(std::uint64_t));
  }
}

}  // namespace

BigState::BigState(const std::vector<std::uint64_t>& tensor_bytes, std::optional<int> gpu)
    : memory_(MakeMemory(gpu, MappedBytes(tensor_bytes))),
      size_bytes_(std::accumulate(tensor_bytes.begin(), tensor_bytes.end(), std::uint64_t{0})) {
  tensors_.reserve(tensor_bytes.size());
  std::vector<std::byte> buffer(kBufferBytes);
  std::byte* next = memory_->memory().data();
  for (const std::uint64_t size : tensor_bytes) {
    const std::size_t number = tensors_.size();
    tensors_.push_back(
        {.name = fmt::format("layer{:06}/kernel/Adam", number),
         .tensor = TensorView(next, DType::kFloat32, {static_cast<std::int64_t>(size / 4)})});
    ForEachPart({next, size}, buffer.size(), [&](std::span<std::byte> part, std::uint64_t word) {
      const auto filled = std::span(buffer).first(part.size());
      FillPattern(filled, number, word);
      memory_->Write(part.data(), filled);
    });
    next += AlignUp(size, kAlignment);
  }
}

void BigState::Poison() {
  const std::vector<std::byte> poison(kBufferBytes, kPoison);
  ForEachPart(memory_->memory(), poison.size(), [&](std::span<std::byte> part, std::uint64_t) {
    memory_->Write(part.data(), std::span(poison).first(part.size()));
  });
}

std::vector<std::string> BigState::Wrong() const {
  std::vector<std::string> wrong;
  std::vector<std::byte> buffer(kBufferBytes);
  for (std::size_t i = 0; i < tensors_.size() && wrong.size() < kListedMax; ++i) {
    bool matches = true;
    ForEachPart(BytesOf(tensors_[i]), buffer.size(),
                [&](std::span<std::byte> part, std::uint64_t word) {
                  const auto bytes = std::span(buffer).first(part.size());
                  memory_->Read(bytes, part.data());
                  matches = matches && MatchesPattern(bytes, i, word);
                });
    if (!matches) wrong.push_back(tensors_[i].name);
  }
  return wrong;
}

}  // namespace waypost
