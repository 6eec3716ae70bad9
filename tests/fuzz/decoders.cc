#include "fuzz/decoders.h"

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "base/bytes.h"
#include "base/check.h"
#include "format/bundle_index.h"
#include "format/record_io.h"
#include "format/safetensors_reader.h"
#include "format/slice_codec.h"
#include "format/string_tensor.h"
#include "format/table_reader.h"
#include "format/test_files.h"
#include "format/v1_reader.h"
#include "format/v1_slice_values.h"
#include "fuzz/answers.h"
#include "fuzz/checksums.h"
#include "fuzz/entry_list.h"
#include "fuzz/seeds.h"
#include "support/sim_file_system.h"
#include "waypost/error.h"
#include "waypost/event.h"
#include "waypost/meta_graph.h"
#include "waypost/saver_def.h"
#include "waypost/summary.h"
#include "wire/object_graph.h"
#include "wire/summary_messages.h"

namespace waypost {
namespace {

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

// Whoever asks for single tensors, in another order, is told the same as who asks for all.
void CheckAlone(std::span<const std::byte> bytes, const BundleIndex& index) {
  const BundleIndex other(bytes, "fuzz");
  for (auto tensor = index.tensors().rbegin(); tensor != index.tensors().rend(); ++tensor) {
    const StoredTensor& wanted = *tensor;
    const StoredTensor* const found = other.Find(wanted.name);
    WAYPOST_CHECK(found != nullptr && found->shape == wanted.shape &&
                  found->extents.size() == wanted.extents.size());
  }
}

// Reads every tensor.  Returns how many could be read.
std::size_t ReadAllOf(const V1Reader& reader) {
  std::size_t read = 0;
  std::vector<std::byte> room(64);
  for (const StoredTensor& tensor : reader.tensors()) {
    WAYPOST_CHECK(reader.Find(tensor.name) == &tensor);
    for (const StoredExtent& extent : tensor.extents) {
      const V1Reader::Slice slice{&tensor, &extent};
      const auto count =
          static_cast<std::uint64_t>(ElementCount(SliceShape(tensor.shape, extent.slice)));
      const auto on_entry = [&](std::size_t, std::span<const std::byte> entry) {
        const V1SliceValues values(entry, tensor, extent, "fuzz");
        if (tensor.dtype == DType::kString) {
          WAYPOST_CHECK(values.Strings().size() == count);
        } else {
          std::uint64_t bytes = 0;
          const bool is_good = values.Give(
              room, false, [&](std::span<const std::byte> elements) { bytes += elements.size(); });
          WAYPOST_CHECK(is_good ? bytes == extent.size_bytes : bytes <= extent.size_bytes);
        }
        ++read;
      };
      Try([&] {
        reader.ReadSlices(std::span(&slice, 1),
                          {.on_entry = on_entry, .on_damage = [](std::size_t, const Error& error) {
                             WAYPOST_CHECK(error.code() == Code::kDataLoss);
                           }});
      });
    }
  }
  return read;
}

// Offsets of one digit more or less still lie in it.
constexpr std::size_t kSafetensorsDataBytes = 4096;

// Reads a V1 checkpoint of these files, twice.
void ReadV1(const std::map<std::string, std::string>& files, const std::string& path) {
  SimDisk disk;
  for (const auto& [name, content] : files) {
    disk.files[name] = std::make_shared<const std::string>(content);
  }
  SimFileSystem fs(disk);
  Try([&] {
    const V1Reader reader(fs, path);
    const std::size_t read = ReadAllOf(reader);
    WAYPOST_CHECK(ReadAllOf(reader) == read);
  });
}

}  // namespace

void DecodeIndexFile(std::span<const std::byte> bytes) {
  Try([&] {
    const BundleIndex index(bytes, "fuzz");
    CheckPromises(index);
    CheckAlone(bytes, index);
  });
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
  DecodeIndexFile(AsBytes(WriteTable(EntriesOf(bytes))));
}

void DecodeV1File(std::span<const std::byte> bytes) {
  ReadV1({{"/v1", std::string(AsText(bytes))}}, "/v1");
}

void DecodeV1Entries(std::span<const std::byte> bytes) {
  DecodeV1File(AsBytes(WriteTable(EntriesOf(bytes))));
}

void DecodeV1Shards(std::span<const std::byte> bytes) {
  const CheckpointParts parts = CheckpointPartsOf(bytes);
  ReadV1({{"/v1-00000-of-00002", WriteTable(parts.entries)},
          {"/v1-00001-of-00002", WriteTable(EntriesOf(AsBytes(parts.data)))}},
         "/v1-?\?\?\?\?-of-00002");
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
  std::string mended(AsText(reader.rest()));
  const std::uint32_t mended_crc = MendStrings(mended, 0, mended.size(), *count);
  Try([&] {
    const auto strings = DecodeStrings(AsBytes(mended), *count, mended_crc, "fuzz");
    WAYPOST_CHECK(strings.size() == *count);
    const EncodedStrings again = EncodeStrings(strings);
    WAYPOST_CHECK(*count == 0 || again.crc32c == mended_crc);
  });
}

void DecodeRecords(std::span<const std::byte> bytes) {
  std::string mended(AsText(bytes));
  MendRecords(mended);
  for (const auto file : {bytes, AsBytes(mended)}) {
    Try([&] {
      RecordReader reader(file, "fuzz");
      std::span<const std::byte> data;
      while (reader.Next(data)) WAYPOST_CHECK(data.size() + 16 <= reader.offset());
      WAYPOST_CHECK(reader.offset() + reader.torn_bytes() == file.size());
    });
  }
}

void DecodeEventBytes(std::span<const std::byte> bytes) {
  Try([&] {
    const Event event = Event::Parse(AsText(bytes));
    WAYPOST_CHECK(event.payload().size() <= bytes.size());
    WAYPOST_CHECK(event.Session().has_value() == (event.kind() == EventKind::kSessionLog));
    std::vector<std::string> tags;
    for (const SummaryValue& value : event.Values()) {
      static_cast<void>(value.Scalar());
      WAYPOST_CHECK(!SummaryValueKind(value).empty());
      tags.push_back(value.tag);
    }
    if (event.kind() != EventKind::kSummary) return;
    std::vector<std::string> asked;
    const auto is_known = [&](std::string_view tag) {
      asked.emplace_back(tag);
      return true;
    };
    const std::optional<std::string> bare = DropMetadata(event.payload(), is_known);
    WAYPOST_CHECK(asked == tags);
    if (!bare) return;
    for (const SummaryValue& value : Summary::Parse(*bare).Values()) {
      WAYPOST_CHECK(!value.metadata.has_value());
    }
  });
}

void DecodeMetaGraph(std::span<const std::byte> bytes) {
  Try([&] {
    const MetaGraph meta = MetaGraph::Parse(AsText(bytes));
    WAYPOST_CHECK(MetaGraph::Parse(meta.Serialize()).Serialize() == meta.Serialize());
    const std::string text = meta.Text();
    WAYPOST_CHECK(text.empty() || MetaGraph::Parse(text).Text() == text);
    static_cast<void>(meta.graph_def().nodes());
    Try([&] { static_cast<void>(meta.variables()); });
    Graph graph;
    const ImportedMetaGraph plain = ImportMetaGraphInto(graph, meta);
    // A signature without a name has none in the scope either, and is there already.
    TryFor({Code::kDataLoss, Code::kInvalidArgument, Code::kAlreadyExists},
           [&] { ImportMetaGraphInto(graph, meta, {.import_scope = "again"}); });
    const MetaGraph both = ExportMetaGraph(graph, plain.saver_def, {.strip_default_attrs = true});
    static_cast<void>(both.variables());
    const ExportMetaGraphOptions part = {.export_scope = "again", .clear_extraneous_savers = true};
    static_cast<void>(ExportMetaGraph(graph, plain.saver_def, part));
  });
}

void DecodeSafetensorsHeader(std::span<const std::byte> bytes) {
  std::string file;
  AppendFixed<std::uint64_t>(file, bytes.size());
  file += AsText(bytes);
  const std::uint64_t data_begin = file.size();
  file.resize(file.size() + kSafetensorsDataBytes);
  Try([&] {
    std::uint64_t end = data_begin;
    for (const SafetensorsTensor& tensor : ParseSafetensors(AsBytes(file), "fuzz").tensors) {
      WAYPOST_CHECK(tensor.begin == end && tensor.end >= end && tensor.dtype != nullptr);
      end = tensor.end;
      for (const std::int64_t dimension : tensor.shape) WAYPOST_CHECK(dimension >= 0);
    }
    WAYPOST_CHECK(end == file.size());
  });
}

void DecodeSafetensorsIndex(std::span<const std::byte> bytes) {
  Try([&] {
    for (const auto& [name, file] : ParseSafetensorsIndex(bytes, "fuzz"))
      WAYPOST_CHECK(!file.empty() && file.find('/') == file.npos);
  });
}

void DecodeObjectGraphBytes(std::span<const std::byte> bytes) {
  const auto keys = DecodeObjectGraph(bytes);
  if (!keys) return;
  std::size_t size = 0;
  for (const auto& [name, key] : *keys) size += name.size() + key.size();
  WAYPOST_CHECK(size <= bytes.size());
}

void DecodeSaverDef(std::span<const std::byte> bytes) {
  Try([&] {
    const SaverDef saver = ParseSaverDef(AsText(bytes));
    WAYPOST_CHECK(SerializeSaverDef(ParseSaverDef(SerializeSaverDef(saver))) ==
                  SerializeSaverDef(saver));
  });
}

const std::vector<Decoder>& Decoders() {
  static const std::vector<Decoder> decoders = {
      {"index_file", DecodeIndexFile, IndexFiles},
      {"table_block", DecodeTableBlock, TableBlocks},
      {"index_entries", DecodeIndexEntries, EntryLists},
      {"slice_key", DecodeSliceKeyBytes, SliceKeys},
      {"string_tensor", DecodeStringTensor, StringTensors},
      {"checkpoint", DecodeCheckpoint, Checkpoints},
      {"state_file", DecodeStateFile, StateFiles},
      {"save_lock", DecodeSaveLock, SaveLocks},
      {"directory", DecodeDirectory, Directories},
      {"records", DecodeRecords, RecordFiles},
      {"event_file", DecodeEventFile, EventFiles},
      {"object_graph", DecodeObjectGraphBytes, ObjectGraphs},
      {"v1_file", DecodeV1File, V1Files},
      {"v1_entries", DecodeV1Entries, V1EntryLists},
      {"v1_shards", DecodeV1Shards, V1ShardPairs},
      {"event", DecodeEventBytes, Events},
      {"meta_graph", DecodeMetaGraph, MetaGraphFiles},
      {"saver_def", DecodeSaverDef, SaverDefs},
      {"safetensors_header", DecodeSafetensorsHeader, SafetensorsHeaders},
      {"safetensors_index", DecodeSafetensorsIndex, SafetensorsIndices},
  };
  return decoders;
}

}  // namespace waypost
