// The fuzz targets' functions over a few thousand mutated seeds, and over what was found
// (regressions/): they come back, whatever they are given. Each input lies in an allocation of its
// exact size, so that the address sanitizer sees a read beyond it.
#include "fuzz/decoders.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>

#include "support/seed.h"
#include "support/test_paths.h"

namespace waypost {
namespace {

constexpr int kRounds = 2000;

std::string Mutate(std::string bytes, const std::string& other, std::mt19937_64& random) {
  for (std::uint64_t changes = random() % 4; changes > 0 && !bytes.empty(); --changes) {
    const std::size_t at = random() % bytes.size();
    switch (random() % 5) {
      case 0: bytes[at] = static_cast<char>(random()); break;
      case 1: bytes[at] = static_cast<char>(bytes[at] ^ (1 << (random() % 8))); break;
      case 2: bytes.erase(at, 1 + random() % 8); break;
      case 3: bytes.insert(at, 1 + random() % 3, static_cast<char>(random())); break;
      default: bytes = bytes.substr(0, at) + other.substr(random() % other.size()); break;
    }
  }
  return bytes;
}

class DecoderTest : public ::testing::TestWithParam<Decoder> {
 protected:
  static void Decode(const std::vector<char>& input) {
    GetParam().decode(std::as_bytes(std::span(input)));
  }
};

TEST_P(DecoderTest, ComesBackFromMutatedSeeds) {
  std::mt19937_64 random(TestSeed());
  const std::vector<std::string> seeds = GetParam().seeds();
  for (int round = 0; round < kRounds; ++round) {
    const std::string input =
        Mutate(seeds[random() % seeds.size()], seeds[random() % seeds.size()], random);
    Decode({input.begin(), input.end()});
  }
}

TEST_P(DecoderTest, ComesBackFromRandomBytes) {
  std::mt19937_64 random(TestSeed() + 1);
  for (int round = 0; round < kRounds; ++round) {
    std::vector<char> input(random() % 200);
    for (char& c : input) c = static_cast<char>(random() % 4 == 0 ? random() % 4 : random());
    Decode(input);
  }
}

TEST_P(DecoderTest, ComesBackFromRegressions) {
  const std::filesystem::path directory =
      std::filesystem::path(TestDataDir()) / "fuzz/regressions" / GetParam().name;
  if (!std::filesystem::exists(directory)) return;
  for (const auto& entry : std::filesystem::directory_iterator(directory)) {
    SCOPED_TRACE(entry.path());
    std::ifstream file(entry.path(), std::ios::binary);
    Decode({std::istreambuf_iterator<char>(file), {}});
  }
}

INSTANTIATE_TEST_SUITE_P(All, DecoderTest, ::testing::ValuesIn(Decoders()),
                         [](const auto& decoder) { return std::string(decoder.param.name); });

}  // namespace
}  // namespace waypost
