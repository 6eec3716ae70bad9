#include "fuzz/checksums.h"

#include <cstring>
#include <limits>
#include <span>

#include "base/bytes.h"
#include "base/crc32c.h"

namespace waypost {
namespace {

void Put(std::string& bytes, std::size_t at, std::uint32_t crc32c) {
  const std::uint32_t masked = MaskCrc32c(crc32c);
  std::memcpy(bytes.data() + at, &masked, sizeof masked);
}

template <typename T>
std::uint32_t ExtendBy(std::uint32_t crc32c, T number) {
  return ExtendCrc32c(crc32c, std::as_bytes(std::span(&number, 1)));
}

// As string_tensor.cc has it: 32 bits where they do.
std::uint32_t ExtendByLength(std::uint32_t crc32c, std::uint64_t length) {
  return length > std::numeric_limits<std::uint32_t>::max()
             ? ExtendBy(crc32c, length)
             : ExtendBy(crc32c, static_cast<std::uint32_t>(length));
}

}  // namespace

void MendRecords(std::string& file) {
  constexpr std::size_t kFront = 12;
  constexpr std::size_t kBack = 4;
  for (std::size_t at = 0; file.size() - at >= kFront + kBack;) {
    const auto view = AsBytes(file).subspan(at);
    const auto size = LoadFixed<std::uint64_t>(view.data());
    Put(file, at + sizeof size, Crc32c(view.first(sizeof size)));
    if (size > view.size() - kFront - kBack) return;
    const auto content = static_cast<std::size_t>(size);
    Put(file, at + kFront + content, Crc32c(view.subspan(kFront, content)));
    at += kFront + content + kBack;
  }
}

std::uint32_t MendStrings(std::string& bytes, std::size_t begin, std::size_t end,
                          std::uint64_t count) {
  ByteReader reader(AsBytes(bytes).subspan(begin, end - begin));
  std::uint32_t crc32c = 0;
  for (std::uint64_t i = 0; i < count; ++i) {
    const auto length = reader.ReadVarint64();
    if (!length) return 0;
    crc32c = ExtendByLength(crc32c, *length);
  }
  if (reader.remaining() < sizeof crc32c) return 0;
  Put(bytes, end - reader.remaining(), crc32c);
  crc32c = ExtendBy(crc32c, *reader.ReadFixed<std::uint32_t>());
  return ExtendCrc32c(crc32c, reader.rest());
}

std::uint32_t MendVariants(std::string& bytes, std::size_t begin, std::size_t end,
                           std::uint64_t count) {
  ByteReader reader(AsBytes(bytes).subspan(begin, end - begin));
  std::uint32_t crc32c = 0;
  for (std::uint64_t i = 0; i < count; ++i) {
    const auto size = reader.ReadVarint64();
    const auto content = size ? reader.ReadBytes(*size) : std::nullopt;
    if (!content || reader.remaining() < sizeof crc32c) return 0;
    crc32c = ExtendCrc32c(ExtendBy(crc32c, *size), *content);
    Put(bytes, end - reader.remaining(), crc32c);
    crc32c = ExtendBy(crc32c, *reader.ReadFixed<std::uint32_t>());
  }
  return crc32c;
}

}  // namespace waypost
