// V1 files made by hand, with right checksums and whatever messages a test wants.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "format/slice_codec.h"
#include "format/test_files.h"
#include "format/v1_writer.h"
#include "wire/v1_messages.h"

namespace waypost {

// The slice of a tensor of `rank` that is stored whole.
inline TensorSlice AllOf(std::size_t rank) { return V1Slice({}, rank); }

// A data entry with `values` in one field: packed, or for kString elements that AppendV1String
// made.
inline std::string V1Entry(const std::string& name, const TensorSlice& slice, V1Field field,
                           const std::string& values) {
  return EncodeV1DataHead({name, slice}, field, values.size()) + values;
}

class V1FileMaker {
 public:
  V1Meta meta;
  TableEntries entries;  // without the meta's

  // A tensor, or one more slice of it, with the entry that TensorFlow would write.
  void Add(const std::string& name, DType dtype, const Shape& shape, const TensorSlice& slice,
           V1Field field, const std::string& values) {
    if (meta.tensors.empty() || meta.tensors.back().name != name) {
      meta.tensors.push_back({.name = name,
                              .shape = shape,
                              .dtype_number = static_cast<std::int64_t>(dtype),
                              .slices = {}});
    }
    meta.tensors.back().slices.push_back(slice);
    entries[EncodeSliceKey(name, slice)] = V1Entry(name, slice, field, values);
  }

  std::string Write() const {
    TableEntries all = entries;
    all[""] = EncodeV1Meta(meta);
    return WriteTable(all);
  }
};

}  // namespace waypost
