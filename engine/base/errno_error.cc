#include "base/errno_error.h"

#include <fmt/format.h>

#include <cerrno>
#include <system_error>

namespace waypost {

std::string_view CodeName(Code code) noexcept {
  switch (code) {
    case Code::kCancelled: return "Cancelled";
    case Code::kUnknown: return "Unknown";
    case Code::kInvalidArgument: return "InvalidArgument";
    case Code::kNotFound: return "NotFound";
    case Code::kAlreadyExists: return "AlreadyExists";
    case Code::kPermissionDenied: return "PermissionDenied";
    case Code::kResourceExhausted: return "ResourceExhausted";
    case Code::kFailedPrecondition: return "FailedPrecondition";
    case Code::kAborted: return "Aborted";
    case Code::kOutOfRange: return "OutOfRange";
    case Code::kUnimplemented: return "Unimplemented";
    case Code::kInternal: return "Internal";
    case Code::kUnavailable: return "Unavailable";
    case Code::kDataLoss: return "DataLoss";
  }
  return "Unknown";
}

Code CodeFromErrno(int errno_value, IoDirection direction) noexcept {
  switch (errno_value) {
    case ENOENT:
    case ENODEV:
    case ENXIO:
    case ESRCH: return Code::kNotFound;
    case EEXIST:
    case EALREADY: return Code::kAlreadyExists;
    case EPERM:
    case EACCES:
    case EROFS: return Code::kPermissionDenied;
    case ENOTEMPTY:
    case EISDIR:
    case ENOTDIR:
    case EBUSY:
    case EBADF:
    case ETXTBSY: return Code::kFailedPrecondition;
    case ENOSPC:
    case EDQUOT:
    case EMFILE:
    case ENFILE:
    case EMLINK:
    case ENOMEM:
    case ENOBUFS: return Code::kResourceExhausted;
    case EFBIG:
    case EOVERFLOW:
    case ERANGE: return Code::kOutOfRange;
    case EINVAL:
    case ENAMETOOLONG:
    case ELOOP:
    case EDOM:
    case EFAULT: return Code::kInvalidArgument;
    case ENOSYS:
    case EOPNOTSUPP:
    case EXDEV: return Code::kUnimplemented;
    case EAGAIN:
    case EINTR:
    case ETIMEDOUT:
    case ESTALE:
    case ECONNRESET: return Code::kUnavailable;
    case ECANCELED: return Code::kCancelled;
    case EIO: return direction == IoDirection::kRead ? Code::kDataLoss : Code::kUnavailable;
    default: return Code::kUnknown;
  }
}

Error ErrnoError(std::string_view operation, std::string_view path, int errno_value,
                 IoDirection direction) {
  return {CodeFromErrno(errno_value, direction),
          fmt::format("{} {}: {}", operation, path, std::generic_category().message(errno_value))};
}

}  // namespace waypost
