// The checks that BundleIndex and V1Reader make of a header and of each entry by itself.
//
// Errors: kDataLoss with the file, the tensor and the reason; kInvalidArgument for a version that
// we may not read.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "format/bundle_index.h"
#include "waypost/error.h"
#include "waypost/tensor.h"
#include "wire/bundle_messages.h"

namespace waypost {

// What a message is about: the file, the tensor, and the slice if it is one's entry.  Borrows all
// three.
class IndexContext {
 public:
  IndexContext(const std::string& path, std::string_view name, const TensorSlice* slice = nullptr)
      : path_(path), name_(name), slice_(slice) {}

  Error Fault(std::string_view reason) const;
  [[noreturn]] void Fail(std::string_view reason) const { throw Fault(reason); }
  // Runs a function of the public API, for which wrong values are the caller's fault: here they are
  // the file's.
  template <typename Function>
  auto Checked(Function function) const {
    try {
      return function();
    } catch (const Error& error) {
      Fail(error.what());
    }
  }

 private:
  const std::string& path_;
  std::string_view name_;
  const TensorSlice* slice_;
};

BundleHeader CheckedHeader(std::span<const std::byte> value, const std::string& path);

// Throws kInvalidArgument for a version that we may not read.
void RequireReadable(const FormatVersion& version, const std::string& path);

DType CheckedDType(std::int64_t number, const IndexContext& context);

// The number of elements of `shape`; they and their bytes fit 63 bits.
std::uint64_t CheckedElementCount(const Shape& shape, DType dtype, const IndexContext& context);

// Checks an entry of stored bytes and moves what it says into an extent, whose slice is left empty.
StoredExtent CheckedExtent(BundleEntry& entry, DType dtype, int shard_count,
                           const IndexContext& context);

}  // namespace waypost
