#include "convert/source.h"

#include "waypost/error.h"

namespace waypost::tool {

std::uint64_t SourceTensor::size_bytes() const {
  return static_cast<std::uint64_t>(ElementCount(shape)) * ElementBytes(dtype);
}

std::unique_ptr<Source> OpenSource(FileSystem& fs, const FoundCheckpoint& checkpoint) {
  switch (checkpoint.kind) {
    case CheckpointKind::kSafetensors: return OpenSafetensorsSource(fs, checkpoint.path);
    default: return OpenCheckpointSource(checkpoint.path);
  }
}

}  // namespace waypost::tool
