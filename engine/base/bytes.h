// Little-endian fixed-width and varint coding, and a reader that never goes beyond its bytes.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace waypost {

static_assert(std::endian::native == std::endian::little,
              "Waypost writes its machine's byte order and knows only little-endian machines");

inline std::span<const std::byte> AsBytes(std::string_view text) noexcept {
  return std::as_bytes(std::span(text.data(), text.size()));
}
inline std::string_view AsText(std::span<const std::byte> bytes) noexcept {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// Requires: `data` holds sizeof(T) bytes at least.
template <typename T>
T LoadFixed(const std::byte* data) noexcept {
  T value;
  std::memcpy(&value, data, sizeof value);
  return value;
}

template <typename T>
void AppendFixed(std::string& target, T value) {
  target.append(reinterpret_cast<const char*>(&value), sizeof value);
}

void AppendVarint(std::string& target, std::uint64_t value);
std::size_t VarintBytes(std::uint64_t value) noexcept;

// ByteReader takes values off the front of a span.  Every Read gives nullopt, and takes nothing,
// when the bytes left do not hold one; the caller says what that means for its file.
class ByteReader {
 public:
  explicit ByteReader(std::span<const std::byte> bytes) noexcept : bytes_(bytes) {}

  std::size_t remaining() const noexcept { return bytes_.size(); }
  std::span<const std::byte> rest() const noexcept { return bytes_; }

  template <typename T>
  std::optional<T> ReadFixed() noexcept {
    if (bytes_.size() < sizeof(T)) return std::nullopt;
    const T value = LoadFixed<T>(bytes_.data());
    bytes_ = bytes_.subspan(sizeof(T));
    return value;
  }
  // At most ten bytes, and no bits beyond 64.
  std::optional<std::uint64_t> ReadVarint64() noexcept;
  // At most five bytes, and no bits beyond 32.
  std::optional<std::uint32_t> ReadVarint32() noexcept;
  std::optional<std::span<const std::byte>> ReadBytes(std::uint64_t size) noexcept;

 private:
  std::span<const std::byte> bytes_;
};

}  // namespace waypost
