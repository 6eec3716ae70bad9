// Scratch hands out what it has and no more, wherever its memory begins.
#include "cuda/algorithms/scratch.h"

#include <gtest/gtest.h>

#include <vector>

#include "support/expect_error.h"

namespace waypost::device_algorithm {
namespace {

TEST(Scratch, HoldsWhatBytesForSays) {
  std::vector<std::byte> memory(4096);
  for (std::size_t begin = 0; begin < 300; ++begin) {
    const std::size_t size = Scratch::BytesFor(100) + Scratch::BytesFor(1000);
    Scratch scratch({memory.data() + begin, size});
    const auto* first = scratch.Take<char>(100);
    const auto* second = scratch.Take<double>(125);
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(first) % 256, 0U);
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(second) % 256, 0U);
    EXPECT_GE(reinterpret_cast<const char*>(second), first + 100);
    EXPECT_LE(reinterpret_cast<const std::byte*>(second + 125), memory.data() + begin + size);
  }
}

TEST(Scratch, ThrowsWhenItIsUsedUp) {
  alignas(256) std::byte memory[1024];
  Scratch scratch(memory);
  scratch.Take<char>(1000);
  EXPECT_EQ(CodeOf([&] { scratch.Take<char>(100); }), Code::kInvalidArgument);
  EXPECT_EQ(CodeOf([] { Scratch({}).Take<char>(1); }), Code::kInvalidArgument);
}

}  // namespace
}  // namespace waypost::device_algorithm
