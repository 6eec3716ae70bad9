// The Summary message and what its values are made of (include/waypost/event.h), over protozero.
//
// Field numbers: docs/format.md, "Event files" (TensorFlow's core/framework/summary.proto).
// Encoding writes fields in number order and leaves defaults out, as TensorFlow does, but a member
// of a oneof is always written.  Numbers keep their exact bits.
//
// Decoding takes untrusted bytes: nullopt for anything that is no such message.
#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "waypost/event.h"

namespace waypost {

// Requires: no value is an OtherSummaryValue.
std::string EncodeSummary(std::span<const SummaryValue> values);
std::optional<std::vector<SummaryValue>> DecodeSummary(std::span<const std::byte> bytes);

// A Summary without the metadata of those values whose tag `is_known`; all other bytes stay as they
// are.  nullopt when there is nothing to drop.  Requires: `bytes` are a Summary.  Each value's tag
// is asked for once, in their order.
std::optional<std::string> DropMetadata(std::string_view bytes,
                                        const std::function<bool(std::string_view tag)>& is_known);

std::string EncodeMetadata(const SummaryMetadata& metadata);
std::optional<SummaryMetadata> DecodeMetadata(std::span<const std::byte> bytes);

}  // namespace waypost
