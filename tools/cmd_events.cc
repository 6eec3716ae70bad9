// waypost events: what is in event files.
#include "waypost/event_reader.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <charconv>
#include <memory>

#include "commands.h"
#include "inspect/terminal.h"
#include "inspect/text.h"

namespace waypost::tool {
namespace {

struct EventsOptions {
  std::vector<std::string> paths;
  bool json = false;
};

// The double whose shortest text is the float's, so that 0.1F is printed as 0.1.
double AsWritten(float value) {
  const std::string text = fmt::format("{}", value);
  double number = value;
  std::from_chars(text.data(), text.data() + text.size(), number);
  return number;
}

// One overload for each kind of value.
struct ValueToJson {
  Json operator()(float value) const { return JsonNumber(AsWritten(value)); }
  Json operator()(const HistogramData& value) const {
    return {{"count", JsonNumber(value.num)},
            {"min", JsonNumber(value.min)},
            {"max", JsonNumber(value.max)}};
  }
  Json operator()(const ImageData& value) const {
    return {{"height", value.height}, {"width", value.width}, {"bytes", value.encoded.size()}};
  }
  Json operator()(const AudioData& value) const {
    return {{"sample_rate", JsonNumber(AsWritten(value.sample_rate))},
            {"num_channels", value.num_channels},
            {"length_frames", value.length_frames},
            {"bytes", value.encoded.size()}};
  }
  Json operator()(const TensorData& value) const {
    Json json = {{"dtype", DTypeName(value.dtype)}, {"shape", value.shape}};
    for (const std::string& text : value.strings) json["strings"].push_back(JsonText(text));
    return json;
  }
  Json operator()(const OtherSummaryValue& /*value*/) const { return nullptr; }
};

Json SummaryJson(const SummaryValue& value) {
  // TensorFlow 2's scalars are tensors.
  if (const std::optional<float> scalar = value.Scalar()) return ValueToJson()(*scalar);
  return std::visit(ValueToJson(), value.value);
}

std::string_view SessionStatusName(SessionStatus status) {
  switch (status) {
    case SessionStatus::kUnspecified: return "unspecified";
    case SessionStatus::kStart: return "start";
    case SessionStatus::kStop: return "stop";
    case SessionStatus::kCheckpoint: return "checkpoint";
  }
  return "unknown";
}

// Of an event that is no summary: a text, or how many bytes its message has.
Json PayloadJson(const Event& event) {
  if (event.kind() == EventKind::kNone) return nullptr;
  if (event.kind() == EventKind::kFileVersion) return JsonText(event.payload());
  if (const std::optional<SessionLog> log = event.Session()) return SessionStatusName(log->status);
  return fmt::format("{} bytes", event.payload().size());
}

class EventPrinter {
 public:
  explicit EventPrinter(bool as_json) : as_json_(as_json) {}

  void Print(const Event& event, std::string_view kind, std::string_view tag,
             const Json& value) const {
    const Json line = {{"wall_time", JsonNumber(event.wall_time())},
                       {"step", event.step()},
                       {"kind", kind},
                       {"tag", JsonText(tag)},
                       {"value", value}};
    if (as_json_) {
      tool::Print(JsonLine(line));
      return;
    }
    // A text without its quotes; what its bytes may do to a terminal is seen to by PrintLine.
    const std::string text =
        value.is_string() ? value.get<std::string>() : value.dump(-1, ' ', true);
    PrintLine(fmt::format("{:.6f}  step {}  {}  {}  {}", event.wall_time(), event.step(), kind,
                          tag.empty() ? "-" : tag, text));
  }

 private:
  bool as_json_;
};

void PrintEvent(const EventPrinter& printer, const Event& event) {
  if (event.kind() != EventKind::kSummary) {
    printer.Print(event, EventKindName(event.kind()), "", PayloadJson(event));
    return;
  }
  for (const SummaryValue& value : event.Values()) {
    printer.Print(event, SummaryValueKind(value), value.tag, SummaryJson(value));
  }
}

void PrintEvents(const EventPrinter& printer, const std::string& path) {
  EventReader reader(path);
  std::size_t count = 0;
  for (; const std::optional<Event> event = reader.Next(); ++count) PrintEvent(printer, *event);
  if (count == 0 && reader.torn_tails().empty()) {
    throw Error(Code::kFailedPrecondition, fmt::format("{}: there are no events", path));
  }
  for (const TornTail& torn : reader.torn_tails()) {
    PrintError(
        fmt::format("{}: ends within a record: {} bytes from offset {} on are not complete (yet)",
                    torn.path, torn.size_bytes, torn.offset));
  }
}

ExitStatus Events(const EventsOptions& options) {
  ExitStatus status = kDone;
  const EventPrinter printer(options.json);
  for (const std::string& path : options.paths) {
    try {
      PrintEvents(printer, path);
    } catch (const Error& error) {
      PrintError(error.what());
      status = std::max(status, StatusOf(error));
    }
  }
  return status;
}

}  // namespace

void AddEvents(CLI::App& program, Action& action) {
  CLI::App* command = program.add_subcommand("events", "List the events of event files");
  const auto options = std::make_shared<EventsOptions>();
  command
      ->add_option("PATH", options->paths, "Files, events.out.tfevents..., or directories of such")
      ->required();
  command->add_flag("--json", options->json, "Print one line of JSON for each value");
  command->callback([options, &action] { action = [options] { return Events(*options); }; });
}

}  // namespace waypost::tool
