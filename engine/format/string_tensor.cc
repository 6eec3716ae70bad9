#include "format/string_tensor.h"

#include <limits>

#include "base/bytes.h"
#include "base/crc32c.h"
#include "waypost/error.h"

namespace waypost {
namespace {

// A length enters the checksum as a fixed-width number, of 64 bits only where it needs them.
std::uint32_t ExtendByLength(std::uint32_t crc, std::uint64_t length) {
  const std::size_t width = length > std::numeric_limits<std::uint32_t>::max()
                                ? sizeof(std::uint64_t)
                                : sizeof(std::uint32_t);
  return ExtendCrc32c(crc, std::as_bytes(std::span(&length, 1)).first(width));
}

std::uint32_t ExtendByChecksum(std::uint32_t crc, std::uint32_t stored) {
  return ExtendCrc32c(crc, std::as_bytes(std::span(&stored, 1)));
}

// The checked front of a string tensor.
struct Lengths {
  std::uint32_t crc32c = 0;  // of the lengths and their stored checksum
  std::span<const std::byte> varints;
  std::span<const std::byte> strings;  // all of them joined; as long as the lengths say
};

Lengths ReadLengths(std::span<const std::byte> bytes, std::uint64_t count,
                    const std::string& context) {
  const auto fail = [&](const char* reason) {
    return Error(Code::kDataLoss, context + ": " + reason);
  };
  ByteReader reader(bytes);
  Lengths lengths;
  std::uint64_t total = 0;
  for (std::uint64_t i = 0; i < count; ++i) {
    const auto length = reader.ReadVarint64();
    if (!length) throw fail("the string lengths are cut off or malformed");
    // What is left shrinks from here on, so a sum within it cannot overflow either.
    if (*length > reader.remaining() || total > reader.remaining() - *length) {
      throw fail("the strings are longer than their stored bytes");
    }
    total += *length;
    lengths.crc32c = ExtendByLength(lengths.crc32c, *length);
  }
  lengths.varints = bytes.first(bytes.size() - reader.remaining());
  const auto stored = reader.ReadFixed<std::uint32_t>();
  if (!stored) throw fail("the checksum of the string lengths is cut off");
  if (*stored != MaskCrc32c(lengths.crc32c)) {
    throw fail("the checksum of the string lengths does not match");
  }
  if (reader.remaining() != total)
    throw fail("the string lengths do not add up to the stored bytes");
  lengths.crc32c = ExtendByChecksum(lengths.crc32c, *stored);
  lengths.strings = reader.rest();
  return lengths;
}

}  // namespace

EncodedStrings EncodeStrings(std::span<const std::string> strings) {
  std::size_t size = sizeof(std::uint32_t);
  for (const std::string& text : strings) size += VarintBytes(text.size()) + text.size();
  EncodedStrings encoded;
  encoded.bytes.reserve(size);
  std::uint32_t crc = 0;
  for (const std::string& text : strings) {
    AppendVarint(encoded.bytes, text.size());
    crc = ExtendByLength(crc, text.size());
  }
  const std::uint32_t stored = MaskCrc32c(crc);
  AppendFixed(encoded.bytes, stored);
  crc = ExtendByChecksum(crc, stored);
  for (const std::string& text : strings) {
    encoded.bytes += text;
    crc = ExtendCrc32c(crc, AsBytes(text));
  }
  encoded.crc32c = crc;
  return encoded;
}

std::vector<std::string> DecodeStrings(std::span<const std::byte> bytes, std::uint64_t count,
                                       std::uint32_t crc32c, const std::string& context) {
  // A tensor without elements may have no bytes at all.
  if (count == 0 && bytes.empty()) {
    if (crc32c != 0) throw Error(Code::kDataLoss, context + ": checksum mismatch");
    return {};
  }
  const Lengths lengths = ReadLengths(bytes, count, context);
  if (ExtendCrc32c(lengths.crc32c, lengths.strings) != crc32c) {
    throw Error(Code::kDataLoss, context + ": checksum mismatch");
  }
  // Each element took a byte at least, so `count` is no more than the bytes given.
  std::vector<std::string> strings;
  strings.reserve(static_cast<std::size_t>(count));
  ByteReader sizes(lengths.varints);
  ByteReader content(lengths.strings);
  for (std::uint64_t i = 0; i < count; ++i) {
    strings.emplace_back(AsText(*content.ReadBytes(*sizes.ReadVarint64())));
  }
  return strings;
}

}  // namespace waypost
