#include "format/variant_check.h"

#include <fmt/format.h>

#include <optional>

#include "base/bytes.h"
#include "base/crc32c.h"
#include "waypost/error.h"

namespace waypost {
namespace {

// Takes one element off `rest` and continues the CRC over it: its length as 64 bits, its bytes, and
// the stored checksum of all so far.  False when it is cut or its checksum differs.
bool TakeVariant(ByteReader& rest, std::uint32_t& crc32c) {
  const std::optional<std::uint64_t> size = rest.ReadVarint64();
  const auto message = size ? rest.ReadBytes(*size) : std::nullopt;
  const auto stored = message ? rest.ReadFixed<std::uint32_t>() : std::nullopt;
  if (!stored) return false;
  crc32c = ExtendCrc32c(crc32c, std::as_bytes(std::span(&*size, 1)));
  crc32c = ExtendCrc32c(crc32c, *message);
  if (*stored != MaskCrc32c(crc32c)) return false;
  crc32c = ExtendCrc32c(crc32c, std::as_bytes(std::span(&*stored, 1)));
  return true;
}

}  // namespace

void CheckVariants(std::span<const std::byte> bytes, std::uint64_t count, std::uint32_t crc32c,
                   const std::string& context) {
  ByteReader rest(bytes);
  std::uint32_t computed = 0;
  for (std::uint64_t i = 0; i < count; ++i) {
    if (!TakeVariant(rest, computed)) {
      throw Error(Code::kDataLoss, fmt::format("{}: element {} is damaged", context, i));
    }
  }
  if (rest.remaining() != 0 || computed != crc32c) {
    throw Error(Code::kDataLoss,
                fmt::format("{}: checksum mismatch (stored {:08x}, computed {:08x})", context,
                            crc32c, computed));
  }
}

}  // namespace waypost
