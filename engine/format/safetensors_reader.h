// What a safetensors file and the index of a set of them say, judged before it is told.
//
// A file is 8 bytes with the length n of its header, n bytes of JSON (docs/format.md,
// "Safetensors"), and the tensors' bytes.  It has no checksums: what can be checked is that the
// header is sound and that its tensors are exactly the bytes behind it.
//
// All that the reference implementation refuses is refused here, and besides: a header that does
// not begin with '{', a name that is there twice, an unknown field of a tensor, a dimension above
// 2^63-1.
//
// Threads: any; nothing is shared.
// Errors:  kDataLoss with the path, the tensor and the reason.  Memory is bounded by the header's
//          length, which is at most kSafetensorsHeaderBytesMax and lies within the file.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "format/safetensors_dtypes.h"
#include "waypost/tensor.h"

namespace waypost {

inline constexpr std::uint64_t kSafetensorsHeaderBytesMax = 100'000'000;
inline constexpr std::string_view kSafetensorsMetadataKey = "__metadata__";

struct SafetensorsTensor {
  std::string name;                         // UTF-8
  const SafetensorsDType* dtype = nullptr;  // in static storage
  Shape shape;
  // Bytes from the start of the file.
  std::uint64_t begin = 0;
  std::uint64_t end = 0;
};

using SafetensorsMetadata = std::map<std::string, std::string>;

struct SafetensorsHeader {
  SafetensorsMetadata metadata;
  std::vector<SafetensorsTensor> tensors;  // in the order of their bytes
};

// `file` is the whole file; only its header is looked at, and copied first, so that nobody can
// change what was checked.
SafetensorsHeader ParseSafetensors(std::span<const std::byte> file, const std::string& path);

// The `weight_map` of a `*.safetensors.index.json`: the tensors' names and the file of each.  A
// file's name with a directory in it is refused.
std::map<std::string, std::string> ParseSafetensorsIndex(std::span<const std::byte> json,
                                                         const std::string& path);

}  // namespace waypost
