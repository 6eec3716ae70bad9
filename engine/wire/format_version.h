// VersionDef (TensorFlow's core/framework/versions.proto).
#pragma once

#include <cstdint>
#include <vector>

namespace waypost {

// Which versions of a format wrote a file and may read it.
struct FormatVersion {
  std::int32_t producer = 1;
  std::int32_t min_consumer = 0;
  std::vector<std::int32_t> bad_consumers;
};

}  // namespace waypost
