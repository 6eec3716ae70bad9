// The handwritten digits that train_digits learns from (tools/data/README.md says where they come
// from).
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace waypost::digits {

inline constexpr std::size_t kPixels = 64;
inline constexpr std::size_t kClasses = 10;

struct Dataset {
  std::vector<float> pixels;         // kPixels for each image, 0 to 1
  std::vector<std::uint8_t> labels;  // 0 to 9

  std::size_t size() const noexcept { return labels.size(); }
  const float* image(std::size_t index) const noexcept { return pixels.data() + index * kPixels; }
};

// Reads a file of lines with 64 pixels (0 to 16) and the digit, separated by commas.  Throws
// kNotFound when it cannot be opened, kDataLoss naming the first line that is otherwise, or when
// there is none.
Dataset LoadDigits(const std::string& path);

// Numbers of the images to learn from and of those to test with; disjoint, together all.
struct Split {
  std::vector<std::uint32_t> train;  // four fifths
  std::vector<std::uint32_t> test;
};

// The same for the same arguments on every machine.
Split SplitDigits(std::size_t image_count, std::uint64_t seed);

}  // namespace waypost::digits
