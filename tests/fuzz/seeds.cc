#include "fuzz/seeds.h"

#include <cstdint>

#include "base/bytes.h"
#include "format/index_maker.h"
#include "format/record_io.h"
#include "format/slice_codec.h"
#include "format/string_tensor.h"
#include "format/table_reader.h"
#include "format/test_files.h"
#include "fuzz/entry_list.h"
#include "restore/bundle_maker.h"
#include "save/save_lock.h"
#include "waypost/event.h"
#include "waypost/graph.h"
#include "waypost/meta_graph.h"
#include "waypost/saver.h"
#include "waypost/saver_def.h"
#include "waypost/summary.h"
#include "wire/event_messages.h"

namespace waypost {

namespace {

std::vector<std::string> EntryListsOf(const std::vector<std::string>& files) {
  std::vector<std::string> lists;
  for (const std::string& file : files) lists.push_back(EntryListOf(file));
  return lists;
}

}  // namespace

// Two objects, the second with a child and two attributes.
std::vector<std::string> ObjectGraphs() {
  return {
      "\x0a\x0a\x12\x08\x12\x02v0\x1a\x02k0"
      "\x0a\x20\x0a\x06\x08\x01\x12\x02me\x12\x08\x12\x02v1\x1a\x02k1"
      "\x12\x0c\x0a\x02na\x12\x02v2\x1a\x02k2"};
}

std::vector<std::string> V1Files() {
  return {ReadGolden("v1/old.ckpt-3"), ReadGolden("v1/shard.ckpt-4-00000-of-00002"),
          ReadGolden("v1/shard.ckpt-4-00001-of-00002")};
}

// Of the files whose entries are short enough.
std::vector<std::string> V1EntryLists() {
  std::vector<std::string> files = V1Files();
  files.erase(files.begin());
  return EntryListsOf(files);
}

std::vector<std::string> V1ShardPairs() {
  const std::vector<std::string> files = V1Files();
  return {CheckpointInput(files[1], EntryListOf(files[2]))};
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

std::vector<std::string> EntryLists() { return EntryListsOf(IndexFiles()); }

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

std::vector<std::string> Events() {
  const std::vector<float> numbers = {1, 2, 4};
  const std::vector<std::uint8_t> pixels = {0, 128, 255};
  Summary summary;
  summary.AddScalar("scalar", 1.5F);
  summary.AddHistogram("histogram", ConstTensorView(numbers.data(), DType::kFloat32, {3}));
  summary.AddImage("image", ConstTensorView(pixels.data(), DType::kUInt8, {1, 1, 3}));
  summary.AddAudio("audio", ConstTensorView(numbers.data(), DType::kFloat32, {3, 1}), 8000);
  summary.AddText("text", "words");
  summary.AddTensor("tensor", ConstTensorView(numbers.data(), DType::kFloat32, {3}),
                    {.display_name = "name", .data_class = 2});
  const std::string log = EncodeSessionLog({SessionStatus::kCheckpoint, "path", "message"});
  return {EncodeEvent({.wall_time = 1.5,
                       .step = 3,
                       .kind = EventKind::kSummary,
                       .payload = summary.Serialize()}),
          EncodeEvent({.step = -1, .kind = EventKind::kSessionLog, .payload = log}),
          EncodeEvent({.kind = EventKind::kGraphDef, .payload = std::string("\x0a\x00", 2)})};
}

std::vector<std::string> MetaGraphFiles() {
  Graph graph;
  graph.AddVariable("v", {.dtype = DType::kFloat32, .shape = {2, 3}, .device = "/device:CPU:0"});
  graph.AddPlaceholder("p", DType::kInt64, {});
  const Saver saver(graph, {.sharded = true});
  const MetaGraph meta = ExportMetaGraph(graph, saver.AsSaverDef());
  return {meta.Serialize(), meta.Text(), ReadGolden("graph/model.ckpt-1.meta")};
}

std::vector<std::string> SafetensorsHeaders() {
  return {
      R"({"__metadata__":{"format":"pt"},"a":{"dtype":"F32","shape":[2,512],"data_offsets":[0,4096]}})",
      R"({"a":{"dtype":"U8","shape":[],"data_offsets":[0,1]},"\u00e9":{"dtype":"BOOL","shape":[0],)"
      R"("data_offsets":[1,1]},"b":{"dtype":"I8","shape":[9,5,91],"data_offsets":[1,4096]}}   )",
  };
}

std::vector<std::string> SafetensorsIndices() {
  return {R"({"metadata":{"total_size":12},"weight_map":{"a":"m-1.safetensors","b":"m-2"}})",
          R"({"x":[[{"y":null}],1.5,-2,true],"weight_map":{}})"};
}

std::vector<std::string> EventFiles() {
  std::string file;
  for (const std::string& event : Events()) AppendRecord(file, event);
  return {file, ReadGolden("events/tf2/events.out.tfevents.1795441380.vm.2793.0.v2")};
}

std::vector<std::string> StateFiles() {
  std::vector<std::string> files;
  for (const char* const name : {"absolute", "escapes", "relative", "timestamps"}) {
    files.push_back(ReadGolden(std::string("state/") + name));
  }
  files.emplace_back(
      "# comment\nall_model_checkpoint_paths: ['a' \"b\\x41\\303\\251\\u00e9\", \"\"];\r\n"
      "model_checkpoint_path: 'm' all_model_checkpoint_timestamps: [-1.5e300, inf, 0x1F, nan]");
  return files;
}

std::vector<std::string> SaverDefs() {
  return {SerializeSaverDef({.filename_tensor_name = "save/Const:0",
                             .save_tensor_name = "save/Identity:0",
                             .restore_op_name = "save/restore_all",
                             .max_to_keep = 5,
                             .sharded = true,
                             .keep_checkpoint_every_n_hours = 10000})};
}

std::vector<std::string> Checkpoints() {
  BundleMaker maker(2);
  maker.Add("numbers", DType::kInt32, {2, 3}, std::string(24, '\1'), {.offset = 64});
  maker.Add("bytes", DType::kUInt8, {5}, "bytes", {.shard = 1, .offset = 3});
  maker.Add("part", DType::kInt16, {2, 2}, "abcdefgh", {.offset = 96}, {{{0, -1}, {0, 2}}}, {2, 4});
  maker.Add("part", DType::kInt16, {2, 2}, "ijklmnop", {.offset = 104}, {{{0, -1}, {2, 2}}},
            {2, 4});
  maker.Add("rows", DType::kInt8, {1, 2}, "rs", {.offset = 2}, {{{0, 1}, {0, -1}}}, {2, 2});
  maker.Add("rows", DType::kInt8, {1, 2}, "tu", {.offset = 4}, {{{1, 1}, {0, -1}}}, {2, 2});
  maker.Add("empty", DType::kFloat32, {0}, "", {.offset = 8});
  std::vector<std::string> checkpoints = {CheckpointInput(maker.Index(), maker.data(0))};
  for (const char* const name :
       {"v2_single/all.ckpt-7", "v2_partitioned/part.ckpt", "tf2_object/ckpt-1", "v2_raw/raw"}) {
    checkpoints.push_back(CheckpointInput(ReadGolden(std::string(name) + ".index"),
                                          ReadGolden(std::string(name) + ".data-00000-of-00001")));
  }
  return checkpoints;
}

std::vector<std::string> SaveLocks() {
  return {PrintSaveLock({.pid = 17,
                         .host = "host",
                         .shard_counts = {1, 2},
                         .retired = {"m-1", "m-2"},
                         .meta_suffix = "meta",
                         .retired_ids = {2, 3},
                         .storage_dirs = {"/s"},
                         .replaced_save_id = 1,
                         .directory_mark = "5 2 /d"})};
}

}  // namespace waypost
