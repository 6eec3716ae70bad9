// Events: what event files and serialized summaries hold.
#include "waypost/event.h"

#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include "bindings/bindings.h"
#include "bindings/tensor.h"
#include "waypost/event_reader.h"
#include "waypost/summary.h"

namespace waypost::python {
namespace {

nb::object Described(float value) { return nb::float_(value); }
nb::object Described(const HistogramData& histogram) {
  return nb::make_tuple(histogram.min, histogram.max, histogram.num, histogram.sum,
                        histogram.sum_squares, histogram.bucket_limit, histogram.bucket);
}
nb::object Described(const ImageData& image) {
  return nb::make_tuple(image.height, image.width, image.colorspace, ToBytes(image.encoded));
}
nb::object Described(const AudioData& audio) {
  return nb::make_tuple(audio.sample_rate, audio.num_channels, audio.length_frames,
                        ToBytes(audio.encoded), audio.content_type);
}
nb::object Described(const TensorData& tensor) {
  nb::list strings;
  for (const std::string& string : tensor.strings) strings.append(ToBytes(string));
  return nb::make_tuple(std::string(DTypeName(tensor.dtype)), tensor.shape, ToBytes(tensor.content),
                        strings);
}
nb::object Described(const OtherSummaryValue& other) { return nb::int_(other.field); }

nb::object Described(const std::optional<SummaryMetadata>& metadata) {
  if (!metadata) return nb::none();
  return nb::make_tuple(metadata->plugin_name, ToBytes(metadata->plugin_content),
                        metadata->display_name, metadata->summary_description,
                        metadata->data_class);
}

nb::typed<nb::list, nb::any> ValuesOf(const std::vector<SummaryValue>& values) {
  nb::list list;
  for (const SummaryValue& value : values) {
    list.append(nb::make_tuple(
        value.tag, std::string(SummaryValueKind(value)),
        std::visit([](const auto& alternative) { return Described(alternative); }, value.value),
        Described(value.metadata)));
  }
  return list;
}

nb::object Next(EventReader& reader) {
  std::optional<Event> event;
  {
    const nb::gil_scoped_release release;
    event = reader.Next();
  }
  if (!event) return nb::none();
  const std::string_view payload = event->payload();
  return nb::make_tuple(event->wall_time(), event->step(),
                        std::string(EventKindName(event->kind())),
                        nb::bytes(payload.data(), payload.size()));
}

}  // namespace

void BindEvents(nb::module_& module) {
  nb::class_<EventReader>(module, "EventReader", "For one thread at a time.")
      .def(nb::init<const std::string&>(), nb::arg("path"), WithoutGil())
      .def("next", &Next, nb::sig("def next(self) -> tuple[float, int, str, bytes] | None"),
           "Wall time, step, kind and payload; None at the end.");
  module.def(
      "summary_values",
      [](const nb::bytes& summary) {
        return ValuesOf(Summary::Parse({summary.c_str(), summary.size()}).Values());
      },
      nb::arg("summary"), "Of each value tag, kind, content, metadata.");
  module.def("last_step", &LastStep, nb::arg("logdir"), WithoutGil());
}

}  // namespace waypost::python
