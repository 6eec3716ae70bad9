// Findings: what `waypost verify` says of one checkpoint, state file or event file.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "verify/damage_lines.h"

namespace waypost::tool {

struct Findings {
  enum class Kind { kCheckpoint, kStateFile, kEventFile };

  Kind kind = Kind::kCheckpoint;
  std::string path = {};         // of a checkpoint its prefix
  std::size_t count = 0;         // tensors, events, or checkpoints that a state file names
  std::uint64_t size_bytes = 0;  // of the tensors, or of the file
  bool is_v1 = false;
  DamageLines damage = {};  // with file, tensor and offset
  std::string rate = {};    // "1.1 GiB/s", where the progress was shown
};

}  // namespace waypost::tool
