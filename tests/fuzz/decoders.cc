#include "fuzz/decoders.h"

#include <map>
#include <optional>

#include "base/bytes.h"
#include "base/check.h"
#include "format/bundle_index.h"
#include "format/record_io.h"
#include "format/slice_codec.h"
#include "format/string_tensor.h"
#include "format/table_reader.h"
#include "format/test_files.h"
#include "waypost/error.h"

namespace waypost {
namespace {

// Errors of these codes are an answer; all others escape.
template <typename Function>
void Try(Function function) {
  try {
    function();
  } catch (const Error& error) {
    WAYPOST_CHECK(error.code() == Code::kDataLoss || error.code() == Code::kInvalidArgument);
  }
}

// What BundleIndex promises of a parsed index, as far as its users rely on it blindly.
void CheckPromises(const BundleIndex& index) {
  WAYPOST_CHECK(index.header().shard_count >= 1);
  const std::string* last = nullptr;
  for (const StoredTensor& tensor : index.tensors()) {
    WAYPOST_CHECK(last == nullptr || *last < tensor.name);
    last = &tensor.name;
    WAYPOST_CHECK(index.Find(tensor.name) == &tensor);
    WAYPOST_CHECK(tensor.is_sliced ? !tensor.extents.empty() : tensor.extents.size() == 1);
    const std::size_t width = ElementBytes(tensor.dtype);
    for (const StoredExtent& extent : tensor.extents) {
      WAYPOST_CHECK(extent.slice.IsWhole() != tensor.is_sliced);
      WAYPOST_CHECK(extent.shard >= 0 && extent.shard < index.header().shard_count);
      WAYPOST_CHECK(static_cast<std::int64_t>(extent.offset + extent.size_bytes) >= 0);
      const auto count =
          static_cast<std::uint64_t>(ElementCount(SliceShape(tensor.shape, extent.slice)));
      WAYPOST_CHECK(width == 0 || extent.size_bytes == count * width);
    }
  }
}

std::vector<std::string> IndexFiles() {
  return {ReadGoldenIndex("v2_partitioned"), ReadGoldenIndex("v2_single_7"),
          ReadGoldenIndex("tf2_object")};
}

std::vector<std::string> TableBlocks() {
  std::vector<std::string> blocks;
  for (const std::string& file : IndexFiles()) {
    std::string entries;
    TableReader(AsBytes(file), "seed")
        .ForEach([&](std::string_view key, std::span<const std::byte> value) {
          entries += BlockEntry(0, key, AsText(value));
        });
    blocks.push_back(WithRestarts(entries));
  }
  return blocks;
}

std::vector<std::string> EntryLists() {
  std::vector<std::string> lists;
  for (const std::string& file : IndexFiles()) {
    std::string list;
    TableReader(AsBytes(file), "seed")
        .ForEach([&](std::string_view key, std::span<const std::byte> value) {
          for (const std::string_view text : {key, AsText(value)}) {
            list.push_back(static_cast<char>(text.size()));
            list += text;
          }
        });
    lists.push_back(list);
  }
  return lists;
}

std::vector<std::string> SliceKeys() {
  return {EncodeSliceKey("part/emb", {{{4, 3}, {0, -1}}}),
          EncodeSliceKey(std::string("\0\xff", 2), {{{1 << 20, -65}}})};
}

std::vector<std::string> StringTensors() {
  const EncodedStrings encoded =
      EncodeStrings(std::vector<std::string>{"ab", "", std::string(200, 'x')});
  std::string seed = "\x03";
  AppendFixed(seed, encoded.crc32c);
  return {seed + encoded.bytes};
}

std::vector<std::string> RecordFiles() {
  std::string file;
  for (const std::string& record : {std::string("one"), std::string(), std::string(300, 'x')})
    AppendRecord(file, record);
  return {file};
}

}  // namespace

void DecodeIndexFile(std::span<const std::byte> bytes) {
  Try([&] { CheckPromises(BundleIndex::Parse(bytes, "fuzz")); });
}

void DecodeTableBlock(std::span<const std::byte> bytes) {
  // The first byte may choose compression: both kinds are within reach of one corpus.
  const char compression = !bytes.empty() && bytes.front() == std::byte{0xFE} ? '\1' : '\0';
  const std::string file =
      TableOfBlock(std::string(AsText(bytes.subspan(compression == '\0' ? 0 : 1))), compression);
  DecodeIndexFile(AsBytes(file));
  Try([&] { static_cast<void>(TableReader(AsBytes(file), "fuzz").Find("name")); });
}

void DecodeIndexEntries(std::span<const std::byte> bytes) {
  ByteReader reader(bytes);
  const auto take = [&]() -> std::optional<std::string> {
    const auto size = reader.ReadFixed<std::uint8_t>();
    if (!size) return std::nullopt;
    return std::string(AsText(*reader.ReadBytes(std::min<std::size_t>(*size, reader.remaining()))));
  };
  TableEntries entries;
  while (const auto key = take()) entries[*key] = take().value_or("");
  DecodeIndexFile(AsBytes(WriteTable(entries)));
}

void DecodeSliceKeyBytes(std::span<const std::byte> bytes) {
  const auto decoded = DecodeSliceKey(AsText(bytes));
  WAYPOST_CHECK(!decoded || EncodeSliceKey(decoded->name, decoded->slice) == AsText(bytes));
}

void DecodeStringTensor(std::span<const std::byte> bytes) {
  ByteReader reader(bytes);
  const auto count = reader.ReadFixed<std::uint8_t>();
  const auto crc = count ? reader.ReadFixed<std::uint32_t>() : std::nullopt;
  if (!crc) return;
  Try([&] { WAYPOST_CHECK(DecodeStrings(reader.rest(), *count, *crc, "fuzz").size() == *count); });
}

void DecodeRecords(std::span<const std::byte> bytes) {
  Try([&] {
    RecordReader reader(bytes, "fuzz");
    std::span<const std::byte> data;
    while (reader.Next(data)) WAYPOST_CHECK(data.size() + 16 <= reader.offset());
    WAYPOST_CHECK(reader.offset() + reader.torn_bytes() == bytes.size());
  });
}

const std::vector<Decoder>& Decoders() {
  static const std::vector<Decoder> decoders = {
      {"index_file", DecodeIndexFile, IndexFiles},
      {"table_block", DecodeTableBlock, TableBlocks},
      {"index_entries", DecodeIndexEntries, EntryLists},
      {"slice_key", DecodeSliceKeyBytes, SliceKeys},
      {"string_tensor", DecodeStringTensor, StringTensors},
      {"records", DecodeRecords, RecordFiles},
  };
  return decoders;
}

}  // namespace waypost
