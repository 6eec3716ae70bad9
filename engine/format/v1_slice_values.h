// V1SliceValues: the elements of one stored slice, out of its entry in a V1 file.
//
// What is asked for is looked at when it is made: that the entry is the slice's, and that it has
// just as many values as the slice has elements.  Values themselves are judged when they are given.
//
// Threads:  any, at once.
// Errors:   kDataLoss with the file, the tensor and the reason.
// Lifetime: everything is borrowed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "format/tensor_index.h"
#include "waypost/error.h"

namespace waypost {

class V1SliceValues {
 public:
  // `file` is for messages.
  V1SliceValues(std::span<const std::byte> entry, const StoredTensor& tensor,
                const StoredExtent& extent, const std::string& file);

  // Takes elements as they are in memory.
  using Sink = std::function<void(std::span<const std::byte> elements)>;
  // Gives all elements in order.  Those that stand in the file as in memory are given from there,
  // in pieces of any size, unless `copy_all`; all others through `room`, a multiple of 16 bytes.
  // False when a value is malformed or none of the dtype's: then those before it were given.
  // Requires: a fixed-width dtype.
  bool Give(std::span<std::byte> room, bool copy_all, const Sink& sink) const;
  // Requires: dtype kString.
  std::vector<std::string> Strings() const;

  // What Give says with false.
  Error Malformed() const;

 private:
  std::optional<std::size_t> Take(std::span<const std::byte>& values,
                                  std::span<std::byte> target) const;
  Error Fault(const std::string& reason) const;

  std::span<const std::byte> entry_;
  const StoredTensor& tensor_;
  const StoredExtent& extent_;
  const std::string& file_;
  std::uint64_t count_ = 0;
};

}  // namespace waypost
