#include "digits/dataset.h"

#include <fmt/format.h>

#include <charconv>
#include <fstream>
#include <string_view>

#include "digits/random.h"
#include "waypost/error.h"

namespace waypost::digits {
namespace {

constexpr unsigned kPixelMax = 16;

bool ParseNumber(std::string_view text, unsigned max, unsigned& value) {
  const char* end = text.data() + text.size();
  const auto [stopped, error] = std::from_chars(text.data(), end, value);
  return error == std::errc{} && stopped == end && value <= max;
}

bool AppendLine(std::string_view line, Dataset& data) {
  unsigned value = 0;
  for (std::size_t i = 0; i < kPixels; ++i) {
    const std::size_t comma = line.find(',');
    if (comma == std::string_view::npos || !ParseNumber(line.substr(0, comma), kPixelMax, value))
      return false;
    data.pixels.push_back(static_cast<float>(value) / static_cast<float>(kPixelMax));
    line.remove_prefix(comma + 1);
  }
  if (!ParseNumber(line, kClasses - 1, value)) return false;
  data.labels.push_back(static_cast<std::uint8_t>(value));
  return true;
}

}  // namespace

Dataset LoadDigits(const std::string& path) {
  std::ifstream file(path);
  if (!file) throw Error(Code::kNotFound, fmt::format("open {}: no such readable file", path));
  Dataset data;
  for (std::string line; std::getline(file, line);) {
    if (!AppendLine(line, data)) {
      throw Error(Code::kDataLoss,
                  fmt::format("read {}: line {} is not 64 pixels from 0 to 16 and a digit", path,
                              data.size() + 1));
    }
  }
  if (file.bad()) throw Error(Code::kDataLoss, fmt::format("read {}: input error", path));
  if (data.size() == 0)
    throw Error(Code::kDataLoss, fmt::format("read {}: the file is empty", path));
  return data;
}

Split SplitDigits(std::size_t image_count, std::uint64_t seed) {
  Split split;
  split.train = Permutation(image_count, SplitMix64(seed));
  const auto begin = split.train.begin() + static_cast<std::ptrdiff_t>(image_count * 4 / 5);
  split.test.assign(begin, split.train.end());
  split.train.erase(begin, split.train.end());
  return split;
}

}  // namespace waypost::digits
