// What the tool `waypost` does with files: verify, convert.
#include <nanobind/stl/function.h>
#include <nanobind/stl/map.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>

#include <chrono>
#include <stop_token>

#include "bindings/bindings.h"
#include "bindings/text.h"
#include "convert/convert.h"
#include "verify/verify.h"

namespace waypost::python {
namespace {

using tool::ConvertOptions;
using tool::ConvertReport;
using tool::Findings;
using tool::ProgressOutput;

// Tells Python how far it is, a few times a second; then signals are looked at, too.  What Python
// throws (an error of the progress bar, a KeyboardInterrupt) is thrown on, and ends the reading.
class Teller {
 public:
  explicit Teller(nb::object on_progress) : on_progress_(std::move(on_progress)) {}

  void Tell(std::uint64_t bytes_done, std::uint64_t bytes_total) {
    const auto now = Clock::now();
    if (now < next_ && bytes_done < bytes_total) return;
    next_ = now + std::chrono::milliseconds(100);
    const nb::gil_scoped_acquire acquire;
    if (PyErr_CheckSignals() != 0) throw nb::python_error();
    if (!on_progress_.is_none()) on_progress_(bytes_done, bytes_total);
  }

 private:
  using Clock = std::chrono::steady_clock;

  nb::object on_progress_;
  Clock::time_point next_ = Clock::now();
};

ProgressOutput OutputTo(Teller& teller) {
  return {.on_terminal = false,
          .teller = [&teller](std::uint64_t bytes_done, std::uint64_t bytes_total) {
            teller.Tell(bytes_done, bytes_total);
          }};
}

const char* KindText(Findings::Kind kind) {
  switch (kind) {
    case Findings::Kind::kCheckpoint: return "checkpoint";
    case Findings::Kind::kStateFile: return "state file";
    case Findings::Kind::kEventFile: return "event file";
  }
  return "";
}

nb::list VerifyPath(const std::string& path, const nb::object& on_progress) {
  Teller teller(on_progress);
  std::vector<Findings> all;
  {
    const nb::gil_scoped_release release;
    tool::Verify(PosixFileSystem(), path, OutputTo(teller),
                 [&](const Findings& findings) { all.push_back(findings); });
  }
  nb::list list;
  for (const Findings& findings : all) {
    list.append(nb::make_tuple(KindText(findings.kind), Text(findings.path), findings.count,
                               findings.size_bytes, findings.is_v1, Texts(findings.damage.lines()),
                               findings.damage.count()));
  }
  return list;
}

nb::dict ConvertPath(const std::string& source, const std::string& target,
                     const std::optional<std::string>& to, std::size_t shards, bool force,
                     bool verify, bool skip_unsupported, bool with_meta,
                     const std::map<std::string, std::string>& metadata,
                     const nb::object& on_progress) {
  Teller teller(on_progress);
  ConvertOptions options = {.source = source,
                            .target = target,
                            .shards = shards,
                            .force = force,
                            .verify = verify,
                            .skip_unsupported = skip_unsupported,
                            .with_meta = with_meta,
                            .metadata = {metadata.begin(), metadata.end()},
                            .progress = OutputTo(teller)};
  if (to) options.to = tool::KindFromName(*to);
  ConvertReport report;
  {
    const nb::gil_scoped_release release;
    report = tool::Convert(PosixFileSystem(), options, {});
  }
  nb::list skipped;
  for (const tool::SkippedTensor& tensor : report.skipped) {
    skipped.append(nb::make_tuple(Text(tensor.name), Text(tensor.reason)));
  }
  nb::dict dict;
  dict["source_kind"] = std::string(tool::KindName(report.source_kind));
  dict["target_kind"] = std::string(tool::KindName(report.target_kind));
  dict["tensor_count"] = report.tensor_count;
  dict["size_bytes"] = report.size_bytes;
  dict["joined_count"] = report.joined_count;
  dict["files"] = Texts(report.files);
  dict["skipped"] = skipped;
  dict["warnings"] = Texts(report.warnings);
  return dict;
}

}  // namespace

void BindTools(nb::module_& module) {
  module.def("verify", &VerifyPath, nb::arg("path"), nb::arg("on_progress").none(),
             "Of each thing its kind, path, count, bytes, whether it is of format V1, and the "
             "damage: a line each, and how much it is.",
             nb::sig("def verify(path: str, on_progress: collections.abc.Callable[[int, int], "
                     "None] | None) -> "
                     "list[tuple[str, str, int, int, bool, list[str], int]]"));
  module.def(
      "convert", &ConvertPath, nb::arg("source"), nb::arg("target"), nb::arg("to").none(),
      nb::arg("shards"), nb::arg("force"), nb::arg("verify"), nb::arg("skip_unsupported"),
      nb::arg("with_meta"), nb::arg("metadata"), nb::arg("on_progress").none(),
      nb::sig(
          "def convert(source: str, target: str, to: str | None, shards: int, force: bool, verify: "
          "bool, "
          "skip_unsupported: bool, with_meta: bool, metadata: collections.abc.Mapping[str, str], "
          "on_progress: collections.abc.Callable[[int, int], None] | None) -> dict[str, "
          "typing.Any]"));
}

}  // namespace waypost::python
