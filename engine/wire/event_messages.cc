#include "wire/event_messages.h"

#include <bit>
#include <limits>
#include <protozero/pbf_reader.hpp>
#include <protozero/pbf_writer.hpp>

#include "base/bytes.h"
#include "base/check.h"
#include "wire/utf8.h"

namespace waypost {
namespace {

using protozero::pbf_reader;
using protozero::pbf_wire_type;
using protozero::pbf_writer;
using protozero::tag_and_type;

constexpr pbf_wire_type kVarint = pbf_wire_type::varint;
constexpr pbf_wire_type kFixed32 = pbf_wire_type::fixed32;
constexpr pbf_wire_type kFixed64 = pbf_wire_type::fixed64;
constexpr pbf_wire_type kBytes = pbf_wire_type::length_delimited;

// More than anybody draws; a value of two bytes takes many times that in memory.
constexpr std::size_t kSummaryValuesMax = std::size_t{1} << 20;

// Thrown within this file for values that no writer of these messages writes.
struct NotSuchMessage {};

std::string_view TextOf(pbf_reader& reader) {
  const protozero::data_view view = reader.get_view();
  return {view.data(), view.size()};
}

// A proto3 string: other readers refuse a message whose strings are not UTF-8.
std::string_view Utf8Of(pbf_reader& reader) {
  const std::string_view text = TextOf(reader);
  for (std::string_view rest = text; !rest.empty();) {
    const std::size_t size = Utf8SequenceBytes(rest);
    if (size == 0) throw NotSuchMessage{};
    rest.remove_prefix(size);
  }
  return text;
}

// Runs `decode` over a reader of `bytes`; whatever it throws means that this is no such message.
template <typename Message, typename Decode>
std::optional<Message> TryDecode(std::span<const std::byte> bytes, Decode decode) {
  // pbf_reader counts some lengths in 32 bits.
  if (bytes.size() > std::numeric_limits<std::int32_t>::max()) return std::nullopt;
  const std::string_view text = AsText(bytes);
  try {
    return decode(pbf_reader{text.data(), text.size()});
  } catch (const protozero::exception&) {
    return std::nullopt;
  } catch (const NotSuchMessage&) {
    return std::nullopt;
  }
}

// ---- HistogramProto: 1 min, 2 max, 3 num, 4 sum, 5 sum_squares, 6 bucket_limit, 7 bucket ----

// By the bits: -0.0 is no default.
void AddDouble(pbf_writer& writer, std::uint32_t field, double value) {
  if (std::bit_cast<std::uint64_t>(value) != 0) writer.add_double(field, value);
}

std::string EncodeHistogram(const HistogramData& histogram) {
  std::string bytes;
  pbf_writer writer(bytes);
  AddDouble(writer, 1, histogram.min);
  AddDouble(writer, 2, histogram.max);
  AddDouble(writer, 3, histogram.num);
  AddDouble(writer, 4, histogram.sum);
  AddDouble(writer, 5, histogram.sum_squares);
  writer.add_packed_double(6, histogram.bucket_limit.begin(), histogram.bucket_limit.end());
  writer.add_packed_double(7, histogram.bucket.begin(), histogram.bucket.end());
  return bytes;
}

void AppendDoubles(pbf_reader& reader, std::vector<double>& target) {
  const auto values = reader.get_packed_double();
  target.insert(target.end(), values.begin(), values.end());
}

HistogramData DecodeHistogram(pbf_reader reader) {
  HistogramData histogram;
  while (reader.next()) {
    switch (reader.tag_and_type()) {
      case tag_and_type(1, kFixed64): histogram.min = reader.get_double(); break;
      case tag_and_type(2, kFixed64): histogram.max = reader.get_double(); break;
      case tag_and_type(3, kFixed64): histogram.num = reader.get_double(); break;
      case tag_and_type(4, kFixed64): histogram.sum = reader.get_double(); break;
      case tag_and_type(5, kFixed64): histogram.sum_squares = reader.get_double(); break;
      case tag_and_type(6, kBytes): AppendDoubles(reader, histogram.bucket_limit); break;
      case tag_and_type(6, kFixed64): histogram.bucket_limit.push_back(reader.get_double()); break;
      case tag_and_type(7, kBytes): AppendDoubles(reader, histogram.bucket); break;
      case tag_and_type(7, kFixed64): histogram.bucket.push_back(reader.get_double()); break;
      default: reader.skip();
    }
  }
  return histogram;
}

// ---- Summary: 1 value; Value: 1 tag, 2 simple_value, 5 histo, others ----

std::string EncodeValue(const SummaryValue& value) {
  std::string bytes;
  pbf_writer writer(bytes);
  if (!value.tag.empty()) writer.add_string(1, value.tag);
  if (const float* simple = std::get_if<float>(&value.value)) {
    writer.add_float(2, *simple);
  } else {
    const auto* histogram = std::get_if<HistogramData>(&value.value);
    WAYPOST_CHECK(histogram != nullptr);
    writer.add_message(5, EncodeHistogram(*histogram));
  }
  return bytes;
}

SummaryValue DecodeValue(pbf_reader reader) {
  SummaryValue value = {.tag = {}, .value = OtherSummaryValue{}};
  while (reader.next()) {
    switch (reader.tag_and_type()) {
      case tag_and_type(1, kBytes): value.tag = Utf8Of(reader); break;
      case tag_and_type(2, kFixed32): value.value = reader.get_float(); break;
      case tag_and_type(5, kBytes): value.value = DecodeHistogram(reader.get_message()); break;
      case tag_and_type(3, kBytes):
      case tag_and_type(4, kBytes):
      case tag_and_type(6, kBytes):
      case tag_and_type(8, kBytes):
        value.value = OtherSummaryValue{reader.tag()};
        reader.skip();
        break;
      default: reader.skip();
    }
  }
  return value;
}

// source_metadata: 1 writer.
std::string_view DecodeWriter(pbf_reader reader) {
  std::string_view writer;
  while (reader.next()) {
    if (reader.tag_and_type() == tag_and_type(1, kBytes)) {
      writer = Utf8Of(reader);
    } else {
      reader.skip();
    }
  }
  return writer;
}

}  // namespace

std::string EncodeEvent(const Event& event) {
  std::string bytes;
  pbf_writer writer(bytes);
  AddDouble(writer, 1, event.wall_time);
  if (event.step != 0) writer.add_int64(2, event.step);
  if (event.kind != EventKind::kNone) {
    writer.add_bytes(static_cast<std::uint32_t>(event.kind), event.payload.data(),
                     event.payload.size());
  }
  if (!event.writer.empty()) {
    pbf_writer metadata(writer, 10);
    metadata.add_string(1, event.writer.data(), event.writer.size());
  }
  return bytes;
}

std::optional<Event> DecodeEvent(std::span<const std::byte> bytes) {
  return TryDecode<Event>(bytes, [](pbf_reader reader) {
    Event event;
    while (reader.next()) {
      switch (reader.tag_and_type()) {
        case tag_and_type(1, kFixed64): event.wall_time = reader.get_double(); break;
        case tag_and_type(2, kVarint): event.step = reader.get_int64(); break;
        case tag_and_type(3, kBytes):
          event.kind = EventKind::kFileVersion;
          event.payload = Utf8Of(reader);
          break;
        case tag_and_type(4, kBytes):
        case tag_and_type(5, kBytes):
        case tag_and_type(6, kBytes):
        case tag_and_type(7, kBytes):
        case tag_and_type(8, kBytes):
        case tag_and_type(9, kBytes):
          event.kind = static_cast<EventKind>(reader.tag());
          event.payload = TextOf(reader);
          break;
        case tag_and_type(10, kBytes): event.writer = DecodeWriter(reader.get_message()); break;
        default: reader.skip();
      }
    }
    return event;
  });
}

std::string_view EventKindName(EventKind kind) noexcept {
  switch (kind) {
    case EventKind::kNone: return "none";
    case EventKind::kFileVersion: return "file_version";
    case EventKind::kGraphDef: return "graph_def";
    case EventKind::kSummary: return "summary";
    case EventKind::kLogMessage: return "log_message";
    case EventKind::kSessionLog: return "session_log";
    case EventKind::kTaggedRunMetadata: return "tagged_run_metadata";
    case EventKind::kMetaGraphDef: return "meta_graph_def";
  }
  return "none";
}

std::string EncodeSummary(std::span<const SummaryValue> values) {
  std::string bytes;
  pbf_writer writer(bytes);
  for (const SummaryValue& value : values) writer.add_message(1, EncodeValue(value));
  return bytes;
}

std::optional<std::vector<SummaryValue>> DecodeSummary(std::span<const std::byte> bytes) {
  return TryDecode<std::vector<SummaryValue>>(bytes, [](pbf_reader reader) {
    std::vector<SummaryValue> values;
    while (reader.next()) {
      if (reader.tag_and_type() == tag_and_type(1, kBytes)) {
        if (values.size() == kSummaryValuesMax) throw NotSuchMessage{};
        values.push_back(DecodeValue(reader.get_message()));
      } else {
        reader.skip();
      }
    }
    return values;
  });
}

std::string_view SummaryValueKind(const SummaryValue& value) noexcept {
  if (std::holds_alternative<float>(value.value)) return "simple_value";
  const auto* other = std::get_if<OtherSummaryValue>(&value.value);
  if (other == nullptr) return "histo";
  switch (other->field) {
    case 3: return "obsolete_old_style_histogram";
    case 4: return "image";
    case 6: return "audio";
    case 8: return "tensor";
    default: return "none";
  }
}

// ---- SessionLog: 1 status, 2 checkpoint_path, 3 msg ----

std::string EncodeSessionLog(const SessionLog& log) {
  std::string bytes;
  pbf_writer writer(bytes);
  if (log.status != SessionStatus::kUnspecified) {
    writer.add_enum(1, static_cast<std::int32_t>(log.status));
  }
  if (!log.checkpoint_path.empty()) writer.add_string(2, log.checkpoint_path);
  if (!log.message.empty()) writer.add_string(3, log.message);
  return bytes;
}

std::optional<SessionLog> DecodeSessionLog(std::span<const std::byte> bytes) {
  return TryDecode<SessionLog>(bytes, [](pbf_reader reader) {
    SessionLog log;
    while (reader.next()) {
      switch (reader.tag_and_type()) {
        case tag_and_type(1, kVarint):
          log.status = static_cast<SessionStatus>(reader.get_enum());
          break;
        case tag_and_type(2, kBytes): log.checkpoint_path = Utf8Of(reader); break;
        case tag_and_type(3, kBytes): log.message = Utf8Of(reader); break;
        default: reader.skip();
      }
    }
    return log;
  });
}

}  // namespace waypost
