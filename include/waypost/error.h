// Error: the one exception type of Waypost, with a canonical code.
//
// Everything that can fail throws `waypost::Error`; what a background thread meets is kept and
// thrown again by the SaveHandle's waits.  The message is one line: the operation, the path or
// tensor, the reason.  The vocabulary of codes is the canonical one of gRPC and Abseil; a caller
// that only wants to report an error needs nothing but what().
#pragma once

#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace waypost {

// The canonical codes; the numbers are those of gRPC, so that they can be passed on.
enum class Code {
  kCancelled = 1,           // the caller cancelled the operation
  kUnknown = 2,             // an error of a library that has no code of its own
  kInvalidArgument = 3,     // the call was wrong whatever the state of the system
  kNotFound = 5,            // a file, a checkpoint or a tensor does not exist
  kAlreadyExists = 6,       // something to be created is there already
  kPermissionDenied = 7,    // the operating system refuses
  kResourceExhausted = 8,   // disk full, quota, no memory, too many files
  kFailedPrecondition = 9,  // the call is wrong in this state (a variable is not bound, ...)
  kAborted = 10,     // another writer, or a tensor changed while it was saved; may be tried again
  kOutOfRange = 11,  // a position beyond the end
  kUnimplemented = 12,  // not supported here
  kInternal = 13,       // a library or driver broke its contract
  kUnavailable = 14,    // writing failed for a reason outside (EIO, a lost device)
  kDataLoss = 15,       // a file is damaged: bad checksum, bad structure, unreadable block
};

// The code's name as it is written here without the k: "DataLoss".
std::string_view CodeName(Code code) noexcept;

class Error : public std::runtime_error {
 public:
  Error(Code code, const std::string& message) : std::runtime_error(message), code_(code) {}
  Code code() const noexcept { return code_; }

 private:
  Code code_;
};

// A restore that failed after it had begun to change its targets.
class RestoreError : public Error {
 public:
  RestoreError(Code code, const std::string& message, std::vector<std::string> assigned,
               std::vector<std::string> undefined)
      : Error(code, message), assigned_(std::move(assigned)), undefined_(std::move(undefined)) {}
  // Names of the tensors that hold the checkpoint's values, whole and verified.
  const std::vector<std::string>& assigned() const noexcept { return assigned_; }
  // Names of the tensors that were being written: their content must not be used.  Tensors in
  // neither list were not touched.
  const std::vector<std::string>& undefined() const noexcept { return undefined_; }

 private:
  std::vector<std::string> assigned_;
  std::vector<std::string> undefined_;
};

}  // namespace waypost
