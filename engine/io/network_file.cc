#include "io/network_file.h"

#include <sys/vfs.h>

#include <algorithm>
#include <array>
#include <cstdint>

namespace waypost {
namespace {

// linux/magic.h has only some of them.
constexpr std::array<std::uint32_t, 12> kNetworkMagics = {
    0x00006969,  // NFS
    0x0000517B,  // SMB
    0xFF534D42,  // CIFS
    0xFE534D42,  // SMB2
    0x01021997,  // 9P
    0x00C36400,  // Ceph
    0x5346414F,  // AFS
    0x73757245,  // Coda
    0x0BD00BD0,  // Lustre
    0x47504653,  // GPFS
    0x65735546,  // FUSE
    0x19830326,  // BeeGFS
};

}  // namespace

bool IsNetworkFile(const std::string& path) noexcept {
  struct statfs status;
  if (::statfs(path.c_str(), &status) != 0) return false;
  return std::ranges::find(kNetworkMagics, static_cast<std::uint32_t>(status.f_type)) !=
         kNetworkMagics.end();
}

}  // namespace waypost
