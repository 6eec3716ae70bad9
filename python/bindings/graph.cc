// Graphs: variables, placeholders, nodes, collections and scopes.
#include <fmt/format.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include "bindings/graph_owner.h"
#include "bindings/tensor.h"
#include "graph/graph_model.h"
#include "waypost/meta_graph.h"

namespace waypost::python {
namespace {

std::vector<DType> DTypesOf(const std::vector<std::string>& names) {
  std::vector<DType> dtypes;
  for (const std::string& name : names) dtypes.push_back(DTypeOf(name));
  return dtypes;
}

std::vector<std::string> ByteStringsOf(const nb::object& values) {
  std::vector<std::string> strings;
  for (const nb::handle value : values) strings.push_back(ToString(nb::cast<nb::bytes>(value)));
  return strings;
}

// An attribute as Python gives it: its kind, and the value.
AttrValue AttrOf(const std::string& kind, const nb::object& value) {
  if (kind == "int") return nb::cast<std::int64_t>(value);
  if (kind == "float") return nb::cast<float>(value);
  if (kind == "bool") return nb::cast<bool>(value);
  if (kind == "bytes") return ToString(nb::cast<nb::bytes>(value));
  if (kind == "dtype") return DTypeOf(nb::cast<std::string>(value));
  if (kind == "shape") return nb::cast<Shape>(value);
  if (kind == "ints") return IntList{nb::cast<std::vector<std::int64_t>>(value)};
  if (kind == "floats") return nb::cast<std::vector<float>>(value);
  if (kind == "bytes_list") return ByteStringsOf(value);
  if (kind == "dtypes") return DTypesOf(nb::cast<std::vector<std::string>>(value));
  if (kind == "shapes") return nb::cast<std::vector<Shape>>(value);
  throw Error(Code::kInvalidArgument, fmt::format("attribute of kind '{}': no such kind", kind));
}

// Of each its kind and its value.
using Attrs = nb::typed<nb::dict, nb::str, nb::typed<nb::tuple, nb::str, nb::any>>;

AttrMap AttrsOf(const Attrs& attrs) {
  AttrMap map;
  for (const auto& [name, attr] : attrs) {
    const auto [kind, value] = nb::cast<std::pair<std::string, nb::object>>(attr);
    map.insert_or_assign(nb::cast<std::string>(name), AttrOf(kind, value));
  }
  return map;
}

std::optional<SaveSliceInfo> SliceOf(const std::string& full_name, const Shape& full_shape,
                                     const std::vector<std::int64_t>& starts, const Shape& shape) {
  if (full_name.empty()) return std::nullopt;
  if (starts.size() != shape.size()) {
    throw Error(Code::kInvalidArgument, fmt::format("{}: {} offsets for a slice of shape {}",
                                                    full_name, starts.size(), ShapeText(shape)));
  }
  SaveSliceInfo info = {.full_name = full_name, .full_shape = full_shape, .slice = {}};
  for (std::size_t i = 0; i < starts.size(); ++i)
    info.slice.extents.push_back({.start = starts[i], .length = shape[i]});
  return info;
}

Variable AddVariable(GraphOwner& graph, const std::string& name, const std::string& dtype,
                     const Shape& shape, const std::string& device, bool trainable,
                     bool is_resource, const std::vector<std::string>& collections,
                     const std::string& slice_name, const Shape& slice_full_shape,
                     const std::vector<std::int64_t>& slice_starts) {
  const VariableOptions options = {
      .dtype = DTypeOf(dtype),
      .shape = shape,
      .device = device,
      .trainable = trainable,
      .kind = is_resource ? VariableKind::kResource : VariableKind::kReference,
      .slice = SliceOf(slice_name, slice_full_shape, slice_starts, shape),
      .collections = collections};
  return graph.With([&](Graph& into) { return into.AddVariable(name, options); });
}

Output AddNode(GraphOwner& graph, const std::string& op, const std::string& name,
               const std::vector<Output>& inputs, const std::vector<Output>& control_inputs,
               const Attrs& attrs, const std::string& device) {
  const NodeOptions options = {.inputs = inputs,
                               .control_inputs = control_inputs,
                               .attrs = AttrsOf(attrs),
                               .device = device};
  return graph.With([&](Graph& into) { return into.AddNode(op, name, options); });
}

nb::list ListOf(const std::vector<std::string>& items) {
  nb::list list;
  for (const std::string& item : items) list.append(ToBytes(item));
  return list;
}
template <typename Item>
nb::list ListOf(const std::vector<Item>& items) {
  nb::list list;
  for (const Item& item : items) list.append(item);
  return list;
}

// The dtype and shape (-1: unknown) of a placeholder or variable; none for other nodes.
std::optional<std::pair<std::string, std::optional<Shape>>> SpecOf(GraphOwner& graph,
                                                                   const Output& output) {
  return graph.With(
      [&](Graph& from) -> std::optional<std::pair<std::string, std::optional<Shape>>> {
        try {
          Graph::Impl::ValueSpec spec = from.impl().SpecOf(output);
          return std::pair(std::string(DTypeName(spec.dtype)), std::move(spec.shape));
        } catch (const Error&) {
          return std::nullopt;
        }
      });
}

nb::typed<nb::list, nb::any> CollectionOf(GraphOwner& graph, const std::string& key) {
  const Collection items = graph.With([&](Graph& from) { return from.collection(key); });
  return std::visit([](const auto& alternatives) { return ListOf(alternatives); }, items);
}

template <typename Item>
void AddToCollection(GraphOwner& graph, const std::string& key, const Item& item) {
  graph.With([&](Graph& into) { into.AddToCollection(key, item); });
}

void BindOutputsAndVariables(nb::module_& module) {
  nb::class_<Output>(module, "Output", "One output of a node of a graph.")
      .def_ro("node", &Output::node)
      .def_ro("index", &Output::index)
      .def(
          "__eq__",
          [](const Output& output, const nb::object& other) {
            Output compared;
            return nb::try_cast(other, compared) && output == compared;
          },
          nb::arg("other").none(), nb::sig("def __eq__(self, other: object, /) -> bool"))
      .def("__hash__", [](const Output& output) {
        return std::hash<std::size_t>()(output.node * 31 + static_cast<std::size_t>(output.index));
      });
  nb::class_<Variable>(module, "Variable", "A variable of a graph.")
      .def_prop_ro("name", &Variable::name)
      .def_prop_ro("dtype", [](const Variable& v) { return std::string(DTypeName(v.dtype())); })
      .def_prop_ro("shape", &Variable::shape)
      .def_prop_ro("device", &Variable::device)
      .def_prop_ro("is_resource",
                   [](const Variable& v) { return v.kind() == VariableKind::kResource; })
      .def_prop_ro("output", &Variable::output);
}

void BindScopes(nb::module_& module) {
  using Names = ScopeOwner<NameScope>;
  nb::class_<Names>(module, "NameScope", "Open until it is closed.")
      .def(nb::init<GraphOwner&, const std::string&>(), nb::arg("graph"), nb::arg("name"),
           nb::keep_alive<1, 2>())
      .def_prop_ro("name", [](const Names& names) { return names.scope().name(); })
      .def("close", &Names::Close);
  using Devices = ScopeOwner<DeviceScope>;
  nb::class_<Devices>(module, "DeviceScope", "Open until it is closed.")
      .def(nb::init<GraphOwner&, const std::string&>(), nb::arg("graph"), nb::arg("device"),
           nb::keep_alive<1, 2>())
      .def("close", &Devices::Close);
}

}  // namespace

void BindGraph(nb::module_& module) {
  BindOutputsAndVariables(module);
  nb::class_<GraphOwner>(module, "Graph", "Any thread may use it; they wait for each other.")
      .def(nb::init<>())
      .def("add_variable", &AddVariable, nb::arg("name"), nb::arg("dtype"), nb::arg("shape"),
           nb::arg("device"), nb::arg("trainable"), nb::arg("is_resource"), nb::arg("collections"),
           nb::arg("slice_name"), nb::arg("slice_full_shape"), nb::arg("slice_starts"))
      .def(
          "add_placeholder",
          [](GraphOwner& graph, const std::string& name, const std::string& dtype,
             const Shape& shape) {
            const DType type = DTypeOf(dtype);
            return graph.With([&](Graph& into) { return into.AddPlaceholder(name, type, shape); });
          },
          nb::arg("name"), nb::arg("dtype"), nb::arg("shape"))
      .def("add_node", &AddNode, nb::arg("op"), nb::arg("name"), nb::arg("inputs"),
           nb::arg("control_inputs"), nb::arg("attrs"), nb::arg("device"))
      .def(
          "add_const",
          [](GraphOwner& graph, const std::string& name, const TensorRef& value) {
            const ConstTensorView& view = value.named().tensor;
            return graph.With([&](Graph& into) { return into.AddConst(name, view); });
          },
          nb::arg("name"), nb::arg("value"))
      .def("add_output_to_collection", &AddToCollection<Output>, nb::arg("key"), nb::arg("item"))
      .def(
          "add_bytes_to_collection",
          [](GraphOwner& graph, const std::string& key, const nb::bytes& item) {
            AddToCollection(graph, key, ToString(item));
          },
          nb::arg("key"), nb::arg("item"))
      .def("add_int_to_collection", &AddToCollection<std::int64_t>, nb::arg("key"), nb::arg("item"))
      .def("add_float_to_collection", &AddToCollection<float>, nb::arg("key"), nb::arg("item"))
      .def("collection", &CollectionOf, nb::arg("key"))
      .def("collection_keys",
           [](GraphOwner& graph) {
             return graph.With([](Graph& from) { return from.collection_keys(); });
           })
      .def(
          "variables",
          [](GraphOwner& graph, const std::optional<std::string>& collection) {
            return graph.With([&](Graph& from) {
              return collection ? from.variables(*collection) : from.variables();
            });
          },
          nb::arg("collection").none())
      .def(
          "find",
          [](GraphOwner& graph, const std::string& name) {
            return graph.With([&](Graph& from) { return from.Find(name); });
          },
          nb::arg("name"))
      .def(
          "name_of",
          [](GraphOwner& graph, const Output& output) {
            return graph.With([&](Graph& from) { return from.NameOf(output); });
          },
          nb::arg("output"))
      .def("spec_of", &SpecOf, nb::arg("output"))
      .def("graph_def", [](GraphOwner& graph) {
        return graph.With([](Graph& from) { return GraphDef(from); });
      });
  BindScopes(module);
}

}  // namespace waypost::python
