#include "waypost/event.h"

#include "base/bytes.h"
#include "wire/event_messages.h"
#include "wire/summary_messages.h"

namespace waypost {
namespace {

bool IsPayloadOf(EventKind kind, std::string_view payload) {
  const std::span<const std::byte> bytes = AsBytes(payload);
  switch (kind) {
    case EventKind::kNone:
    case EventKind::kFileVersion: return true;
    case EventKind::kSummary: return DecodeSummary(bytes).has_value();
    case EventKind::kSessionLog: return DecodeSessionLog(bytes).has_value();
    default: return IsMessage(bytes);
  }
}

}  // namespace

Event Event::Parse(std::string_view serialized) {
  Event event;
  event.serialized_ = serialized;
  const std::optional<EventMessage> message = DecodeEvent(AsBytes(event.serialized_));
  if (!message) throw Error(Code::kDataLoss, "parse event: the bytes are no Event message");
  if (!IsPayloadOf(message->kind, message->payload)) {
    throw Error(Code::kDataLoss, "parse event: its " + std::string(EventKindName(message->kind)) +
                                     " is no such message");
  }
  event.wall_time_ = message->wall_time;
  event.step_ = message->step;
  event.kind_ = message->kind;
  if (!message->payload.empty()) {
    event.payload_offset_ =
        static_cast<std::size_t>(message->payload.data() - event.serialized_.data());
    event.payload_bytes_ = message->payload.size();
  }
  return event;
}

std::string_view Event::payload() const noexcept {
  return std::string_view(serialized_).substr(payload_offset_, payload_bytes_);
}

std::vector<SummaryValue> Event::Values() const {
  if (kind_ != EventKind::kSummary) return {};
  return DecodeSummary(AsBytes(payload())).value();
}

std::optional<SessionLog> Event::Session() const {
  if (kind_ != EventKind::kSessionLog) return std::nullopt;
  return DecodeSessionLog(AsBytes(payload()));
}

}  // namespace waypost
