// The files of tests/golden, which TensorFlow wrote, and what it says of them.
#pragma once

#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string>

#include "support/test_paths.h"

namespace waypost {

inline std::string GoldenPath(const std::string& name) { return TestDataDir() + "/golden/" + name; }

inline std::string ReadGolden(const std::string& name) {
  std::ifstream file(GoldenPath(name), std::ios::binary);
  if (!file) throw std::runtime_error("no golden file " + name);
  return {std::istreambuf_iterator<char>(file), {}};
}

// expected.json; tests/golden/README.md says how it was made.
inline const nlohmann::json& GoldenExpectations() {
  static const nlohmann::json expected = nlohmann::json::parse(ReadGolden("expected.json"));
  return expected;
}

}  // namespace waypost
