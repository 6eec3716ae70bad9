// Whether a file lies on another machine, or behind a user's program.
#pragma once

#include <string>

namespace waypost {

// True for NFS, SMB, 9P, Ceph, Lustre and their like, and for FUSE: there another machine may cut a
// file that is mapped here, and touching the mapping then kills the process.  False for a path that
// cannot be looked at.
bool IsNetworkFile(const std::string& path) noexcept;

}  // namespace waypost
