#include "damage/victims.h"

#include <algorithm>
#include <filesystem>
#include <random>
#include <utility>

#include "convert/convert.h"
#include "device/device_registry.h"
#include "io/file_system.h"
#include "save/v1_save.h"
#include "support/golden.h"
#include "support/tensor_set.h"
#include "support/test_engine.h"

namespace waypost {
namespace {

using Path = std::filesystem::path;

std::string Save(const std::string& directory, const TensorSet& state,
                 const SaveOptions& options = {}) {
  Engine engine = TestEngine();
  std::string prefix = directory + "/m";
  SaveAsync(engine, prefix, state.tensors(), options).WaitFinished();
  return prefix;
}

std::mt19937_64 RandomOf(int step) { return std::mt19937_64(static_cast<std::uint64_t>(step)); }

// Many tensors of a few bytes, of every dtype.
TensorSet PackedState(int step, int count, std::size_t name_bytes = 0) {
  std::mt19937_64 random = RandomOf(step);
  std::vector<DType> dtypes;
  for (int number = 1; number <= 33; ++number) {
    const auto dtype = DTypeFromNumber(number);
    if (dtype && ElementBytes(*dtype) != 0) dtypes.push_back(*dtype);
  }
  TensorSet state(TensorSet::kHost);
  for (int i = 0; i < count; ++i) {
    state.Add(std::to_string(i) + std::string(name_bytes, 'n') + "/bias",
              dtypes[static_cast<std::size_t>(i) % dtypes.size()], {1 + i % 7}, random);
  }
  state.AddStrings("words", {3}, {"step", std::to_string(step), ""});
  return state;
}

TensorSet SlicedState(int step) {
  std::mt19937_64 random = RandomOf(step);
  TensorSet state(TensorSet::kHost);
  const Shape rows = {60, 70};
  for (const std::int64_t begin : {0, 20, 40}) {
    state.AddSlice("rows", DType::kFloat32, rows, {{{begin, 20}, {}}}, random);
  }
  for (const std::int64_t begin : {0, 35}) {
    state.AddSlice("columns", DType::kInt16, rows, {{{}, {begin, 35}}}, random);
  }
  const Shape box = {4, 6, 8};
  for (const std::int64_t begin : {0, 2}) {
    for (const std::int64_t deep : {0, 4}) {
      state.AddSlice("boxes", DType::kFloat64, box, {{{begin, 2}, {}, {deep, 4}}}, random);
    }
  }
  state.Add("whole", DType::kInt64, {11}, random);
  return state;
}

// Chunks of 1 MiB, whole and in slices.
TensorSet ChunkedState(int step) {
  std::mt19937_64 random = RandomOf(step);
  TensorSet state(TensorSet::kHost);
  state.Add("kernel", DType::kFloat32, {700, 800}, random);
  for (const std::int64_t begin : {0, 350}) {
    state.AddSlice("table", DType::kUInt8, {700, 4000}, {{{begin, 350}, {}}}, random);
  }
  state.Add("bias", DType::kFloat32, {13}, random);
  return state;
}

TensorSet OneTensor(int step) {
  std::mt19937_64 random = RandomOf(step);
  TensorSet state(TensorSet::kHost);
  state.Add("w", DType::kFloat32, {9, 9}, random);
  return state;
}

std::string SaveOver(const std::string& directory, const TensorSet& before,
                     const TensorSet& state) {
  Save(directory, before, {.meta_graph = "an older graph"});
  return Save(directory, state);
}

// The files of a golden checkpoint under the base name "m".
std::string CopyGolden(const std::string& name, const std::string& directory) {
  const Path prefix = GoldenPath(name);
  const std::string base = prefix.filename();
  for (const auto& entry : std::filesystem::directory_iterator(prefix.parent_path())) {
    std::string file = entry.path().filename();
    if (!file.starts_with(base) || file.ends_with(".meta")) continue;
    std::filesystem::copy_file(entry.path(), Path(directory) / file.replace(0, base.size(), "m"));
  }
  return directory + "/m";
}

Victim Golden(const std::string& name, const std::string& first, const std::string& second,
              Victim::Format format, const std::string& end = "") {
  return {name, format, false, [=](const std::string& directory, int step) {
            return CopyGolden(step == 1 ? first : second, directory) + end;
          }};
}

std::string SaveInV1(const std::string& directory, int step) {
  std::mt19937_64 random = RandomOf(step);
  TensorSet state(TensorSet::kHost);
  for (const char* name : {"a", "b", "c"}) state.Add(name, DType::kFloat32, {90'000}, random);
  state.AddSlice("d", DType::kInt32, {8, 5}, {{{0, 4}, {}}}, random);
  state.AddSlice("d", DType::kInt32, {8, 5}, {{{4, 4}, {}}}, random);
  state.AddStrings("text", {2}, {"one", "two"});
  std::vector<std::unique_ptr<Device>> host;
  host.push_back(MakeHostDevice());
  return SaveV1(PosixFileSystem(), DeviceRegistry(std::move(host)), directory + "/m",
                state.tensors())
      .path;
}

std::string ConvertGolden(const std::string& directory, int step) {
  std::string prefix = directory + "/m";
  tool::Convert(PosixFileSystem(),
                {.source = GoldenPath(step == 1 ? "v2_single/all.ckpt-7" : "v2_single/all.ckpt-11"),
                 .target = prefix,
                 .shards = 2},
                {});
  return prefix;
}

std::vector<Victim> OwnVictims() {
  using Format = Victim::Format;
  return {
      {"Packed", Format::kOwn, false,
       [](const std::string& directory, int step) {
         return Save(directory, PackedState(step, 40),
                     {.meta_graph = "graph " + std::to_string(step)});
       }},
      {"Rich", Format::kOwn, true,
       [](const std::string& directory, int step) {
         return Save(directory, MakeRichState(static_cast<std::uint64_t>(step)),
                     {.meta_graph = std::string(5000, static_cast<char>('a' + step))});
       }},
      {"Sharded", Format::kOwn, false,
       [](const std::string& directory, int step) {
         TensorSet state = PackedState(step, 30);
         for (std::size_t i = 0; i < state.tensors().size(); ++i) {
           state.SetDevice(i, "/job:worker/task:" + std::to_string(i % 3));
         }
         return Save(directory, state, {.sharded = true});
       }},
      {"Sliced", Format::kOwn, false,
       [](const std::string& directory, int step) { return Save(directory, SlicedState(step)); }},
      {"Chunked", Format::kOwn, true,
       [](const std::string& directory, int step) {
         return Save(directory, ChunkedState(step), {.shard_bytes = 3 << 20});
       }},
      {"SavedOver", Format::kOwn, false,
       [](const std::string& directory, int step) {
         return SaveOver(directory, SlicedState(7), SlicedState(step));
       }},
      {"EmptyShard", Format::kOwn, false,
       [](const std::string& directory, int step) {
         return SaveOver(directory, OneTensor(7), OneTensor(step));
       }},
      {"ManyBlocks", Format::kOwn, true,
       [](const std::string& directory, int step) {
         return Save(directory, PackedState(step, 3000, 100));
       }},
      {"Converted", Format::kOwn, false, ConvertGolden},
  };
}

}  // namespace

std::vector<Victim> AllVictims() {
  using Format = Victim::Format;
  std::vector<Victim> victims = OwnVictims();
  const auto add = [&](Victim victim) { victims.push_back(std::move(victim)); };
  add(Golden("TfSingle", "v2_single/all.ckpt-7", "v2_single/all.ckpt-11", Format::kTensorFlow));
  add(Golden("TfObject", "tf2_object/ckpt-1", "tf2_object/ckpt-2", Format::kTensorFlow));
  for (const auto& [name, prefix] : std::initializer_list<std::pair<const char*, const char*>>{
           {"TfPartitioned", "v2_partitioned/part.ckpt"},
           {"TfPartitionedSharded", "v2_partitioned_sharded/ps.ckpt-5"},
           {"TfRaw", "v2_raw/raw"},
           {"TfSharded", "v2_sharded/sh.ckpt-100"},
           {"TfGraph", "graph/model.ckpt-1"}}) {
    add(Golden(name, prefix, prefix, Format::kTensorFlow));
  }
  add(Golden("V1Single", "v1/old.ckpt-3", "v1/old.ckpt-3", Format::kV1));
  add(Golden("V1Sharded", "v1/shard.ckpt-4", "v1/shard.ckpt-4", Format::kV1,
             "-" + std::string(5, '?') + "-of-00002"));
  add({"V1Large", Format::kV1, true, SaveInV1});
  return victims;
}

}  // namespace waypost
