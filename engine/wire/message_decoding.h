// What the decoders of this folder share: any message over protozero, of untrusted bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <protozero/exception.hpp>
#include <protozero/pbf_reader.hpp>
#include <span>
#include <string_view>

#include "base/bytes.h"
#include "wire/utf8.h"

namespace waypost {

constexpr protozero::pbf_wire_type kVarint = protozero::pbf_wire_type::varint;
constexpr protozero::pbf_wire_type kFixed32 = protozero::pbf_wire_type::fixed32;
constexpr protozero::pbf_wire_type kFixed64 = protozero::pbf_wire_type::fixed64;
constexpr protozero::pbf_wire_type kBytes = protozero::pbf_wire_type::length_delimited;

// Thrown within TryDecode for values that no writer of these messages writes.
struct NotSuchMessage {};

inline std::string_view TextOf(protozero::pbf_reader& reader) {
  const protozero::data_view view = reader.get_view();
  return {view.data(), view.size()};
}

// A proto3 string: other readers refuse a message whose strings are not UTF-8.
inline std::string_view Utf8Of(protozero::pbf_reader& reader) {
  const std::string_view text = TextOf(reader);
  if (!IsUtf8(text)) throw NotSuchMessage{};
  return text;
}

// Runs `decode` over a reader of `bytes`; nullopt where protozero or `decode` says, by what it
// throws, that this is no such message.
template <typename Message, typename Decode>
std::optional<Message> TryDecode(std::span<const std::byte> bytes, Decode decode) {
  // pbf_reader counts some lengths in 32 bits.
  if (bytes.size() > std::numeric_limits<std::int32_t>::max()) return std::nullopt;
  const std::string_view text = AsText(bytes);
  try {
    return decode(protozero::pbf_reader{text.data(), text.size()});
  } catch (const protozero::exception&) {
    return std::nullopt;
  } catch (const NotSuchMessage&) {
    return std::nullopt;
  }
}

}  // namespace waypost
