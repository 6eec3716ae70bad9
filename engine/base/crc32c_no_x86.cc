// The stand-in of crc32c_x86.cc on other machines: everything is left to ISA-L and portable code.
#include "base/check.h"
#include "base/crc32c_kernels.h"

namespace waypost::internal {

bool HasClmul() noexcept { return false; }
std::uint32_t ShiftCrc32cClmul(std::uint32_t crc, std::uint64_t /*size*/) noexcept {
  WAYPOST_CHECK(HasClmul());
  return crc;
}

}  // namespace waypost::internal
