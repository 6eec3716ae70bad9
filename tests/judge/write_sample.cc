// judge_write_sample DESCRIPTION: writes a checkpoint whose content another program has chosen
// (sample.h).
#include <fmt/format.h>

#include <exception>
#include <string>
#include <vector>

#include "judge/sample.h"
#include "manage/engine_impl.h"
#include "save/v1_save.h"
#include "waypost/engine.h"
#include "waypost/merge.h"

namespace waypost {
namespace {

void Write(const Sample& sample) {
  Engine engine;
  const nlohmann::json& description = sample.description();
  const bool sharded = description.at("sharded");
  if (description.at("v1")) {
    SaveV1(engine.impl().fs(), engine.impl().devices(), sample.prefix(), sample.tensors(),
           {.sharded = sharded});
    return;
  }
  const SaveOptions options = {.sharded = sharded, .shard_bytes = description.at("shard_bytes")};
  const std::size_t part_count = description.at("parts");
  if (part_count == 1) {
    SaveAsync(engine, sample.prefix(), sample.tensors(), options).WaitFinished();
    return;
  }
  std::vector<std::string> parts;
  for (std::size_t part = 0; part < part_count; ++part) {
    std::vector<NamedTensor> tensors;
    for (std::size_t i = part; i < sample.tensors().size(); i += part_count) {
      tensors.push_back(sample.tensors()[i]);
    }
    parts.push_back(fmt::format("{}.part-{}", sample.prefix(), part));
    SaveAsync(engine, parts.back(), tensors, options).WaitFinished();
  }
  MergeCheckpoints(engine, parts, sample.prefix());
}

}  // namespace
}  // namespace waypost

int main(int argc, char** argv) {
  try {
    if (argc != 2) throw std::runtime_error("usage: judge_write_sample DESCRIPTION");
    waypost::Sample sample(argv[1]);
    sample.LoadFiles();
    waypost::Write(sample);
    return 0;
  } catch (const std::exception& error) {
    fmt::print(stderr, "judge_write_sample: {}\n", error.what());
    return 1;
  }
}
