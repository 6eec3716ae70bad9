// waypost events: what is in event files.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <charconv>
#include <memory>

#include "base/bytes.h"
#include "commands.h"
#include "format/record_io.h"
#include "inspect/terminal.h"
#include "inspect/text.h"
#include "io/file_system.h"
#include "wire/event_messages.h"

namespace waypost::tool {
namespace {

struct EventsOptions {
  std::vector<std::string> files;
  bool json = false;
};

// The double whose shortest text is the float's, so that 0.1F is printed as 0.1.
double AsWritten(float value) {
  const std::string text = fmt::format("{}", value);
  double number = value;
  std::from_chars(text.data(), text.data() + text.size(), number);
  return number;
}

Json SummaryJson(const SummaryValue& value) {
  if (const float* scalar = std::get_if<float>(&value.value)) return JsonNumber(AsWritten(*scalar));
  if (const HistogramData* histogram = std::get_if<HistogramData>(&value.value)) {
    return {{"count", JsonNumber(histogram->num)},
            {"min", JsonNumber(histogram->min)},
            {"max", JsonNumber(histogram->max)}};
  }
  return nullptr;
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
  if (event.kind == EventKind::kNone) return nullptr;
  if (event.kind == EventKind::kFileVersion) return JsonText(event.payload);
  if (event.kind == EventKind::kSessionLog) {
    if (const std::optional<SessionLog> log = DecodeSessionLog(AsBytes(event.payload))) {
      return SessionStatusName(log->status);
    }
  }
  return fmt::format("{} bytes", event.payload.size());
}

class EventPrinter {
 public:
  explicit EventPrinter(bool as_json) : as_json_(as_json) {}

  void Print(const Event& event, std::string_view kind, std::string_view tag,
             const Json& value) const {
    const Json line = {{"wall_time", JsonNumber(event.wall_time)},
                       {"step", event.step},
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
    PrintLine(fmt::format("{:.6f}  step {}  {}  {}  {}", event.wall_time, event.step, kind,
                          tag.empty() ? "-" : tag, text));
  }

 private:
  bool as_json_;
};

// False when the record holds no event.
bool PrintRecord(const EventPrinter& printer, std::span<const std::byte> record) {
  const std::optional<Event> event = DecodeEvent(record);
  if (!event) return false;
  if (event->kind != EventKind::kSummary) {
    printer.Print(*event, EventKindName(event->kind), "", PayloadJson(*event));
    return true;
  }
  const std::optional<std::vector<SummaryValue>> values = DecodeSummary(AsBytes(event->payload));
  if (!values) return false;
  for (const SummaryValue& value : *values) {
    printer.Print(*event, SummaryValueKind(value), value.tag, SummaryJson(value));
  }
  return true;
}

void PrintFile(const EventPrinter& printer, const std::string& path) {
  const std::unique_ptr<MappedFile> file = PosixFileSystem().Map(path);
  RecordReader reader(file->bytes(), path);
  std::span<const std::byte> record;
  std::uint64_t offset = 0;
  while (reader.Next(record)) {
    if (!PrintRecord(printer, record)) {
      throw Error(Code::kDataLoss,
                  fmt::format("{}: record at offset {}: not an event", path, offset));
    }
    offset = reader.offset();
  }
  if (reader.torn_bytes() != 0) {
    PrintError(
        fmt::format("{}: ends within a record: {} bytes from offset {} on are not complete (yet)",
                    path, reader.torn_bytes(), reader.offset()));
  }
}

ExitStatus Events(const EventsOptions& options) {
  ExitStatus status = kDone;
  const EventPrinter printer(options.json);
  for (const std::string& path : options.files) {
    try {
      PrintFile(printer, path);
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
  command->add_option("FILE", options->files, "The files, events.out.tfevents...")->required();
  command->add_flag("--json", options->json, "Print one line of JSON for each value");
  command->callback([options, &action] { action = [options] { return Events(*options); }; });
}

}  // namespace waypost::tool
