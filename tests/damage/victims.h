// Checkpoints to be damaged, of every kind; each can be made in two steps, with the same files,
// shapes and sizes and other values.
#pragma once

#include <functional>
#include <ostream>
#include <string>
#include <vector>

namespace waypost {

struct Victim {
  std::string name;
  enum class Format { kOwn, kTensorFlow, kV1 } format = Format::kOwn;
  bool is_large = false;  // megabytes, or thousands of tensors
  // Makes step 1 or 2 in a directory, and returns the prefix.
  std::function<std::string(const std::string& directory, int step)> make;
};

inline void PrintTo(const Victim& victim, std::ostream* stream) { *stream << victim.name; }

std::vector<Victim> AllVictims();

}  // namespace waypost
