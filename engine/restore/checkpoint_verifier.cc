#include "restore/checkpoint_verifier.h"

#include <memory>
#include <utility>

#include "restore/open_checkpoint.h"
#include "restore/part_checker.h"

namespace waypost {
namespace {

// As many as an engine has by default.
constexpr std::size_t kWindows = 16;

void VerifyAll(const LoadResources& resources, const StoredCheckpoint& checkpoint) {
  RunLanes(resources, checkpoint, LanesByFile(AllParts(checkpoint.index())),
           [&] { return std::make_unique<PartChecker>(checkpoint); });
}

}  // namespace

void VerifyCheckpoint(FileSystem& fs, const std::string& prefix) {
  const std::unique_ptr<StoredCheckpoint> checkpoint = OpenCheckpoint(fs, prefix);
  BufferPool pool(kWindows);
  VerifyAll({.fs = fs, .pool = pool}, *checkpoint);
}

void VerifyWritten(const LoadResources& resources, const std::string& prefix, BundlePaths paths) {
  LoadResources from_drive = resources;
  from_drive.past_cache = true;
  VerifyAll(from_drive, BundleReader(resources.fs, prefix, std::move(paths)));
}

}  // namespace waypost
