// TensorFlow's own indexes: each parses to what expected.json says of it, and writing its entries
// again, as a table or as tensors, gives TensorFlow's file byte for byte.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "format/bundle_index.h"
#include "format/index_maker.h"
#include "format/slice_codec.h"
#include "format/table_reader.h"
#include "format/test_files.h"

namespace waypost {
namespace {

using nlohmann::json;

// An entry as expected.json writes it.
json EntryJson(const std::string& key, const StoredTensor& tensor, const Shape& shape,
               const StoredExtent& extent) {
  std::string hex;
  for (const char c : key) hex += fmt::format("{:02x}", static_cast<unsigned char>(c));
  return {{"key_hex", hex},
          {"enum", static_cast<int>(tensor.dtype)},
          {"shape", shape},
          {"shard", extent.shard},
          {"offset", extent.offset},
          {"size", extent.size_bytes},
          {"crc32c_masked",
           tensor.is_sliced && extent.slice.IsWhole() ? 0 : MaskCrc32c(extent.crc32c)}};
}

json IndexJson(const BundleIndex& index) {
  json rows = json::array();
  for (const StoredTensor& tensor : index.tensors()) {
    if (!tensor.is_sliced) {
      rows.push_back(EntryJson(tensor.name, tensor, tensor.shape, tensor.extents.at(0)));
      continue;
    }
    json own = EntryJson(tensor.name, tensor, tensor.shape, {});
    for (const StoredExtent& extent : tensor.extents) {
      rows.push_back(EntryJson(EncodeSliceKey(tensor.name, extent.slice), tensor,
                               SliceShape(tensor.shape, extent.slice), extent));
      json slice = json::array();
      for (const auto& [start, length] : extent.slice.extents) slice.push_back({start, length});
      own["slices"].push_back(slice);
    }
    rows.push_back(own);
  }
  std::sort(rows.begin(), rows.end(),
            [](const json& a, const json& b) { return a.at("key_hex") < b.at("key_hex"); });
  return rows;
}

class GoldenIndex : public ::testing::TestWithParam<std::string> {
 protected:
  const json& set() const { return GoldenExpectations().at("sets").at(GetParam()); }
  const std::string file_ = ReadGoldenIndex(GetParam());
  const BundleIndex index_ = BundleIndex(AsBytes(file_), "FILE");
};

TEST_P(GoldenIndex, ParsesToWhatTensorFlowWrote) {
  EXPECT_EQ(IndexJson(index_), set().at("index"));
  const json& header = set().at("header");
  EXPECT_EQ(index_.header().shard_count, header.at("num_shards"));
  EXPECT_EQ(index_.header().producer, header.at("producer"));
  EXPECT_EQ(index_.header().min_consumer, header.at("min_consumer"));
  EXPECT_FALSE(index_.header().big_endian);
  EXPECT_FALSE(index_.header().origin);
}

TEST_P(GoldenIndex, FindsEveryTensorByName) {
  std::size_t described = 0;
  for (const auto& [name, tensor] : set().at("tensors").items()) {
    const StoredTensor* found = index_.Find(name);
    ASSERT_NE(found, nullptr) << name;
    EXPECT_EQ(DTypeName(found->dtype), tensor.at("dtype"));
    EXPECT_EQ(found->shape, tensor.at("shape").get<Shape>());
    EXPECT_EQ(found->is_sliced, tensor.contains("slice_specs"));
    EXPECT_EQ(index_.Find(name + "x"), nullptr);
    ++described;
  }
  EXPECT_GE(index_.tensors().size(), described);
}

TEST_P(GoldenIndex, IsWrittenAgainAsATable) {
  TableEntries table;
  TableReader(AsBytes(file_), "FILE")
      .ForEach([&](std::string_view key, std::span<const std::byte> value) {
        if (key.empty()) {
          table[""] = EncodeBundleHeader(DecodeBundleHeader(value).value());
        } else {
          table[std::string(key)] = EncodeBundleEntry(DecodeBundleEntry(value).value());
        }
      });
  EXPECT_EQ(WriteTable(table), file_);
}

TEST_P(GoldenIndex, IsWrittenAgainAsTensors) {
  IndexMaker writer(index_.header());
  for (const StoredTensor& tensor : index_.tensors()) {
    for (const StoredExtent& extent : tensor.extents) {
      BundleEntry entry;
      entry.dtype_number = static_cast<std::int64_t>(tensor.dtype);
      entry.shape = SliceShape(tensor.shape, extent.slice);
      entry.shard = extent.shard;
      entry.offset = static_cast<std::int64_t>(extent.offset);
      entry.size_bytes = static_cast<std::int64_t>(extent.size_bytes);
      entry.crc32c = extent.crc32c;
      entry.has_crc32c = true;
      writer.Add(tensor.name, tensor.shape, extent.slice, entry);
    }
  }
  EXPECT_EQ(writer.Finish(), file_);
}

INSTANTIATE_TEST_SUITE_P(TensorFlow, GoldenIndex, ::testing::ValuesIn(GoldenBundles()),
                         [](const auto& set) { return set.param; });

}  // namespace
}  // namespace waypost
