// The messages of an event file (include/waypost/event.h), over protozero.
//
// Field numbers: docs/format.md, "Event files" (TensorFlow's core/util/event.proto).
// Encoding writes fields in number order and leaves defaults out,
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

#include "waypost/event.h"

namespace waypost {

// An Event whose text and message lie elsewhere.
struct EventMessage {
  double wall_time = 0;  // seconds since 1970
  std::int64_t step = 0;
  EventKind kind = EventKind::kNone;
  // Borrowed: a file version's text, otherwise the serialized message.
  std::string_view payload = {};
  std::string_view writer = {};  // source_metadata.writer
};

std::string EncodeEvent(const EventMessage& event);
// The views point into `bytes`.
std::optional<EventMessage> DecodeEvent(std::span<const std::byte> bytes);

std::string EncodeSessionLog(const SessionLog& log);
std::optional<SessionLog> DecodeSessionLog(std::span<const std::byte> bytes);

// TaggedRunMetadata: 1 tag, 2 run_metadata.
std::string EncodeTaggedRunMetadata(std::string_view tag, std::string_view run_metadata);

// Whether the bytes are fields one behind the other, as every message is.
bool IsMessage(std::span<const std::byte> bytes) noexcept;

}  // namespace waypost
