#include "base/copy_crc32c.h"

#include <algorithm>
#include <cstring>
#include <functional>

#include "base/check.h"
#include "base/crc32c.h"
#include "base/crc32c_kernels.h"
#include "base/units.h"

namespace waypost {
namespace {

// ISA-L's pieces.  Measured: 13.9 GB/s, as quick as memcpy alone; 9.5 with 16 KiB.
constexpr std::size_t kPieceBytes = kPageBytes;

bool Overlap(std::span<const std::byte> a, std::span<const std::byte> b) noexcept {
  const std::less<> before;
  return before(a.data(), b.data() + b.size()) && before(b.data(), a.data() + a.size());
}

void Copy(std::span<std::byte> target, std::span<const std::byte> source) noexcept {
  if (!source.empty()) std::memcpy(target.data(), source.data(), source.size());
}

// The CRC is taken of the copy, which is still in the cache, never of the source: a second look at
// that could see other bytes than were copied.
std::uint32_t CopyByIsal(std::uint32_t crc, std::span<std::byte> target,
                         std::span<const std::byte> source) noexcept {
  while (!source.empty()) {
    const std::size_t size = std::min(source.size(), kPieceBytes);
    Copy(target.first(size), source.first(size));
    crc = ExtendCrc32c(crc, target.first(size));
    source = source.subspan(size);
    target = target.subspan(size);
  }
  return crc;
}

std::uint32_t CopyPortably(std::uint32_t crc, std::span<std::byte> target,
                           std::span<const std::byte> source) noexcept {
  Copy(target, source);
  return ExtendCrc32cPortable(crc, target);
}

}  // namespace

std::string_view CopyCrc32cKindName(CopyCrc32cKind kind) noexcept {
  switch (kind) {
    case CopyCrc32cKind::kAvx512: return "avx512";
    case CopyCrc32cKind::kIsal: return "isal";
    case CopyCrc32cKind::kPortable: return "portable";
  }
  return "unknown";
}

bool IsSupported(CopyCrc32cKind kind) noexcept {
  return kind != CopyCrc32cKind::kAvx512 || internal::HasAvx512Clmul();
}

CopyCrc32cKind ChosenCopyCrc32cKind() noexcept {
  static const CopyCrc32cKind chosen =
      *std::find_if(kCopyCrc32cKinds.begin(), kCopyCrc32cKinds.end(), IsSupported);
  return chosen;
}

std::uint32_t CopyAndExtendCrc32cBy(CopyCrc32cKind kind, std::uint32_t crc,
                                    std::span<std::byte> target,
                                    std::span<const std::byte> source) noexcept {
  WAYPOST_CHECK(target.size() == source.size());
  WAYPOST_CHECK(!Overlap(target, source));
  switch (kind) {
    case CopyCrc32cKind::kAvx512:
      WAYPOST_CHECK(IsSupported(kind));
      return internal::CopyAndExtendCrc32cAvx512(crc, target, source);
    case CopyCrc32cKind::kIsal: return CopyByIsal(crc, target, source);
    case CopyCrc32cKind::kPortable: break;
  }
  return CopyPortably(crc, target, source);
}

std::uint32_t CopyAndExtendCrc32c(std::uint32_t crc, std::span<std::byte> target,
                                  std::span<const std::byte> source) noexcept {
  return CopyAndExtendCrc32cBy(ChosenCopyCrc32cKind(), crc, target, source);
}

}  // namespace waypost
