// The two messages of a bundle's index: BundleHeaderProto and BundleEntryProto, over protozero.
//
// Field numbers: docs/format.md, "Messages" (TensorFlow's core/protobuf/tensor_bundle.proto and
// what Waypost adds from number 1000 on).  Encoding writes fields in number order and leaves
// defaults out, as TensorFlow does, so that its own entries are reproduced byte for byte.
//
// Decoding takes untrusted bytes: nullopt for anything that is no such message.  Values are not
// judged here; BundleIndex does that.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "waypost/tensor.h"
#include "wire/format_version.h"

namespace waypost {

struct BundleHeader : FormatVersion {
  std::int32_t shard_count = 1;
  bool big_endian = false;

  // Waypost's own, absent in TensorFlow's files.
  struct Origin {
    std::uint64_t save_id = 0;      // 1000 fixed64
    std::string writer;             // 1001 string: "waypost 0.1.0"
    std::uint64_t meta_size = 0;    // 1002 uint64: bytes of PREFIX.meta; 0 when there is none
    std::uint32_t meta_crc32c = 0;  // 1003 fixed32, unmasked; only with meta_size > 0
    // 1004 string: of the directory that it was saved to (io/directory_mark.h); only with files in
    // storage directories.
    std::string directory_mark = {};
  };
  std::optional<Origin> origin;  // present when field 1000 is
};

struct BundleEntry {
  std::int64_t dtype_number = 0;  // as in the file: may be no DType
  Shape shape;                    // may hold anything: not judged here
  bool unknown_rank = false;
  std::int32_t shard = 0;
  std::int64_t offset = 0;
  std::int64_t size_bytes = 0;
  std::uint32_t crc32c = 0;         // unmasked; masked in the file
  bool has_crc32c = false;          // false in a sliced tensor's own entry
  std::vector<TensorSlice> slices;  // of a sliced tensor's own entry
  // 1000 packed fixed32, unmasked: the CRC of each kChunkBytes, counted from the tensor's first
  // byte, the last one shorter.  Only for fixed-width tensors of more than one chunk written by
  // Waypost.
  std::vector<std::uint32_t> chunk_crc32c;
};

std::string EncodeBundleHeader(const BundleHeader& header);
std::optional<BundleHeader> DecodeBundleHeader(std::span<const std::byte> bytes);

std::string EncodeBundleEntry(const BundleEntry& entry);
std::optional<BundleEntry> DecodeBundleEntry(std::span<const std::byte> bytes);

}  // namespace waypost
