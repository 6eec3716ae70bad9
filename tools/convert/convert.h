// Convert: from one checkpoint to another of any kind or layout (`waypost convert`).
#pragma once

#include <cstdint>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "convert/checkpoint_kind.h"
#include "convert/selection.h"
#include "format/safetensors_reader.h"
#include "inspect/terminal.h"
#include "io/file_system.h"

namespace waypost::tool {

struct ConvertOptions {
  std::string source;
  std::string target;
  std::optional<CheckpointKind> to = {};  // nullopt: as the target's name says
  std::size_t shards = 0;                 // 0: as many as the kind has by itself
  bool force = false;                     // an existing target is replaced
  bool verify = true;                     // the target is read back
  bool skip_unsupported = false;
  bool with_meta = true;
  SafetensorsMetadata metadata = {};  // added to what the source has
  ProgressOutput progress = {};
};

struct ConvertReport {
  CheckpointKind source_kind = CheckpointKind::kV2;
  CheckpointKind target_kind = CheckpointKind::kV2;
  std::size_t tensor_count = 0;
  std::uint64_t size_bytes = 0;  // of the tensors, strings without
  std::size_t joined_count = 0;  // tensors whose slices were put together
  std::vector<std::string> files;
  std::vector<SkippedTensor> skipped;
  std::vector<std::string> warnings;
};

// Throws before the first byte is written for what cannot be converted, kDataLoss for a damaged
// source and kCancelled on a stop, both without a change at the target.  Only V1 and V2 targets are
// read back after the commit, when they have replaced what was there: one that reads back other
// than it was written stays (kDataLoss), and so does one whose reading a stop ends (kCancelled; the
// message says so).
ConvertReport Convert(FileSystem& fs, const ConvertOptions& options, const std::stop_token& stop);

}  // namespace waypost::tool
