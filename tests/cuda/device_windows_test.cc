// Windows are packed and scattered as memcpy would do it, and nothing else is written.
#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "base/units.h"
#include "cuda/device_algorithms_test.h"

namespace waypost {
namespace {

constexpr std::byte kUntouched{0xA5};

class DeviceWindows : public DeviceAlgorithmsTest {
 protected:
  struct Layout {
    std::size_t size;
    std::uint64_t offset;
    std::size_t alignment;  // of the tensor's memory: so many bytes into a word
  };

  // Pieces one after the other, often without a gap, up to the end of the window and beyond it.
  std::vector<Layout> RandomLayout(std::size_t window_size, std::uint64_t piece_max, bool aligned) {
    std::vector<Layout> layout;
    for (std::uint64_t offset = Random(40); offset < window_size;) {
      if (aligned) offset = AlignUp(offset, 16);
      const std::size_t size = Random(5) == 0 ? 0 : Random(piece_max);
      layout.push_back({.size = size, .offset = offset, .alignment = aligned ? 0 : Random(16)});
      offset += size + (Random(2) == 0 ? 0 : Random(100));
    }
    return layout;
  }

  void ExpectPacked(const std::vector<Layout>& layout, std::size_t window_size) {
    std::vector<PackPiece> pieces;
    std::vector<std::byte> expected(window_size);
    for (const Layout& at : layout) {
      const std::byte* source = RandomBytes(at.size + at.alignment).data() + at.alignment;
      pieces.push_back({.source = source, .size = at.size, .offset = at.offset});
      for (std::size_t i = 0; i < at.size && at.offset + i < window_size; ++i) {
        expected[at.offset + i] = source[i];
      }
    }
    const std::span<std::byte> window = device_->Allocate(window_size);
    std::fill(window.begin(), window.end(), kUntouched);
    device_->Pack(Upload(pieces), window);
    ASSERT_TRUE(std::equal(window.begin(), window.end(), expected.begin()));
  }

  void ExpectScattered(const std::vector<Layout>& layout, std::size_t window_size) {
    constexpr std::size_t kGuard = 16;
    const std::span<const std::byte> window = RandomBytes(window_size);
    std::vector<ScatterPiece> pieces;
    std::vector<std::span<std::byte>> memories;
    for (const Layout& at : layout) {
      const auto memory = device_->Allocate(at.alignment + at.size + kGuard);
      std::fill(memory.begin(), memory.end(), kUntouched);
      memories.push_back(memory);
      pieces.push_back(
          {.target = memory.data() + at.alignment, .size = at.size, .offset = at.offset});
    }
    device_->Scatter(Upload(pieces), window);
    for (std::size_t k = 0; k < layout.size(); ++k) {
      std::vector<std::byte> expected(memories[k].size(), kUntouched);
      for (std::size_t i = 0; i < layout[k].size && layout[k].offset + i < window_size; ++i) {
        expected[layout[k].alignment + i] = window[layout[k].offset + i];
      }
      ASSERT_TRUE(std::equal(expected.begin(), expected.end(), memories[k].begin())) << k;
    }
  }
};

TEST_F(DeviceWindows, ArePackedAndScatteredWhateverThePieces) {
  for (const std::size_t window_size : {0UL, 1UL, 15UL, 16UL, 17UL, 1000UL, 4096UL, 100'003UL}) {
    for (const std::uint64_t piece_max : {3UL, 40UL, 700UL, 50'000UL}) {
      for (const bool aligned : {false, true}) {
        const std::vector<Layout> layout = RandomLayout(window_size, piece_max, aligned);
        ExpectPacked(layout, window_size);
        ExpectScattered(layout, window_size);
      }
    }
  }
}

TEST_F(DeviceWindows, OfThousandsOfTensorsAreOneLaunch) {
  std::vector<Layout> layout;
  for (std::uint64_t offset = 0; offset < kWindowBytes; offset += 1024) {
    layout.push_back({.size = 1 + Random(1000), .offset = offset, .alignment = 0});
  }
  ExpectPacked(layout, kWindowBytes);
  ExpectScattered(layout, kWindowBytes);
}

TEST_F(DeviceWindows, WithoutPiecesAreZeros) {
  ExpectPacked({}, 100);
  ExpectScattered({}, 100);
}

}  // namespace
}  // namespace waypost
