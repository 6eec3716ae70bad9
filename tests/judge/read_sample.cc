// judge_read_sample DESCRIPTION: restores what another program has asked for (sample.h), whole
// tensors and slices of any partition, and writes it into files.
#include <fmt/format.h>

#include <exception>

#include "judge/sample.h"
#include "waypost/engine.h"

int main(int argc, char** argv) {
  try {
    if (argc != 2) throw std::runtime_error("usage: judge_read_sample DESCRIPTION");
    const waypost::Sample sample(argv[1]);
    waypost::Engine engine;
    waypost::Restore(engine, sample.prefix(), sample.tensors());
    sample.StoreFiles();
    return 0;
  } catch (const std::exception& error) {
    fmt::print(stderr, "judge_read_sample: {}\n", error.what());
    return 1;
  }
}
