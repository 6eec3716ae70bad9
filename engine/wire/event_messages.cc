#include "wire/event_messages.h"

#include <bit>
#include <protozero/pbf_writer.hpp>

#include "wire/message_decoding.h"

namespace waypost {
namespace {

using protozero::pbf_reader;
using protozero::pbf_writer;
using protozero::tag_and_type;

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

std::string EncodeEvent(const EventMessage& event) {
  std::string bytes;
  pbf_writer writer(bytes);
  // By the bits: -0.0 is no default.
  if (std::bit_cast<std::uint64_t>(event.wall_time) != 0) writer.add_double(1, event.wall_time);
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

std::optional<EventMessage> DecodeEvent(std::span<const std::byte> bytes) {
  return TryDecode<EventMessage>(bytes, [](pbf_reader reader) {
    EventMessage event;
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

// ---- TaggedRunMetadata: 1 tag, 2 run_metadata ----

std::string EncodeTaggedRunMetadata(std::string_view tag, std::string_view run_metadata) {
  std::string bytes;
  pbf_writer writer(bytes);
  if (!tag.empty()) writer.add_string(1, tag.data(), tag.size());
  if (!run_metadata.empty()) writer.add_bytes(2, run_metadata.data(), run_metadata.size());
  return bytes;
}

bool IsMessage(std::span<const std::byte> bytes) noexcept {
  const auto skip_all = [](pbf_reader reader) {
    while (reader.next()) reader.skip();
    return true;
  };
  return TryDecode<bool>(bytes, skip_all).has_value();
}

}  // namespace waypost
