// The stand-in of crc32c_x86.cc on other machines: everything is left to ISA-L and portable code.
#include "base/check.h"
#include "base/crc32c_kernels.h"

namespace waypost::internal {

bool HasClmul() noexcept { return false; }
std::uint32_t ShiftCrc32cClmul(std::uint32_t crc, std::uint64_t /*size*/) noexcept {
  WAYPOST_CHECK(HasClmul());
  return crc;
}

bool HasAvx512Clmul() noexcept { return false; }
std::uint32_t CopyAndExtendCrc32cAvx512(std::uint32_t crc, std::span<std::byte> /*target*/,
                                        std::span<const std::byte> /*source*/) noexcept {
  WAYPOST_CHECK(HasAvx512Clmul());
  return crc;
}

}  // namespace waypost::internal
