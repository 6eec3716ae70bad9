// DamageLines: a line for each thing that is damaged, as many as somebody may want to read.
//
// A small file can be made to be damaged in millions of places; all of them are counted.
#pragma once

#include <cstddef>
#include <string>
#include <utility>
#include <vector>

namespace waypost::tool {

class DamageLines {
 public:
  static constexpr std::size_t kLinesMax = 1000;

  void Add(std::string line) {
    ++count_;
    if (lines_.size() < kLinesMax) lines_.push_back(std::move(line));
  }

  std::size_t count() const noexcept { return count_; }
  bool empty() const noexcept { return count_ == 0; }
  // The first ones.
  const std::vector<std::string>& lines() const noexcept { return lines_; }

 private:
  std::size_t count_ = 0;
  std::vector<std::string> lines_;
};

}  // namespace waypost::tool
