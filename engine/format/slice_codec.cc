#include "format/slice_codec.h"

#include <algorithm>
#include <bit>
#include <cstdint>

namespace waypost {
namespace {

constexpr char kEscape = '\x00';  // in a string: 00 FF stands for 00, 00 01 ends it
constexpr char kEscapedZero = '\xFF';
constexpr char kStringEnd = '\x01';
constexpr char kEscapeOnes = '\xFF';  // in a string: FF 00 stands for FF
constexpr char kEscapedOnes = '\x00';

// The longest signed number: 64 bits of value and a header of 10 + 1 bits.
constexpr std::size_t kSignedBytesMax = 10;

char ToChar(std::uint64_t value) { return static_cast<char>(static_cast<unsigned char>(value)); }
std::uint8_t ToByte(char c) { return static_cast<std::uint8_t>(c); }

// ---- Unsigned number: how many bytes follow, then they, the most significant first ----

void AppendNumber(std::string& target, std::uint64_t value) {
  const std::size_t byte_count = (static_cast<std::size_t>(std::bit_width(value)) + 7) / 8;
  target.push_back(ToChar(byte_count));
  for (std::size_t i = byte_count; i > 0; --i) target.push_back(ToChar(value >> (8 * (i - 1))));
}

std::optional<std::uint64_t> TakeNumber(std::string_view& key) {
  if (key.empty()) return std::nullopt;
  const std::size_t byte_count = ToByte(key[0]);
  if (byte_count > 8 || key.size() < 1 + byte_count) return std::nullopt;
  std::uint64_t value = 0;
  for (std::size_t i = 1; i <= byte_count; ++i) value = (value << 8) | ToByte(key[i]);
  key.remove_prefix(1 + byte_count);
  return value;
}

// ---- String ----

void AppendString(std::string& target, std::string_view text) {
  for (const char c : text) {
    target.push_back(c);
    if (c == kEscape) target.push_back(kEscapedZero);
    if (c == kEscapeOnes) target.push_back(kEscapedOnes);
  }
  target.push_back(kEscape);
  target.push_back(kStringEnd);
}

std::optional<std::string> TakeString(std::string_view& key) {
  std::string text;
  for (std::size_t i = 0; i < key.size(); ++i) {
    const char c = key[i];
    if (c != kEscape && c != kEscapeOnes) {
      text.push_back(c);
      continue;
    }
    if (++i == key.size()) return std::nullopt;
    if (c == kEscape && key[i] == kStringEnd) {
      key.remove_prefix(i + 1);
      return text;
    }
    if (key[i] != (c == kEscape ? kEscapedZero : kEscapedOnes)) return std::nullopt;
    text.push_back(c);
  }
  return std::nullopt;
}

// ---- Signed number ----
// As many leading one bits as the number takes bytes, then a zero, then the value, big-endian; a
// negative number is the complement of that, so that the bytes sort as the numbers do.

// Bit k from the left of the header's bytes, for a number of `size` bytes.
std::uint8_t HeaderByte(std::size_t size, std::size_t index) {
  const std::size_t ones = size > 8 * index ? std::min<std::size_t>(size - 8 * index, 8) : 0;
  return static_cast<std::uint8_t>(0xFF00U >> ones);
}

std::size_t SignedBytes(std::int64_t value) {
  // Without the sign; the sign takes one bit more and so does each byte's part of the header.
  const auto magnitude = static_cast<std::uint64_t>(value < 0 ? ~value : value);
  return static_cast<std::size_t>(std::bit_width(magnitude)) / 7 + 1;
}

void AppendSigned(std::string& target, std::int64_t value) {
  const std::size_t size = SignedBytes(value);
  for (std::size_t i = 0; i < size; ++i) {
    const std::size_t shift = 8 * (size - 1 - i);
    // An arithmetic shift: beyond the value's 64 bits there are copies of its sign.
    const std::int64_t bits = shift < 64 ? value >> shift : value >> 63;
    target.push_back(ToChar(static_cast<std::uint8_t>(bits) ^ HeaderByte(size, i)));
  }
}

std::optional<std::int64_t> TakeSigned(std::string_view& key) {
  if (key.empty()) return std::nullopt;
  const std::uint8_t sign = (ToByte(key[0]) & 0x80U) != 0 ? 0x00 : 0xFF;  // 00: not negative
  auto size =
      static_cast<std::size_t>(std::countl_one(static_cast<std::uint8_t>(ToByte(key[0]) ^ sign)));
  if (size == 8 && key.size() > 1) {
    size +=
        static_cast<std::size_t>(std::countl_one(static_cast<std::uint8_t>(ToByte(key[1]) ^ sign)));
  }
  if (size > kSignedBytesMax || key.size() < size) return std::nullopt;
  std::uint64_t value = sign == 0 ? 0 : ~std::uint64_t{0};
  for (std::size_t i = 0; i < size; ++i) {
    value = (value << 8) | static_cast<std::uint8_t>(ToByte(key[i]) ^ HeaderByte(size, i));
  }
  key.remove_prefix(size);
  return static_cast<std::int64_t>(value);
}

}  // namespace

std::string SliceKeyPrefix(std::string_view name) {
  std::string prefix;
  prefix.reserve(name.size() + 3);
  AppendNumber(prefix, 0);
  AppendString(prefix, name);
  return prefix;
}

std::string EncodeSliceKey(std::string_view name, const TensorSlice& slice) {
  std::string key = SliceKeyPrefix(name);
  key.reserve(key.size() + 2 + 4 * slice.extents.size());
  AppendNumber(key, slice.extents.size());
  for (const auto& [start, length] : slice.extents) {
    AppendSigned(key, start);
    AppendSigned(key, length);
  }
  return key;
}

std::optional<SliceKey> DecodeSliceKey(std::string_view key) {
  std::string_view rest = key;
  if (TakeNumber(rest) != 0) return std::nullopt;
  auto name = TakeString(rest);
  if (!name) return std::nullopt;
  const auto rank = TakeNumber(rest);
  // Two numbers of at least one byte a dimension.
  if (!rank || *rank > rest.size() / 2) return std::nullopt;
  SliceKey decoded{std::move(*name), {}};
  decoded.slice.extents.reserve(static_cast<std::size_t>(*rank));
  for (std::uint64_t i = 0; i < *rank; ++i) {
    const auto start = TakeSigned(rest);
    const auto length = TakeSigned(rest);
    if (!start || !length) return std::nullopt;
    decoded.slice.extents.push_back({*start, *length});
  }
  // Writing it again shows what is left over, and numbers longer than they need be.
  if (!rest.empty() || EncodeSliceKey(decoded.name, decoded.slice) != key) return std::nullopt;
  return decoded;
}

}  // namespace waypost
