// V1Writer makes one file of a V1 checkpoint: a table of SavedTensorSlices (docs/format.md, "V1").
//
//   SaveV1 -> [V1Writer] -> TableWriter
//
// The bytes are those that TensorFlow writes for the same tensors in the same order.
//
// Memory:   one entry, and the table's block, which holds it once more.
// Errors:   what the sink and the sources throw; the writer is of no use after that.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>

#include "format/table_writer.h"
#include "waypost/tensor.h"
#include "wire/v1_messages.h"

namespace waypost {

// The slice under which a tensor that is stored whole stands in a V1 file, which has no other form:
// all of each dimension.
TensorSlice V1Slice(const TensorSlice& slice, std::size_t rank);

class V1Writer {
 public:
  // Gives all elements of a tensor, in order and in pieces of whole elements.
  using ByteSink = std::function<void(std::span<const std::byte> elements)>;
  using Source = std::function<void(const ByteSink& sink)>;

  V1Writer(TableWriter::Sink sink, const V1Meta& meta);

  // The next slice, of `size_bytes` in memory.  `source` may be called twice; kAborted when it does
  // not give as much then.  Requires: keys (EncodeSliceKey) ascend; the dtype is a fixed-width one
  // that V1 has, and the slice is not too large (RequireV1Storable).
  void Add(const std::string& name, const TensorSlice& slice, DType dtype, std::uint64_t size_bytes,
           const Source& source);
  void AddStrings(const std::string& name, const TensorSlice& slice,
                  std::span<const std::string> strings);

  // Call once.
  void Finish() { table_.Finish(); }

 private:
  TableWriter table_;
};

}  // namespace waypost
