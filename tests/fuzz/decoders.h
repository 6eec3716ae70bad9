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
// The first byte is the count of elements, the next four are the checksum; then the same with the
// checksums made right, as all below that have some.
void DecodeStringTensor(std::span<const std::byte> bytes);
void DecodeRecords(std::span<const std::byte> bytes);
// One record of an event file, and all that it holds.
void DecodeEventBytes(std::span<const std::byte> bytes);
// An event file: all of its records, through EventReader too.
void DecodeEventFile(std::span<const std::byte> bytes);
// The header of a safetensors file, with as many bytes behind it as its tensors say they have.
void DecodeSafetensorsHeader(std::span<const std::byte> bytes);
void DecodeSafetensorsIndex(std::span<const std::byte> bytes);
// The names of the variables of a tf.train.Checkpoint.
void DecodeObjectGraphBytes(std::span<const std::byte> bytes);

// A V1 checkpoint of one file; everything in it is read.
void DecodeV1File(std::span<const std::byte> bytes);
// Its keys and values, as DecodeIndexEntries has them.
void DecodeV1Entries(std::span<const std::byte> bytes);
// One of two files: two bytes with the length of the first one's keys and values, these, and those
// of the second.
void DecodeV1Shards(std::span<const std::byte> bytes);
// A V2 checkpoint with one or more data files, opened and read in every way that there is.  Two
// bytes with the length of the index's entries, as DecodeIndexEntries has them, these entries, and
// the content of each data file.  Checksums of tensors are made right.
void DecodeCheckpoint(std::span<const std::byte> bytes);
// The `checkpoint` text file, and the search for a whole checkpoint of those that it names.
void DecodeStateFile(std::span<const std::byte> bytes);
// What a save's lock file says.
void DecodeSaveLock(std::span<const std::byte> bytes);
// A directory full of what dead saves left, put together as directory_decoder.cc says: looked at by
// readers, and swept.
void DecodeDirectory(std::span<const std::byte> bytes);
void DecodeSaverDef(std::span<const std::byte> bytes);
// A meta graph in either form: read, looked into, imported and exported again.
void DecodeMetaGraph(std::span<const std::byte> bytes);

struct Decoder {
  std::string_view name;
  void (*decode)(std::span<const std::byte> bytes);
  std::vector<std::string> (*seeds)();
};
const std::vector<Decoder>& Decoders();

}  // namespace waypost
