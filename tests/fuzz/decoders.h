// The decoders of untrusted bytes, each as one function that takes any bytes and must come back:
// the libFuzzer targets call them, and so does a plain test with mutated seeds on every run.
//
// A function aborts when the decoder breaks a promise; whatever the decoder says about bad bytes is
// fine.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace waypost {

// A file as it is: mostly stopped by its checksums.
void DecodeIndexFile(std::span<const std::byte> bytes);
// A data block, put into a file with right checksums.
void DecodeTableBlock(std::span<const std::byte> bytes);
// Keys and values, put into a table in order: what lies behind the table's own checks.  Each is
// preceded by a byte with its length.
void DecodeIndexEntries(std::span<const std::byte> bytes);
void DecodeSliceKeyBytes(std::span<const std::byte> bytes);
// The first byte is the count of elements, the next four are the checksum.
void DecodeStringTensor(std::span<const std::byte> bytes);
void DecodeRecords(std::span<const std::byte> bytes);

struct Decoder {
  std::string_view name;
  void (*decode)(std::span<const std::byte> bytes);
  std::vector<std::string> (*seeds)();
};
const std::vector<Decoder>& Decoders();

}  // namespace waypost
