#include "restore/open_checkpoint.h"

#include "format/bundle_names.h"
#include "format/v1_files.h"
#include "restore/bundle_reader.h"
#include "restore/v1_checkpoint.h"

namespace waypost {

std::unique_ptr<StoredCheckpoint> OpenCheckpoint(FileSystem& fs, const std::string& prefix) {
  if (!fs.Stat(IndexPath(prefix)) && !FindV1Files(fs, prefix).empty()) {
    return std::make_unique<V1Checkpoint>(fs, prefix);
  }
  return std::make_unique<BundleReader>(fs, prefix);
}

}  // namespace waypost
