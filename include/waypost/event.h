// Event: one record of an event file, and the values of a summary.
//
// The messages are TensorFlow's (core/util/event.proto, core/framework/summary.proto,
// tsl/protobuf/histogram.proto); the field numbers are in docs/format.md, "Event files".
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "waypost/error.h"
#include "waypost/tensor.h"

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

// "summary", "graph_def", ...: TensorFlow's field name; "none".
std::string_view EventKindName(EventKind kind) noexcept;

// HistogramProto: bucket i counts values from bucket_limit[i - 1] up to below bucket_limit[i].
struct HistogramData {
  double min = 0;
  double max = 0;
  double num = 0;
  double sum = 0;
  double sum_squares = 0;
  std::vector<double> bucket_limit = {};
  std::vector<double> bucket = {};

  friend bool operator==(const HistogramData&, const HistogramData&) = default;
};

// Summary.Image.
struct ImageData {
  std::int32_t height = 0;      // pixels
  std::int32_t width = 0;       // pixels
  std::int32_t colorspace = 0;  // 1 gray, 2 gray and alpha, 3 RGB, 4 RGBA
  std::string encoded = {};     // a file of its own, PNG

  friend bool operator==(const ImageData&, const ImageData&) = default;
};

// Summary.Audio.
struct AudioData {
  float sample_rate = 0;  // Hz
  std::int64_t num_channels = 0;
  std::int64_t length_frames = 0;
  std::string encoded = {};       // a file of its own
  std::string content_type = {};  // "audio/wav"

  friend bool operator==(const AudioData&, const AudioData&) = default;
};

// TensorProto, as far as summaries use it.
struct TensorData {
  DType dtype = DType::kInvalid;
  Shape shape = {};
  // Little-endian and row-major.  A message that repeats its last value says less than all.
  std::string content = {};
  std::vector<std::string> strings = {};  // of kString, instead of `content`

  friend bool operator==(const TensorData&, const TensorData&) = default;
};

// SummaryMetadata: which of TensorBoard's plugins draws the values of a tag, and how.
struct SummaryMetadata {
  std::string plugin_name = {};     // "scalars", "images", "text", ...
  std::string plugin_content = {};  // what the plugin wants to be told, in a form of its own
  std::string display_name = {};
  std::string summary_description = {};
  std::int32_t data_class = 0;  // 1 scalar, 2 tensor, 3 blob sequence

  friend bool operator==(const SummaryMetadata&, const SummaryMetadata&) = default;
};

// A kind of value that Waypost does not look into; the number is the field's, 0 when there is none.
struct OtherSummaryValue {
  std::uint32_t field = 0;

  friend bool operator==(const OtherSummaryValue&, const OtherSummaryValue&) = default;
};

// Summary.Value.
struct SummaryValue {
  std::string tag = {};
  std::variant<float, HistogramData, ImageData, AudioData, TensorData, OtherSummaryValue> value =
      {};
  std::optional<SummaryMetadata> metadata = {};

  // What TensorBoard draws as a point: a simple_value, or TensorFlow 2's float32 tensor without
  // dimensions.
  std::optional<float> Scalar() const noexcept;
};

// "simple_value", "histo", "image", ...: TensorFlow's field name; "none".
std::string_view SummaryValueKind(const SummaryValue& value) noexcept;

enum class SessionStatus : std::int32_t {
  kUnspecified = 0,
  kStart = 1,  // what the run's files said of this step and later ones does not hold any more
  kStop = 2,
  kCheckpoint = 3,
};

struct SessionLog {
  SessionStatus status = SessionStatus::kUnspecified;
  std::string checkpoint_path = {};  // of kCheckpoint
  std::string message = {};
};

// Opaque but for what is asked for here.  Plain data: one thread at a time.
class Event {
 public:
  Event() = default;
  // kDataLoss when the bytes are no Event message, or what it holds is no message of its kind.
  static Event Parse(std::string_view serialized);
  const std::string& Serialize() const noexcept { return serialized_; }

  double wall_time() const noexcept { return wall_time_; }  // seconds since 1970
  std::int64_t step() const noexcept { return step_; }
  EventKind kind() const noexcept { return kind_; }
  // Of kFileVersion the text, "brain.Event:2"; of other kinds the serialized message.  As long as
  // the event.
  std::string_view payload() const noexcept;
  // Of kSummary; none for other kinds.
  std::vector<SummaryValue> Values() const;
  // Of kSessionLog; nullopt for other kinds.
  std::optional<SessionLog> Session() const;

 private:
  std::string serialized_;
  double wall_time_ = 0;
  std::int64_t step_ = 0;
  EventKind kind_ = EventKind::kNone;
  std::size_t payload_offset_ = 0;  // in serialized_
  std::size_t payload_bytes_ = 0;
};

}  // namespace waypost
