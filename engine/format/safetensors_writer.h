// Where everything goes in a safetensors file, and the header that says so.  Pure: no I/O.
//
// The bytes are those that the reference implementation (version 0.8) writes of the same tensors:
// in descending order of their elements' alignment, then by name, the header padded with spaces to
// a multiple of 8.
//
// Threads: any; nothing is shared.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "format/safetensors_reader.h"
#include "waypost/tensor.h"

namespace waypost {

struct SafetensorsItem {
  std::string name;
  DType dtype = DType::kInvalid;
  Shape shape;
};

// "" where the tensor can stand in a safetensors file, else why not.
std::string WhyNotInSafetensors(const SafetensorsItem& item);

struct SafetensorsLayout {
  std::string head;                // the file's beginning: length and header
  std::vector<std::size_t> order;  // positions of the items in the order of their bytes, which
                                   // follow on the head and on each other
  std::uint64_t size_bytes = 0;    // of the whole file
};

// Requires: the names differ, and WhyNotInSafetensors is "" for every item.  Throws
// kInvalidArgument, naming `path`, for a header beyond `header_bytes_max` and for metadata that is
// no UTF-8.
SafetensorsLayout LayOutSafetensors(std::span<const SafetensorsItem> items,
                                    const SafetensorsMetadata& metadata, const std::string& path,
                                    std::size_t header_bytes_max = kSafetensorsHeaderBytesMax);

// The text of a `*.safetensors.index.json`: `files` has the file of each tensor's name.
std::string SafetensorsIndexText(const std::map<std::string, std::string>& files,
                                 std::uint64_t tensor_bytes);

}  // namespace waypost
