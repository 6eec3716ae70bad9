// GraphDef and MetaGraph: TensorFlow's files of graphs.
#include "waypost/meta_graph.h"

#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include <tuple>

#include "bindings/graph_owner.h"
#include "bindings/tensor.h"

namespace waypost::python {
namespace {

using NodeTuple = std::tuple<std::string, std::string, std::string, std::vector<std::string>>;

template <typename Message>
std::vector<NodeTuple> NodesOf(const Message& message) {
  std::vector<NodeTuple> nodes;
  for (const NodeInfo& node : message.nodes())
    nodes.emplace_back(node.name, node.op, node.device, node.inputs);
  return nodes;
}

// Both messages have the same methods.
template <typename Message>
nb::class_<Message> BindMessage(nb::module_& module, const char* name) {
  return nb::class_<Message>(module, name, "TensorFlow's message of this name.")
      .def_static(
          "parse",
          [](const nb::bytes& content) {
            const std::string_view bytes(content.c_str(), content.size());
            const nb::gil_scoped_release release;
            return Message::Parse(bytes);
          },
          nb::arg("content"), "Binary, or text when it is not that.")
      .def_static("read", &Message::Read, nb::arg("path"), WithoutGil())
      .def("serialize", [](const Message& message) { return ToBytes(message.Serialize()); })
      .def("text", &Message::Text, WithoutGil())
      .def("nodes", &NodesOf<Message>, WithoutGil(), "Of each name, operation, device, inputs.")
      .def(
          "write",
          [](const Message& message, const std::string& logdir, const std::string& file,
             bool as_text) { return WriteGraph(message, logdir, file, as_text); },
          nb::arg("logdir"), nb::arg("name"), nb::arg("as_text"), WithoutGil());
}

MetaGraph Export(GraphOwner& graph, const std::optional<SaverDef>& saver_def,
                 const std::string& filename,
                 const std::optional<std::vector<std::string>>& collection_list, bool as_text,
                 const std::string& export_scope, bool clear_devices, bool clear_extraneous_savers,
                 bool strip_default_attrs) {
  const ExportMetaGraphOptions options = {.filename = filename,
                                          .collection_list = collection_list,
                                          .as_text = as_text,
                                          .export_scope = export_scope,
                                          .clear_devices = clear_devices,
                                          .clear_extraneous_savers = clear_extraneous_savers,
                                          .strip_default_attrs = strip_default_attrs};
  return graph.With([&](Graph& from) { return ExportMetaGraph(from, saver_def, options); });
}

}  // namespace

void BindMetaGraph(nb::module_& module) {
  BindMessage<GraphDef>(module, "GraphDef");
  BindMessage<MetaGraph>(module, "MetaGraph")
      .def("graph_def", &MetaGraph::graph_def, WithoutGil())
      .def("saver_def", &MetaGraph::saver_def, WithoutGil());
  module.def("export_meta_graph", &Export, nb::arg("graph"), nb::arg("saver_def").none(),
             nb::arg("filename"), nb::arg("collection_list").none(), nb::arg("as_text"),
             nb::arg("export_scope"), nb::arg("clear_devices"), nb::arg("clear_extraneous_savers"),
             nb::arg("strip_default_attrs"));
}

}  // namespace waypost::python
