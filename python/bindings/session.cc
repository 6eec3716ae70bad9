// Sessions: which memory a graph's variables stand for, and summaries of it.
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include "bindings/session_owner.h"

namespace waypost::python {
namespace {

nb::bytes Run(SessionOwner& session, const Output& summary,
              const std::vector<std::pair<Output, TensorRef*>>& feeds, std::uintptr_t stream) {
  std::vector<std::pair<Output, Feed>> fed;
  fed.reserve(feeds.size());
  for (const auto& [output, tensor] : feeds) fed.emplace_back(output, tensor->named().tensor);
  const RunOptions options = {.stream = reinterpret_cast<void*>(stream)};
  return ToBytes(session.With(
      [&](const Session& ready) { return ready.Run(summary, fed, options).Serialize(); }));
}

}  // namespace

SessionOwner::SessionOwner(EngineOwner& engine, GraphOwner& graph)
    : engine_(engine), graph_(graph) {
  const std::shared_ptr<Engine> used = engine.engine();
  graph_.With([&](Graph& of) { session_.emplace(*used, of); });
}

SessionOwner::~SessionOwner() {
  const nb::gil_scoped_release release;
  session_.reset();
}

void BindSession(nb::module_& module) {
  nb::class_<SessionOwner>(module, "Session", "Which memory a graph's variables stand for.")
      .def(nb::init<EngineOwner&, GraphOwner&>(), nb::arg("engine"), nb::arg("graph"),
           nb::keep_alive<1, 2>(), nb::keep_alive<1, 3>())
      .def(
          "bind",
          [](SessionOwner& session, const Variable& variable, const TensorRef& tensor,
             const nb::object&) {
            session.With([&](Session& into) { into.Bind(variable, tensor.named().tensor); });
          },
          nb::arg("variable"), nb::arg("tensor"), nb::arg("owner").none(), nb::keep_alive<1, 3>(),
          nb::keep_alive<1, 4>(), "The session keeps tensor and owner.")
      .def("run", &Run, nb::arg("summary"), nb::arg("feeds"), nb::arg("stream"),
           "A serialized Summary.");
}

}  // namespace waypost::python
