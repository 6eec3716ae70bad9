#include "graph/saver_nodes.h"

#include <map>

#include "base/check.h"

namespace waypost {
namespace {

using VariableGroup = std::vector<const Variable*>;

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
  explicit SaverNodes(Graph::Impl& graph) : graph_(graph) {}

  Output AddFilename() {
    const Output model = graph_.AddConst("filename/input", StringScalar("model"));
    const AttrMap scalar_string = {{"dtype", DType::kString}, {"shape", Shape{}}};
    const Output name =
        graph_.AddNode("filename", "PlaceholderWithDefault", {model}, scalar_string);
    return graph_.AddNode("Const", "PlaceholderWithDefault", {name}, scalar_string);
  }

  // SaveV2 and, after it, the file name as its result.
  Output AddSave(const Output& filename, const VariableGroup& group) {
    ScopeOfOp op(graph_, "SaveV2");
    std::vector<Output> inputs = {filename, op.AddNames(group), op.AddSpecs(group)};
    for (const Variable* variable : group) inputs.push_back(variable->output());
    const Output save = op.Add("SaveV2", std::move(inputs), {{"dtypes", DTypes(group)}});
    return graph_.AddNode("control_dependency", "Identity", {filename, Control(save)},
                          {{"T", DType::kString}});
  }

  // Shards under temporary names, which MergeV2Checkpoints then makes one checkpoint of.
  Output AddShardedSave(const Output& filename, const std::vector<VariableGroup>& groups) {
    const Output prefix = AddTemporaryPrefix(filename);
    const Output shard_count = graph_.AddConst("num_shards", IntScalar(groups.size()));
    std::vector<Output> prefixes;
    std::vector<Output> saves;
    for (std::size_t shard = 0; shard < groups.size(); ++shard) {
      prefixes.push_back(AddShardedFilename(prefix, shard, shard_count));
      saves.push_back(Control(AddSave(prefixes.back(), groups[shard])));
    }
    ScopeOfOp op(graph_, "MergeV2Checkpoints");
    const auto count = static_cast<std::int64_t>(prefixes.size());
    std::vector<Output> pack_inputs = prefixes;
    pack_inputs.insert(pack_inputs.end(), saves.begin(), saves.end());
    std::vector<Output> inputs = {
        op.AddInside("checkpoint_prefixes", "Pack", std::move(pack_inputs),
                     {{"N", count}, {"T", DType::kString}, {"axis", std::int64_t{0}}}),
        filename};
    inputs.insert(inputs.end(), saves.begin(), saves.end());
    const Output merge = op.Add("MergeV2Checkpoints", std::move(inputs),
                                {{"delete_old_dirs", true}, {"allow_missing_files", false}});
    std::vector<Output> result_inputs = {filename, Control(merge)};
    return graph_.AddNode("Identity", "Identity", std::move(result_inputs),
                          {{"T", DType::kString}});
  }

  // RestoreV2 and the assignments; the result waits for all of them.
  Output AddRestore(const Output& filename, const VariableGroup& group, std::string_view name) {
    ScopeOfOp op(graph_, "RestoreV2");
    const Output restore = op.Add("RestoreV2", {filename, op.AddNames(group), op.AddSpecs(group)},
                                  {{"dtypes", DTypes(group)}});
    std::vector<Output> assigned;
    for (std::size_t i = 0; i < group.size(); ++i) {
      const DType dtype = group[i]->dtype();
      const Output value =
          graph_.AddNode("Identity", "Identity",
                         {{.node = restore.node, .index = static_cast<int>(i)}}, {{"T", dtype}});
      const Output assign =
          graph_.AddNode("AssignVariableOp", "AssignVariableOp", {HandleOf(*group[i]), value},
                         {{"dtype", dtype}, {"validate_shape", false}});
      assigned.push_back(Control(assign));
    }
    return graph_.AddNode(name, "NoOp", std::move(assigned), {});
  }

 private:
  // An operation with constants of its own under its name: "save/SaveV2/tensor_names".
  class ScopeOfOp {
   public:
    ScopeOfOp(Graph::Impl& graph, std::string_view name)
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
    Output AddNames(const VariableGroup& group) {
      std::vector<std::string> names;
      for (const Variable* variable : group) names.push_back(variable->name());
      return AddStrings("tensor_names", std::move(names));
    }
    Output AddSpecs(const VariableGroup& group) {
      return AddStrings("shape_and_slices", std::vector<std::string>(group.size()));
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

  static std::vector<DType> DTypes(const VariableGroup& group) {
    std::vector<DType> dtypes;
    for (const Variable* variable : group) dtypes.push_back(variable->dtype());
    return dtypes;
  }

  Output HandleOf(const Variable& variable) const {
    const auto position = graph_.VariableOf(variable.output());
    WAYPOST_CHECK(position.has_value());
    return {.node = graph_.model().variables[*position].handle, .index = 0};
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

  Output AddShardedFilename(const Output& prefix, std::size_t shard, const Output& shard_count) {
    ScopeOfOp op(graph_, "ShardedFilename");
    const Output number = op.AddConst("shard", IntScalar(shard));
    return op.Add("ShardedFilename", {prefix, number, shard_count}, {});
  }

  Graph::Impl& graph_;
};

std::vector<VariableGroup> GroupByDevice(std::span<const Variable> variables) {
  std::map<std::string, VariableGroup> by_device;
  for (const Variable& variable : variables) by_device[variable.device()].push_back(&variable);
  std::vector<VariableGroup> groups;
  for (auto& [device, group] : by_device) groups.push_back(std::move(group));
  return groups;
}

}  // namespace

SaverDef AddSaverNodes(Graph::Impl& graph, const SaverNodesOptions& options,
                       std::span<const Variable> variables) {
  WAYPOST_CHECK(!variables.empty());
  const ScopeEntry scope(graph, options.scope);
  SaverNodes nodes(graph);
  const Output filename = nodes.AddFilename();
  Output save;
  Output restore;
  if (options.sharded) {
    const std::vector<VariableGroup> groups = GroupByDevice(variables);
    save = nodes.AddShardedSave(filename, groups);
    std::vector<Output> shards;
    for (const VariableGroup& group : groups) {
      shards.push_back(Control(nodes.AddRestore(filename, group, "restore_shard")));
    }
    restore = graph.AddNode("restore_all", "NoOp", std::move(shards), {});
  } else {
    VariableGroup all;
    for (const Variable& variable : variables) all.push_back(&variable);
    save = nodes.AddSave(filename, all);
    restore = nodes.AddRestore(filename, all, "restore_all");
  }
  return {.filename_tensor_name = TensorName(graph.model(), filename),
          .save_tensor_name = TensorName(graph.model(), save),
          .restore_op_name = graph.model().nodes[restore.node].name,
          .sharded = options.sharded};
}

}  // namespace waypost
