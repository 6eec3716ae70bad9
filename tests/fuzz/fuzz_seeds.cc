// fuzz_seeds DIR: writes the seeds of each decoder to files DIR/NAME/seed-N, where its fuzzer finds
// them, and prints the names of the decoders, one a line.
#include <cstdio>
#include <filesystem>
#include <fstream>

#include "fuzz/decoders.h"

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  for (const waypost::Decoder& decoder : waypost::Decoders()) {
    const std::filesystem::path directory = std::filesystem::path(argv[1]) / decoder.name;
    std::filesystem::create_directories(directory);
    int number = 0;
    for (const std::string& seed : decoder.seeds()) {
      const std::string name = "seed-" + std::to_string(number++);
      std::ofstream(directory / name, std::ios::binary) << seed;
    }
    std::puts(std::string(decoder.name).c_str());
  }
  return 0;
}
