// The messages of an event file: Event, Summary and SessionLog, over protozero.
//
// Field numbers: docs/format.md, "Event files" (TensorFlow's core/util/event.proto and
// core/framework/summary.proto).  Encoding writes fields in number order and leaves defaults out,
// as TensorFlow does, but a member of a oneof is always written.  Numbers keep their exact bits.
//
// Decoding takes untrusted bytes: nullopt for anything that is no such message.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace waypost {

// What an event holds; the numbers are the fields'.
enum class EventKind : std::uint32_t {
  kNone = 0,
  kFileVersion = 3,
  kGraphDef = 4,
  kSummary = 5,
  kLogMessage = 6,
  kSessionLog = 7,
  kTaggedRunMetadata = 8,
  kMetaGraphDef = 9,
};

struct Event {
  double wall_time = 0;  // seconds since 1970
  std::int64_t step = 0;
  EventKind kind = EventKind::kNone;
  // Borrowed: a file version's text, otherwise the serialized message.
  std::string_view payload = {};
  std::string_view writer = {};  // source_metadata.writer
};

std::string EncodeEvent(const Event& event);
// The views point into `bytes`.
std::optional<Event> DecodeEvent(std::span<const std::byte> bytes);

// "summary", "graph_def", ...: TensorFlow's field name; "none".
std::string_view EventKindName(EventKind kind) noexcept;

// HistogramProto.
struct HistogramData {
  double min = 0;
  double max = 0;
  double num = 0;
  double sum = 0;
  double sum_squares = 0;
  std::vector<double> bucket_limit;
  std::vector<double> bucket;

  friend bool operator==(const HistogramData&, const HistogramData&) = default;
};

// A kind of value that Waypost does not look into; the number is the field's, 0 when there is none.
struct OtherSummaryValue {
  std::uint32_t field = 0;

  friend bool operator==(const OtherSummaryValue&, const OtherSummaryValue&) = default;
};

struct SummaryValue {
  std::string tag;
  std::variant<float, HistogramData, OtherSummaryValue> value;
};

// Requires: no value is an OtherSummaryValue.
std::string EncodeSummary(std::span<const SummaryValue> values);
std::optional<std::vector<SummaryValue>> DecodeSummary(std::span<const std::byte> bytes);

// "simple_value", "histo", "image", ...: TensorFlow's field name; "none".
std::string_view SummaryValueKind(const SummaryValue& value) noexcept;

enum class SessionStatus : std::int32_t {
  kUnspecified = 0,
  kStart = 1,
  kStop = 2,
  kCheckpoint = 3
};

struct SessionLog {
  SessionStatus status = SessionStatus::kUnspecified;
  std::string checkpoint_path = {};
  std::string message = {};
};

std::string EncodeSessionLog(const SessionLog& log);
std::optional<SessionLog> DecodeSessionLog(std::span<const std::byte> bytes);

}  // namespace waypost
