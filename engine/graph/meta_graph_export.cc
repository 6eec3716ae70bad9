#include "graph/meta_graph_export.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <set>

#include "graph/op_registry.h"
#include "graph/output_shapes.h"
#include "graph/proto_from_model.h"
#include "graph/scope_names.h"
#include "waypost/error.h"

namespace waypost {
namespace {

// "a/b/c" is in the scope "a/b/"; one at the root is in none.
std::string ScopeOf(const std::string& name) {
  const std::size_t slash = name.rfind('/');
  return slash == std::string::npos ? std::string() : name.substr(0, slash + 1);
}

bool SavesOrRestores(const tf::NodeDef& node) {
  constexpr std::array<std::string_view, 6> kOps = {"Save",    "SaveSlices",   "SaveV2",
                                                    "Restore", "RestoreSlice", "RestoreV2"};
  return std::find(kOps.begin(), kOps.end(), node.op()) != kOps.end();
}

// Every saver is taken to have a scope of its own; all but one are removed with what is in them.
void ClearOtherSavers(tf::GraphDef& graph, const std::optional<SaverDef>& saver) {
  std::set<std::string> scopes;
  for (const tf::NodeDef& node : graph.node()) {
    if (SavesOrRestores(node)) scopes.insert(ScopeOf(node.name()));
  }
  scopes.erase("");
  if (saver) {
    scopes.erase(ScopeOf(saver->save_tensor_name));
    scopes.erase(ScopeOf(saver->restore_op_name));
  }
  auto& nodes = *graph.mutable_node();
  nodes.erase(std::remove_if(nodes.begin(), nodes.end(),
                             [&](const tf::NodeDef& node) {
                               return std::any_of(scopes.begin(), scopes.end(),
                                                  [&](const std::string& scope) {
                                                    return node.name().starts_with(scope);
                                                  });
                             }),
              nodes.end());
}

void KeepCollections(tf::MetaGraphDef& meta, const std::vector<std::string>& keys) {
  auto& collections = *meta.mutable_collection_def();
  for (auto item = collections.begin(); item != collections.end();) {
    const bool wanted = std::find(keys.begin(), keys.end(), item->first) != keys.end();
    item = wanted ? std::next(item) : collections.erase(item);
  }
}

// ---- Signatures of the graph itself ----

class SignatureSetter {
 public:
  SignatureSetter(const GraphModel& graph, const tf::GraphDef& proto, OpRegistry& registry)
      : graph_(graph), proto_(proto), registry_(registry) {}

  void Set(const Signature& signature, tf::SignatureDef& proto) {
    for (const auto& [name, output] : signature.inputs) {
      Set(output, (*proto.mutable_inputs())[name]);
    }
    for (const auto& [name, output] : signature.outputs) {
      Set(output, (*proto.mutable_outputs())[name]);
    }
    proto.set_method_name(signature.method_name);
  }

 private:
  void Set(const Output& output, tf::TensorInfo& info) {
    const tf::NodeDef& node = proto_.node(static_cast<int>(output.node));
    info.set_name(TensorName(graph_, output));
    if (const tf::OpDef* const op = registry_.Find(node.op())) {
      const std::vector<tf::DataType> types = OutputTypes(*op, node);
      if (static_cast<std::size_t>(output.index) < types.size()) {
        info.set_dtype(types[static_cast<std::size_t>(output.index)]);
      }
    }
    const auto shapes = node.attr().find(kOutputShapes);
    if (shapes != node.attr().end() && output.index < shapes->second.list().shape_size()) {
      *info.mutable_tensor_shape() = shapes->second.list().shape(output.index);
    } else {
      info.mutable_tensor_shape()->set_unknown_rank(true);
    }
  }

  const GraphModel& graph_;
  const tf::GraphDef& proto_;
  OpRegistry& registry_;
};

void SetSignatures(const GraphModel& graph, OpRegistry& registry, tf::MetaGraphDef& meta) {
  SignatureSetter setter(graph, meta.graph_def(), registry);
  for (const auto& [key, signature] : graph.signatures) {
    setter.Set(signature, (*meta.mutable_signature_def())[key]);
  }
}

}  // namespace

tf::MetaGraphDef ExportedMetaGraph(const GraphModel& graph, const std::optional<SaverDef>& saver,
                                   const ExportMetaGraphOptions& options) {
  tf::MetaGraphDef meta = MetaGraphOf(graph);
  OpRegistry registry(meta.meta_info_def().stripped_op_list());
  AddOutputShapes(*meta.mutable_graph_def());
  SetSignatures(graph, registry, meta);
  if (saver) SetSaver(*saver, *meta.mutable_saver_def());
  if (options.collection_list) KeepCollections(meta, *options.collection_list);
  if (options.clear_extraneous_savers) ClearOtherSavers(*meta.mutable_graph_def(), saver);
  if (!options.export_scope.empty()) KeepScope(meta, options.export_scope);
  if (options.clear_devices) {
    for (tf::NodeDef& node : *meta.mutable_graph_def()->mutable_node()) node.clear_device();
  }
  // tensorflow_version stays empty where no import has set it: TensorFlow would take it apart as a
  // version of its own.
  tf::MetaGraphDef::MetaInfoDef& info = *meta.mutable_meta_info_def();
  *info.mutable_stripped_op_list() = registry.UsedBy(meta.graph_def());
  if (options.strip_default_attrs) info.set_stripped_default_attrs(true);
  if (options.strip_default_attrs) registry.StripDefaults(*meta.mutable_graph_def());
  return meta;
}

}  // namespace waypost
