// From errno to Error: the mapping of Abseil's ErrnoToStatus, but EIO depends on the direction.
#pragma once

#include <string>
#include <string_view>

#include "waypost/error.h"

namespace waypost {

// What was being done when an errno arrived: a failed read is lost data, a failed write can be
// tried again.
enum class IoDirection { kRead, kWrite };

Code CodeFromErrno(int errno_value, IoDirection direction) noexcept;

// "fsync /run/ckpt-7.data-00000-of-00004: No space left on device"
Error ErrnoError(std::string_view operation, std::string_view path, int errno_value,
                 IoDirection direction);

}  // namespace waypost
