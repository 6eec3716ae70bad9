#include "base/bytes.h"

#include <limits>

namespace waypost {

void AppendVarint(std::string& target, std::uint64_t value) {
  while (value >= 0x80) {
    target.push_back(static_cast<char>(value | 0x80));
    value >>= 7;
  }
  target.push_back(static_cast<char>(value));
}

std::size_t VarintBytes(std::uint64_t value) noexcept {
  return value == 0 ? 1 : (static_cast<std::size_t>(std::bit_width(value)) + 6) / 7;
}

std::optional<std::uint64_t> ByteReader::ReadVarint64() noexcept {
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < 10 && i < bytes_.size(); ++i) {
    const auto byte = std::to_integer<std::uint64_t>(bytes_[i]);
    if (i == 9 && byte > 1) return std::nullopt;
    value |= (byte & 0x7F) << (7 * i);
    if (byte < 0x80) {
      bytes_ = bytes_.subspan(i + 1);
      return value;
    }
  }
  return std::nullopt;
}

std::optional<std::uint32_t> ByteReader::ReadVarint32() noexcept {
  ByteReader ahead = *this;
  const std::optional<std::uint64_t> value = ahead.ReadVarint64();
  if (!value || *value > std::numeric_limits<std::uint32_t>::max()) return std::nullopt;
  *this = ahead;
  return static_cast<std::uint32_t>(*value);
}

std::optional<std::span<const std::byte>> ByteReader::ReadBytes(std::uint64_t size) noexcept {
  if (bytes_.size() < size) return std::nullopt;
  const auto taken = bytes_.first(static_cast<std::size_t>(size));
  bytes_ = bytes_.subspan(static_cast<std::size_t>(size));
  return taken;
}

}  // namespace waypost
