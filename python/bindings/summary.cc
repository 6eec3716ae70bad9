// Summaries: the message, and the operations of a graph that make one.
#include "waypost/summary.h"

#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/string_view.h>
#include <nanobind/stl/vector.h>

#include "bindings/graph_owner.h"
#include "bindings/tensor.h"

namespace waypost::python {
namespace {

using Strings = std::vector<std::string>;

const ConstTensorView& ViewOf(const TensorRef& tensor) { return tensor.named().tensor; }

SummaryMetadata MetadataOf(const std::string& plugin_name, const nb::bytes& plugin_content,
                           const std::string& display_name, const std::string& description,
                           std::int32_t data_class) {
  return {.plugin_name = plugin_name,
          .plugin_content = ToString(plugin_content),
          .display_name = display_name,
          .summary_description = description,
          .data_class = data_class};
}

void BindMessage(nb::module_& module) {
  nb::class_<Summary>(module, "Summary", "A Summary message; for one thread at a time.")
      .def(nb::init<>())
      .def_static(
          "parse",
          [](const nb::bytes& bytes) {
            return Summary::Parse({bytes.c_str(), bytes.size()});
          },
          nb::arg("bytes"))
      .def("serialize", [](const Summary& summary) { return ToBytes(summary.Serialize()); })
      .def("add_scalar", &Summary::AddScalar, nb::arg("tag"), nb::arg("value"))
      .def(
          "add_histogram",
          [](Summary& summary, const std::string& tag, const TensorRef& values) {
            summary.AddHistogram(tag, ViewOf(values));
          },
          nb::arg("tag"), nb::arg("values"), WithoutGil())
      .def(
          "add_image",
          [](Summary& summary, const std::string& tag, const TensorRef& pixels) {
            summary.AddImage(tag, ViewOf(pixels));
          },
          nb::arg("tag"), nb::arg("pixels"), WithoutGil())
      .def(
          "add_audio",
          [](Summary& summary, const std::string& tag, const TensorRef& samples, float rate) {
            summary.AddAudio(tag, ViewOf(samples), rate);
          },
          nb::arg("tag"), nb::arg("samples"), nb::arg("sample_rate"), WithoutGil())
      .def("add_text", &Summary::AddText, nb::arg("tag"), nb::arg("text"))
      .def(
          "add_tensor",
          [](Summary& summary, const std::string& tag, const TensorRef& tensor,
             const std::string& plugin_name, const nb::bytes& plugin_content) {
            summary.AddTensor(tag, ViewOf(tensor),
                              MetadataOf(plugin_name, plugin_content, "", "", 0));
          },
          nb::arg("tag"), nb::arg("tensor"), nb::arg("plugin_name"), nb::arg("plugin_content"));
}

// Scalar and Histogram are alike, as are Image and Audio.
template <auto kAdd>
Output AddPlain(GraphOwner& graph, const std::string& name, const Output& input,
                const Strings& collections, const std::string& family) {
  return graph.With([&](Graph& into) {
    return kAdd(into, name, input, {.collections = collections, .family = family});
  });
}

Output AddImage(GraphOwner& graph, const std::string& name, const Output& images, int max_outputs,
                const Strings& collections, const std::string& family) {
  const summary::BatchSummaryOptions options = {
      .max_outputs = max_outputs, .collections = collections, .family = family};
  return graph.With([&](Graph& into) { return summary::Image(into, name, images, options); });
}

Output AddAudio(GraphOwner& graph, const std::string& name, const Output& clips,
                const std::optional<float>& sample_rate, const std::optional<Output>& rate_output,
                int max_outputs, const Strings& collections, const std::string& family) {
  const summary::BatchSummaryOptions options = {
      .max_outputs = max_outputs, .collections = collections, .family = family};
  return graph.With([&](Graph& into) {
    if (rate_output) return summary::Audio(into, name, clips, *rate_output, options);
    return summary::Audio(into, name, clips, sample_rate.value_or(0), options);
  });
}

Output AddText(GraphOwner& graph, const std::string& name, const Output& texts,
               const Strings& collections) {
  return graph.With(
      [&](Graph& into) { return summary::Text(into, name, texts, {.collections = collections}); });
}

Output AddTensor(GraphOwner& graph, const std::string& name, const Output& tensor,
                 const std::string& plugin_name, const nb::bytes& plugin_content,
                 const std::string& display_name, const std::string& description,
                 std::int32_t data_class, const Strings& collections, const std::string& family) {
  const summary::TensorSummaryOptions options = {
      .summary_metadata =
          MetadataOf(plugin_name, plugin_content, display_name, description, data_class),
      .collections = collections,
      .family = family};
  return graph.With(
      [&](Graph& into) { return summary::TensorSummary(into, name, tensor, options); });
}

Output AddMerge(GraphOwner& graph, const std::vector<Output>& inputs, const std::string& name,
                const Strings& collections) {
  return graph.With([&](Graph& into) {
    return summary::Merge(into, inputs, {.name = name, .collections = collections});
  });
}

Output AddMergeAll(GraphOwner& graph, const std::string& key, const std::string& scope,
                   const std::string& name) {
  return graph.With([&](Graph& into) {
    return summary::MergeAll(into, {.key = key, .scope = scope, .name = name});
  });
}

}  // namespace

void BindSummary(nb::module_& module) {
  BindMessage(module);
  module.def("summary_scalar", &AddPlain<&summary::Scalar>, nb::arg("graph"), nb::arg("name"),
             nb::arg("input"), nb::arg("collections"), nb::arg("family"));
  module.def("summary_histogram", &AddPlain<&summary::Histogram>, nb::arg("graph"), nb::arg("name"),
             nb::arg("input"), nb::arg("collections"), nb::arg("family"));
  module.def("summary_image", &AddImage, nb::arg("graph"), nb::arg("name"), nb::arg("images"),
             nb::arg("max_outputs"), nb::arg("collections"), nb::arg("family"));
  module.def("summary_audio", &AddAudio, nb::arg("graph"), nb::arg("name"), nb::arg("clips"),
             nb::arg("sample_rate").none(), nb::arg("rate_output").none(), nb::arg("max_outputs"),
             nb::arg("collections"), nb::arg("family"));
  module.def("summary_text", &AddText, nb::arg("graph"), nb::arg("name"), nb::arg("texts"),
             nb::arg("collections"));
  module.def("summary_tensor", &AddTensor, nb::arg("graph"), nb::arg("name"), nb::arg("tensor"),
             nb::arg("plugin_name"), nb::arg("plugin_content"), nb::arg("display_name"),
             nb::arg("description"), nb::arg("data_class"), nb::arg("collections"),
             nb::arg("family"));
  module.def("summary_merge", &AddMerge, nb::arg("graph"), nb::arg("inputs"), nb::arg("name"),
             nb::arg("collections"));
  module.def("summary_merge_all", &AddMergeAll, nb::arg("graph"), nb::arg("key"), nb::arg("scope"),
             nb::arg("name"));
}

}  // namespace waypost::python
