#include "restore/checkpoint_verifier.h"

#include <memory>

#include "restore/load_lanes.h"
#include "restore/part_checker.h"

namespace waypost {
namespace {

// As many as an engine has by default.
constexpr std::size_t kWindows = 16;

}  // namespace

void VerifyCheckpoint(FileSystem& fs, const std::string& prefix) {
  const BundleReader reader(fs, prefix);
  BufferPool pool(kWindows);
  RunLanes({.fs = fs, .pool = pool}, reader, LanesByFile(AllParts(reader.index())),
           [&] { return std::make_unique<PartChecker>(reader); });
}

}  // namespace waypost
