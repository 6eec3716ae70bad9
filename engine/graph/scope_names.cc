#include "graph/scope_names.h"

#include <algorithm>
#include <set>

#include "graph/graph_model.h"
#include "graph/proto_bytes.h"
#include "waypost/error.h"

namespace waypost {
namespace {

constexpr std::string_view kColocation = "loc:@";

// What names become: AddScope puts something before them, KeepScope takes it away.
class Renamer {
 public:
  static Renamer Into(const std::string& scope) { return {scope + '/', true}; }
  static Renamer OutOf(const std::string& scope) { return {scope + '/', false}; }

  // Whether there is a new name; what lies outside of a scope that is left has none.
  bool Covers(std::string_view name) const { return adds_ || name.starts_with(prefix_); }

  // Names outside stay, and so do empty ones.
  void Apply(std::string& name) const {
    if (name.empty()) return;
    if (adds_) {
      name.insert(0, prefix_);
    } else if (name.starts_with(prefix_)) {
      name.erase(0, prefix_.size());
    }
  }

 private:
  Renamer(std::string prefix, bool adds) : prefix_(std::move(prefix)), adds_(adds) {}

  std::string prefix_;
  bool adds_;
};

// ---- Nodes ----

void RenameColocation(tf::NodeDef& node, const Renamer& rename) {
  const auto found = node.mutable_attr()->find("_class");
  if (found == node.mutable_attr()->end() || !found->second.has_list()) return;
  tf::AttrValue::ListValue kept = found->second.list();
  kept.clear_s();
  for (std::string name : found->second.list().s()) {
    if (name.starts_with(kColocation)) {
      name.erase(0, kColocation.size());
      if (!rename.Covers(name)) continue;
      rename.Apply(name);
      name.insert(0, kColocation);
    }
    kept.add_s(name);
  }
  if (kept.s_size() == 0) {
    node.mutable_attr()->erase(found);
  } else {
    *found->second.mutable_list() = kept;
  }
}

void RenameInput(std::string& input, const Renamer& rename, std::set<std::string>& unbound) {
  const std::string mark = input.starts_with('^') ? "^" : "";
  std::string name = input.substr(mark.size());
  // What an earlier export left open stays so, under its name.
  if (name.starts_with(kUnboundInputPrefix)) return;
  if (rename.Covers(name)) {
    rename.Apply(name);
    input = mark + name;
  } else {
    name.insert(0, kUnboundInputPrefix);
    input = mark + name;
    unbound.insert(name);
  }
}

// The inputs that come from outside.
std::set<std::string> RenameNode(tf::NodeDef& node, const Renamer& rename) {
  std::set<std::string> unbound;
  rename.Apply(*node.mutable_name());
  for (std::string& input : *node.mutable_input()) RenameInput(input, rename, unbound);
  RenameColocation(node, rename);
  return unbound;
}

// ---- Messages in collections: whether they are within the scope ----

bool Rename(tf::VariableDef& variable, const Renamer& rename) {
  if (!rename.Covers(variable.variable_name())) return false;
  rename.Apply(*variable.mutable_variable_name());
  rename.Apply(*variable.mutable_initializer_name());
  rename.Apply(*variable.mutable_snapshot_name());
  rename.Apply(*variable.mutable_initial_value_name());
  if (variable.has_save_slice_info_def()) {
    rename.Apply(*variable.mutable_save_slice_info_def()->mutable_full_name());
  }
  return true;
}

bool Rename(tf::SaverDef& saver, const Renamer& rename) {
  if (!rename.Covers(saver.restore_op_name())) return false;
  rename.Apply(*saver.mutable_filename_tensor_name());
  rename.Apply(*saver.mutable_save_tensor_name());
  rename.Apply(*saver.mutable_restore_op_name());
  return true;
}

void Rename(tf::ValuesDef& values, const Renamer& rename) {
  for (std::string& value : *values.mutable_values()) rename.Apply(value);
  const google::protobuf::Map<std::string, std::string> external = values.external_values();
  values.clear_external_values();
  for (const auto& [inner, outer] : external) {
    std::string key = inner;
    rename.Apply(key);
    std::string& value = (*values.mutable_external_values())[key] = outer;
    rename.Apply(value);
  }
}

bool Rename(tf::WhileContextDef& context, const Renamer& rename);

bool Rename(tf::CondContextDef& context, const Renamer& rename);

void RenameNested(google::protobuf::RepeatedPtrField<tf::ControlFlowContextDef>& nested,
                  const Renamer& rename) {
  for (tf::ControlFlowContextDef& context : nested) {
    if (context.has_cond_ctxt()) Rename(*context.mutable_cond_ctxt(), rename);
    if (context.has_while_ctxt()) Rename(*context.mutable_while_ctxt(), rename);
  }
}

bool Rename(tf::CondContextDef& context, const Renamer& rename) {
  if (!rename.Covers(context.context_name())) return false;
  rename.Apply(*context.mutable_context_name());
  rename.Apply(*context.mutable_pred_name());
  rename.Apply(*context.mutable_pivot_name());
  if (context.has_values_def()) Rename(*context.mutable_values_def(), rename);
  RenameNested(*context.mutable_nested_contexts(), rename);
  return true;
}

bool Rename(tf::WhileContextDef& context, const Renamer& rename) {
  if (!rename.Covers(context.context_name())) return false;
  for (std::string* name :
       {context.mutable_context_name(), context.mutable_pivot_name(),
        context.mutable_pivot_for_pred_name(), context.mutable_pivot_for_body_name(),
        context.mutable_maximum_iterations_name()}) {
    rename.Apply(*name);
  }
  for (std::string& name : *context.mutable_loop_exit_names()) rename.Apply(name);
  for (std::string& name : *context.mutable_loop_enter_names()) rename.Apply(name);
  if (context.has_values_def()) Rename(*context.mutable_values_def(), rename);
  RenameNested(*context.mutable_nested_contexts(), rename);
  return true;
}

bool Rename(tf::QueueRunnerDef& runner, const Renamer& rename) {
  if (!rename.Covers(runner.queue_name())) return false;
  rename.Apply(*runner.mutable_queue_name());
  for (std::string& name : *runner.mutable_enqueue_op_name()) rename.Apply(name);
  rename.Apply(*runner.mutable_close_op_name());
  rename.Apply(*runner.mutable_cancel_op_name());
  return true;
}

// ---- Collections ----

template <typename Message>
void RenameMessages(const std::string& key, tf::CollectionDef& collection, const Renamer& rename) {
  tf::CollectionDef::BytesList kept;
  for (const std::string& bytes : collection.bytes_list().value()) {
    Message message;
    if (!ParseBinary(bytes, message)) {
      throw Error(Code::kDataLoss,
                  "collection '" + key + "' has an item that is no " + message.GetTypeName());
    }
    if (Rename(message, rename)) kept.add_value(message.SerializeAsString());
  }
  *collection.mutable_bytes_list() = kept;
}

void RenameCollection(const std::string& key, tf::CollectionDef& collection,
                      const Renamer& rename) {
  if (collection.has_node_list()) {
    tf::CollectionDef::NodeList kept;
    for (std::string name : collection.node_list().value()) {
      if (!rename.Covers(name)) continue;
      rename.Apply(name);
      kept.add_value(name);
    }
    *collection.mutable_node_list() = kept;
  } else if (!collection.has_bytes_list()) {
    return;
  } else if (HoldsVariables(key)) {
    RenameMessages<tf::VariableDef>(key, collection, rename);
  } else if (key == "savers") {
    RenameMessages<tf::SaverDef>(key, collection, rename);
  } else if (key == "cond_context") {
    RenameMessages<tf::CondContextDef>(key, collection, rename);
  } else if (key == "while_context") {
    RenameMessages<tf::WhileContextDef>(key, collection, rename);
  } else if (key == "queue_runners") {
    RenameMessages<tf::QueueRunnerDef>(key, collection, rename);
  }
}

bool IsEmpty(const tf::CollectionDef& collection) {
  return (collection.has_node_list() && collection.node_list().value_size() == 0) ||
         (collection.has_bytes_list() && collection.bytes_list().value_size() == 0);
}

void RenameCollections(tf::MetaGraphDef& meta, const Renamer& rename) {
  auto& collections = *meta.mutable_collection_def();
  for (auto item = collections.begin(); item != collections.end();) {
    RenameCollection(item->first, item->second, rename);
    item = IsEmpty(item->second) ? collections.erase(item) : std::next(item);
  }
}

// ---- Signatures: whether they are within the scope ----

bool Rename(tf::TensorInfo& info, const Renamer& rename) {
  std::vector<std::string*> names;
  if (info.has_coo_sparse()) {
    tf::TensorInfo::CooSparse& sparse = *info.mutable_coo_sparse();
    names = {sparse.mutable_values_tensor_name(), sparse.mutable_indices_tensor_name(),
             sparse.mutable_dense_shape_tensor_name()};
  } else if (info.encoding_case() == tf::TensorInfo::kName) {
    names = {info.mutable_name()};
  }
  bool covered = true;
  for (std::string* name : names) {
    covered = covered && rename.Covers(*name);
    rename.Apply(*name);
  }
  return covered;
}

bool Rename(tf::SignatureDef& signature, const Renamer& rename) {
  bool covered = true;
  for (auto* tensors : {signature.mutable_inputs(), signature.mutable_outputs()}) {
    for (auto& [name, info] : *tensors) covered = Rename(info, rename) && covered;
  }
  return covered;
}

void RenameSignatures(tf::MetaGraphDef& meta, const Renamer& rename) {
  auto& signatures = *meta.mutable_signature_def();
  google::protobuf::Map<std::string, tf::SignatureDef> kept;
  for (auto& [key, signature] : signatures) {
    if (!Rename(signature, rename)) continue;
    std::string name = key;
    rename.Apply(name);
    kept[name] = std::move(signature);
  }
  signatures.swap(kept);
  auto& assets = *meta.mutable_asset_file_def();
  assets.erase(std::remove_if(assets.begin(), assets.end(),
                              [&](tf::AssetFileDef& asset) {
                                return asset.has_tensor_info() &&
                                       !Rename(*asset.mutable_tensor_info(), rename);
                              }),
               assets.end());
}

// A loop's frame is named by its scope.
void LeaveFrame(tf::NodeDef& node, const Renamer& rename) {
  const auto found = node.mutable_attr()->find("frame_name");
  if (found != node.mutable_attr()->end() && found->second.value_case() == tf::AttrValue::kS &&
      (node.op() == "Enter" || node.op() == "RefEnter")) {
    rename.Apply(*found->second.mutable_s());
  }
}

}  // namespace

void AddScope(tf::MetaGraphDef& meta, const std::string& scope) {
  const Renamer rename = Renamer::Into(scope);
  for (tf::NodeDef& node : *meta.mutable_graph_def()->mutable_node()) RenameNode(node, rename);
  if (meta.has_saver_def()) Rename(*meta.mutable_saver_def(), rename);
  RenameCollections(meta, rename);
  RenameSignatures(meta, rename);
}

void KeepScope(tf::MetaGraphDef& meta, const std::string& scope) {
  const Renamer rename = Renamer::OutOf(scope);
  google::protobuf::RepeatedPtrField<tf::NodeDef> kept;
  std::set<std::string> unbound;
  for (tf::NodeDef& node : *meta.mutable_graph_def()->mutable_node()) {
    if (!rename.Covers(node.name())) continue;
    unbound.merge(RenameNode(node, rename));
    LeaveFrame(node, rename);
    kept.Add(std::move(node));
  }
  *meta.mutable_graph_def()->mutable_node() = std::move(kept);
  if (meta.has_saver_def() && !Rename(*meta.mutable_saver_def(), rename)) meta.clear_saver_def();
  RenameCollections(meta, rename);
  RenameSignatures(meta, rename);
  if (unbound.empty()) return;
  auto& list = *(*meta.mutable_collection_def())[kUnboundInputsKey].mutable_bytes_list();
  for (const std::string& input : unbound) list.add_value(input);
}

}  // namespace waypost
