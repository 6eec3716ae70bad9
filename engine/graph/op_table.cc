#include "graph/op_table.h"

#include <map>

namespace waypost {
namespace {

constexpr DType kText = DType::kString;

OpArg Text(std::string_view name) { return {.name = name, .dtype = kText}; }
OpArg Int(std::string_view name) { return {.name = name, .dtype = DType::kInt32}; }
OpArg Float(std::string_view name) { return {.name = name, .dtype = DType::kFloat32}; }
OpArg Resource(std::string_view name) { return {.name = name, .dtype = DType::kResource}; }
OpArg Typed(std::string_view name, std::string_view attr = "T") {
  return {.name = name, .type_attr = attr};
}
OpArg Ref(std::string_view name, std::string_view attr = "T") {
  return {.name = name, .type_attr = attr, .is_ref = true};
}
OpArg ListOf(std::string_view name, std::string_view attr) {
  return {.name = name, .type_list_attr = attr};
}
OpArg Texts(std::string_view name) { return {.name = name, .dtype = kText, .number_attr = "N"}; }

OpAttr Type(std::string_view name = "T") { return {.name = name, .type = "type"}; }
OpAttr Bool(std::string_view name, bool value) {
  return {.name = name, .type = "bool", .default_value = value};
}
OpAttr EmptyText(std::string_view name) {
  return {.name = name, .type = "string", .default_value = std::string()};
}
OpAttr ShapeAttr() { return {.name = "shape", .type = "shape"}; }
OpAttr Types(std::string_view name) { return {.name = name, .type = "list(type)", .minimum = 1}; }
OpAttr Count(std::int64_t minimum) { return {.name = "N", .type = "int", .minimum = minimum}; }
OpAttr Outputs() {
  return {.name = "max_outputs", .type = "int", .default_value = std::int64_t{3}, .minimum = 1};
}
OpAttr NoStrings(std::string_view name) {
  return {.name = name, .type = "list(string)", .default_value = std::vector<std::string>{}};
}
OpAttr PreferredShard() {
  return {.name = "preferred_shard", .type = "int", .default_value = std::int64_t{-1}};
}

const std::vector<DType>& RealDTypes() {
  static const std::vector<DType> dtypes = {DType::kFloat32, DType::kFloat64,  DType::kInt32,
                                            DType::kUInt8,   DType::kInt16,    DType::kInt8,
                                            DType::kInt64,   DType::kBFloat16, DType::kUInt16,
                                            DType::kFloat16, DType::kUInt32,   DType::kUInt64};
  return dtypes;
}

TensorValue Red() { return {.dtype = DType::kUInt8, .shape = {4}, .ints = {255, 0, 0, 255}}; }

std::vector<OpSignature> VariableOps() {
  const std::vector<OpAttr> reference = {ShapeAttr(), Type("dtype"), EmptyText("container"),
                                         EmptyText("shared_name")};
  return {
      {.name = "VarHandleOp",
       .outputs = {Resource("resource")},
       .attrs = {EmptyText("container"), EmptyText("shared_name"), EmptyText("debug_name"),
                 Type("dtype"), ShapeAttr(), NoStrings("allowed_devices")},
       .is_stateful = true},
      {.name = "Variable",
       .outputs = {Ref("ref", "dtype")},
       .attrs = reference,
       .is_stateful = true},
      {.name = "VariableV2",
       .outputs = {Ref("ref", "dtype")},
       .attrs = reference,
       .is_stateful = true},
      {.name = "Assign",
       .inputs = {Ref("ref"), Typed("value")},
       .outputs = {Ref("output_ref")},
       .attrs = {Type(), Bool("validate_shape", true), Bool("use_locking", true)},
       .allows_uninitialized_input = true},
      {.name = "AssignVariableOp",
       .inputs = {Resource("resource"), Typed("value", "dtype")},
       .attrs = {Type("dtype"), Bool("validate_shape", false)},
       .is_stateful = true},
      {.name = "ReadVariableOp",
       .inputs = {Resource("resource")},
       .outputs = {Typed("value", "dtype")},
       .attrs = {Type("dtype")},
       .is_stateful = true},
  };
}

std::vector<OpSignature> PlainOps() {
  const OpArg output = Typed("output");
  const OpArg output_dtype = Typed("output", "dtype");
  return {
      {.name = "Const",
       .outputs = {output_dtype},
       .attrs = {{.name = "value", .type = "tensor"}, Type("dtype")}},
      {.name = "Identity", .inputs = {Typed("input")}, .outputs = {output}, .attrs = {Type()}},
      {.name = "NoOp"},
      {.name = "Pack",
       .inputs = {{.name = "values", .type_attr = "T", .number_attr = "N"}},
       .outputs = {output},
       .attrs = {Count(1),
                 Type(),
                 {.name = "axis", .type = "int", .default_value = std::int64_t{0}}}},
      {.name = "Placeholder",
       .outputs = {output_dtype},
       .attrs = {Type("dtype"),
                 {.name = "shape", .type = "shape", .default_value = UnknownRank{}}}},
      {.name = "PlaceholderWithDefault",
       .inputs = {Typed("input", "dtype")},
       .outputs = {output_dtype},
       .attrs = {Type("dtype"), ShapeAttr()}},
      {.name = "Reshape",
       .inputs = {Typed("tensor"), Typed("shape", "Tshape")},
       .outputs = {output},
       .attrs = {Type(),
                 {.name = "Tshape",
                  .type = "type",
                  .default_value = DType::kInt32,
                  .allowed = {DType::kInt32, DType::kInt64}}}},
      {.name = "Select",
       .inputs = {{.name = "condition", .dtype = DType::kBool}, Typed("t"), Typed("e")},
       .outputs = {output},
       .attrs = {Type()}},
      {.name = "StaticRegexFullMatch",
       .inputs = {Text("input")},
       .outputs = {{.name = "output", .dtype = DType::kBool}},
       .attrs = {{.name = "pattern", .type = "string"}}},
      {.name = "StringJoin",
       .inputs = {Texts("inputs")},
       .outputs = {Text("output")},
       .attrs = {Count(0), EmptyText("separator")}},
  };
}

std::vector<OpSignature> CheckpointOps() {
  return {
      {.name = "MergeV2Checkpoints",
       .inputs = {Text("checkpoint_prefixes"), Text("destination_prefix")},
       .attrs = {Bool("delete_old_dirs", true), Bool("allow_missing_files", false)},
       .is_stateful = true},
      {.name = "Restore",
       .inputs = {Text("file_pattern"), Text("tensor_name")},
       .outputs = {Typed("tensor", "dt")},
       .attrs = {Type("dt"), PreferredShard()},
       .is_stateful = true},
      {.name = "RestoreSlice",
       .inputs = {Text("file_pattern"), Text("tensor_name"), Text("shape_and_slice")},
       .outputs = {Typed("tensor", "dt")},
       .attrs = {Type("dt"), PreferredShard()},
       .is_stateful = true},
      {.name = "RestoreV2",
       .inputs = {Text("prefix"), Text("tensor_names"), Text("shape_and_slices")},
       .outputs = {ListOf("tensors", "dtypes")},
       .attrs = {Types("dtypes")},
       .is_stateful = true},
      {.name = "SaveSlices",
       .inputs = {Text("filename"), Text("tensor_names"), Text("shapes_and_slices"),
                  ListOf("data", "T")},
       .attrs = {Types("T")},
       .is_stateful = true},
      {.name = "SaveV2",
       .inputs = {Text("prefix"), Text("tensor_names"), Text("shape_and_slices"),
                  ListOf("tensors", "dtypes")},
       .attrs = {Types("dtypes")},
       .is_stateful = true},
      {.name = "ShardedFilename",
       .inputs = {Text("basename"), Int("shard"), Int("num_shards")},
       .outputs = {Text("filename")}},
      {.name = "ShardedFilespec",
       .inputs = {Text("basename"), Int("num_shards")},
       .outputs = {Text("filename")}},
  };
}

std::vector<OpSignature> SummaryOps() {
  const OpArg summary = Text("summary");
  OpAttr histogram_type = Type();
  histogram_type.default_value = DType::kFloat32;
  histogram_type.allowed = RealDTypes();
  return {
      {.name = "AudioSummaryV2",
       .inputs = {Text("tag"), Float("tensor"), Float("sample_rate")},
       .outputs = {summary},
       .attrs = {Outputs()}},
      {.name = "HistogramSummary",
       .inputs = {Text("tag"), Typed("values")},
       .outputs = {summary},
       .attrs = {histogram_type}},
      {.name = "ImageSummary",
       .inputs = {Text("tag"), Typed("tensor")},
       .outputs = {summary},
       .attrs =
           {{.name = "max_images", .type = "int", .default_value = std::int64_t{3}, .minimum = 1},
            {.name = "T",
             .type = "type",
             .default_value = DType::kFloat32,
             .allowed = {DType::kUInt8, DType::kFloat32, DType::kFloat16, DType::kFloat64}},
            {.name = "bad_color", .type = "tensor", .default_value = Red()}}},
      {.name = "MergeSummary",
       .inputs = {Texts("inputs")},
       .outputs = {summary},
       .attrs = {Count(1)}},
      {.name = "ScalarSummary",
       .inputs = {Text("tags"), Typed("values")},
       .outputs = {summary},
       .attrs = {{.name = "T", .type = "type", .allowed = RealDTypes()}}},
      {.name = "TensorSummary",
       .inputs = {Typed("tensor")},
       .outputs = {summary},
       .attrs = {Type(), EmptyText("description"), NoStrings("labels"), EmptyText("display_name")}},
      {.name = "TensorSummaryV2",
       .inputs = {Text("tag"), Typed("tensor"), Text("serialized_summary_metadata")},
       .outputs = {summary},
       .attrs = {Type()}},
  };
}

std::map<std::string_view, OpSignature> MakeTable() {
  std::map<std::string_view, OpSignature> table;
  for (const auto& make : {VariableOps, PlainOps, CheckpointOps, SummaryOps}) {
    for (OpSignature& op : make()) table.emplace(op.name, std::move(op));
  }
  return table;
}

}  // namespace

const OpSignature* FindOp(std::string_view name) noexcept {
  static const std::map<std::string_view, OpSignature> table = MakeTable();
  const auto found = table.find(name);
  return found == table.end() ? nullptr : &found->second;
}

}  // namespace waypost
