#include "graph/saver_nodes.h"

#include <map>
#include <optional>

#include "base/check.h"

namespace waypost {
namespace {

// The entries of one device.
struct EntryGroup {
  std::string device;
  std::vector<const SaverEntry*> entries;
};

Output Control(const Output& output) { return {.node = output.node, .index = kControlIndex}; }

TensorValue StringScalar(std::string text) {
  return {.dtype = DType::kString, .shape = {}, .strings = {std::move(text)}};
}

TensorValue IntScalar(std::size_t value) {
  return {.dtype = DType::kInt32, .shape = {}, .ints = {static_cast<std::int32_t>(value)}};
}

// Builds the nodes of one saver, in TensorFlow's order and under TensorFlow's names.
class SaverNodes {
 public:
  SaverNodes(Graph::Impl& graph, const SaverNodesOptions& options)
      : graph_(graph), options_(options) {}

  Output AddFilename() {
    const Output input = graph_.AddConst("filename/input", StringScalar(options_.filename));
    const AttrMap scalar_string = {{"dtype", DType::kString}, {"shape", Shape{}}};
    const Output name =
        graph_.AddNode("filename", "PlaceholderWithDefault", {input}, scalar_string);
    return graph_.AddNode("Const", "PlaceholderWithDefault", {name}, scalar_string);
  }

  // Saves and, after it, has the file name as its result.
  Output AddSave(const Output& filename, const EntryGroup& group) {
    const bool is_v1 = options_.version == SaverDef::kV1;
    const std::optional<DeviceEntry> on_cpu = OnCpuOfShard(group);
    OpScope op(graph_, is_v1 ? "save" : "SaveV2");
    std::vector<Output> inputs = {
        filename, op.AddNames(group),
        op.AddSpecs(group, is_v1 ? "shapes_and_slices" : "shape_and_slices")};
    for (const SaverEntry* entry : group.entries) inputs.push_back(ValueOf(*entry));
    const Output save = op.Add(is_v1 ? "SaveSlices" : "SaveV2", std::move(inputs),
                               {{is_v1 ? "T" : "dtypes", DTypes(group)}});
    return graph_.AddNode("control_dependency", "Identity", {filename, Control(save)},
                          {{"T", DType::kString}});
  }

  // V2: shards under temporary names, which MergeV2Checkpoints then makes one checkpoint of.  V1:
  // shards under their own names; the result is the name that stands for all.
  Output AddShardedSave(const Output& filename, const std::vector<EntryGroup>& groups) {
    const bool is_v1 = options_.version == SaverDef::kV1;
    const Output prefix = is_v1 ? filename : AddTemporaryPrefix(filename);
    const Output shard_count = graph_.AddConst("num_shards", IntScalar(groups.size()));
    std::vector<Output> prefixes;
    std::vector<Output> saves;
    for (std::size_t shard = 0; shard < groups.size(); ++shard) {
      prefixes.push_back(AddShardedFilename(prefix, shard, shard_count, groups[shard]));
      saves.push_back(Control(AddSave(prefixes.back(), groups[shard])));
    }
    if (!is_v1) return AddMerge(filename, std::move(prefixes), saves);
    std::vector<Output> inputs = {filename, shard_count};
    inputs.insert(inputs.end(), saves.begin(), saves.end());
    return graph_.AddNode("ShardedFilespec", "ShardedFilespec", std::move(inputs), {});
  }

  // RestoreV2, which reads both formats, and the assignments; the result waits for all of them.
  Output AddRestore(const Output& filename, const EntryGroup& group, std::string_view name) {
    const Output restore = AddRestoreV2(filename, group);
    std::vector<Output> assigned;
    for (std::size_t i = 0; i < group.entries.size(); ++i) {
      const Output value = {.node = restore.node, .index = static_cast<int>(i)};
      assigned.push_back(Control(AddAssignment(group.entries[i]->variable, value)));
    }
    return graph_.AddNode(name, "NoOp", std::move(assigned), {});
  }

  Output AddShardedRestore(const Output& filename, const std::vector<EntryGroup>& groups) {
    std::vector<Output> shards;
    for (const EntryGroup& group : groups) {
      shards.push_back(Control(AddRestore(filename, group, "restore_shard")));
    }
    return graph_.AddNode("restore_all", "NoOp", std::move(shards), {});
  }

 private:
  // An operation with constants of its own under its name: "save/SaveV2/tensor_names".
  class OpScope {
   public:
    OpScope(Graph::Impl& graph, std::string_view name)
        : graph_(graph), full_name_(graph.UniqueName(name)) {}

    Output Add(std::string op, std::vector<Output> inputs, AttrMap attrs) {
      return graph_.AddNodeAs(full_name_, std::move(op), std::move(inputs), std::move(attrs));
    }
    Output AddInside(std::string_view name, std::string op, std::vector<Output> inputs,
                     AttrMap attrs) {
      ScopeEntry scope(graph_, full_name_ + '/');
      return graph_.AddNode(name, std::move(op), std::move(inputs), std::move(attrs));
    }
    Output AddConst(std::string_view name, TensorValue value) {
      ScopeEntry scope(graph_, full_name_ + '/');
      return graph_.AddConst(name, std::move(value));
    }
    Output AddNames(const EntryGroup& group) {
      std::vector<std::string> names;
      for (const SaverEntry* entry : group.entries) names.push_back(entry->name);
      return AddStrings("tensor_names", std::move(names));
    }
    Output AddSpecs(const EntryGroup& group, std::string_view name) {
      std::vector<std::string> specs;
      for (const SaverEntry* entry : group.entries) specs.push_back(ShapeAndSliceSpec(*entry));
      return AddStrings(name, std::move(specs));
    }

   private:
    Output AddStrings(std::string_view name, std::vector<std::string> strings) {
      const auto count = static_cast<std::int64_t>(strings.size());
      return AddConst(name,
                      {.dtype = DType::kString, .shape = {count}, .strings = std::move(strings)});
    }

    Graph::Impl& graph_;
    std::string full_name_;
  };

  // The first CPU of the machine that has the device.
  static std::string CpuOf(const EntryGroup& group) {
    return MergeDevices(group.device, "/device:CPU:0");
  }

  // While it lives, new nodes are on the shard's machine.
  std::optional<DeviceEntry> OnCpuOfShard(const EntryGroup& group) {
    if (!options_.sharded) return std::nullopt;
    return std::optional<DeviceEntry>(std::in_place, graph_, CpuOf(group));
  }

  Output AddRestoreV2(const Output& filename, const EntryGroup& group) {
    const DeviceEntry on_cpu(graph_, CpuOf(group));
    OpScope op(graph_, "RestoreV2");
    return op.Add("RestoreV2",
                  {filename, op.AddNames(group), op.AddSpecs(group, "shape_and_slices")},
                  {{"dtypes", DTypes(group)}});
  }

  static std::vector<DType> DTypes(const EntryGroup& group) {
    std::vector<DType> dtypes;
    for (const SaverEntry* entry : group.entries) dtypes.push_back(entry->variable.dtype());
    return dtypes;
  }

  Output HandleOf(const Variable& variable) const {
    const auto position = graph_.VariableOf(variable.output());
    WAYPOST_CHECK(position.has_value());
    return {.node = graph_.model().variables[*position].handle, .index = 0};
  }

  // A reference variable is its value, but TensorFlow takes a slice's from its read.
  Output ValueOf(const SaverEntry& entry) const {
    const bool is_handle =
        entry.variable.kind() == VariableKind::kReference && entry.slice.IsWhole();
    return is_handle ? HandleOf(entry.variable) : entry.variable.output();
  }

  Output AddAssignment(const Variable& variable, const Output& restored) {
    const DeviceEntry on_device_of_variable(graph_, variable.device());
    const DType dtype = variable.dtype();
    const Output value = options_.reshape ? AddReshape(variable, restored) : restored;
    if (variable.kind() == VariableKind::kReference) {
      return graph_.AddNode(
          "Assign", "Assign", {HandleOf(variable), value},
          {{"T", dtype}, {"use_locking", true}, {"validate_shape", !options_.reshape}});
    }
    const Output on_device = graph_.AddNode("Identity", "Identity", {value}, {{"T", dtype}});
    return graph_.AddNode("AssignVariableOp", "AssignVariableOp", {HandleOf(variable), on_device},
                          {{"dtype", dtype}, {"validate_shape", false}});
  }

  Output AddReshape(const Variable& variable, const Output& restored) {
    OpScope op(graph_, "Reshape");
    const Shape& dims = variable.shape();
    const Output shape = op.AddConst(
        "shape", MakeTensorValue(ConstTensorView(dims.data(), DType::kInt64,
                                                 {static_cast<std::int64_t>(dims.size())})));
    return op.Add("Reshape", {restored, shape},
                  {{"T", variable.dtype()}, {"Tshape", DType::kInt64}});
  }

  // "FILENAME_temp/part", in S3 "FILENAME.part": the folder that MergeV2Checkpoints deletes again.
  Output AddTemporaryPrefix(const Output& filename) {
    const Output is_s3 = graph_.AddNode("StaticRegexFullMatch", "StaticRegexFullMatch", {filename},
                                        {{"pattern", std::string("^s3://.*")}});
    const Output s3_suffix = graph_.AddConst("Const", StringScalar(".part"));
    const Output suffix = graph_.AddConst("Const", StringScalar("_temp/part"));
    const Output chosen =
        graph_.AddNode("Select", "Select", {is_s3, s3_suffix, suffix}, {{"T", DType::kString}});
    return graph_.AddNode("StringJoin", "StringJoin", {filename, chosen},
                          {{"N", std::int64_t{2}}, {"separator", std::string()}});
  }

  Output AddShardedFilename(const Output& prefix, std::size_t shard, const Output& shard_count,
                            const EntryGroup& group) {
    const std::optional<DeviceEntry> on_cpu = OnCpuOfShard(group);
    OpScope op(graph_, "ShardedFilename");
    const Output number = op.AddConst("shard", IntScalar(shard));
    return op.Add("ShardedFilename", {prefix, number, shard_count}, {});
  }

  Output AddMerge(const Output& filename, std::vector<Output> prefixes,
                  const std::vector<Output>& saves) {
    OpScope op(graph_, "MergeV2Checkpoints");
    const auto count = static_cast<std::int64_t>(prefixes.size());
    std::vector<Output> pack_inputs = std::move(prefixes);
    pack_inputs.insert(pack_inputs.end(), saves.begin(), saves.end());
    std::vector<Output> inputs = {
        op.AddInside("checkpoint_prefixes", "Pack", std::move(pack_inputs),
                     {{"N", count}, {"T", DType::kString}, {"axis", std::int64_t{0}}}),
        filename};
    inputs.insert(inputs.end(), saves.begin(), saves.end());
    const Output merge = op.Add("MergeV2Checkpoints", std::move(inputs),
                                {{"delete_old_dirs", true}, {"allow_missing_files", false}});
    return graph_.AddNode("Identity", "Identity", {filename, Control(merge)},
                          {{"T", DType::kString}});
  }

  Graph::Impl& graph_;
  const SaverNodesOptions& options_;
};

std::vector<EntryGroup> GroupByDevice(std::span<const SaverEntry> entries) {
  std::map<std::string, EntryGroup> by_device;
  for (const SaverEntry& entry : entries) {
    by_device.try_emplace(entry.device, EntryGroup{.device = entry.device, .entries = {}})
        .first->second.entries.push_back(&entry);
  }
  std::vector<EntryGroup> groups;
  for (auto& [device, group] : by_device) groups.push_back(std::move(group));
  return groups;
}

}  // namespace

SaverDef AddSaverNodes(Graph::Impl& graph, const SaverNodesOptions& options,
                       std::span<const SaverEntry> entries) {
  WAYPOST_CHECK(!entries.empty());
  const ScopeEntry scope(graph, options.scope);
  SaverNodes nodes(graph, options);
  const Output filename = nodes.AddFilename();
  Output save;
  Output restore;
  if (options.sharded) {
    const std::vector<EntryGroup> groups = GroupByDevice(entries);
    save = nodes.AddShardedSave(filename, groups);
    restore = nodes.AddShardedRestore(filename, groups);
  } else {
    EntryGroup all;
    for (const SaverEntry& entry : entries) all.entries.push_back(&entry);
    save = nodes.AddSave(filename, all);
    restore = nodes.AddRestore(filename, all, "restore_all");
  }
  return {.filename_tensor_name = TensorName(graph.model(), filename),
          .save_tensor_name = TensorName(graph.model(), save),
          .restore_op_name = graph.model().nodes[restore.node].name,
          .sharded = options.sharded,
          .version = options.version};
}

}  // namespace waypost
