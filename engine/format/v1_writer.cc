#include "format/v1_writer.h"

#include <fmt/format.h>

#include <utility>

#include "base/escape.h"
#include "format/slice_codec.h"
#include "format/v1_values.h"
#include "waypost/error.h"

namespace waypost {

TensorSlice V1Slice(const TensorSlice& slice, std::size_t rank) {
  return slice.IsWhole() ? TensorSlice{std::vector<TensorSlice::Extent>(rank)} : slice;
}

V1Writer::V1Writer(TableWriter::Sink sink, const V1Meta& meta) : table_(std::move(sink)) {
  table_.Add("", EncodeV1Meta(meta));
}

void V1Writer::Add(const std::string& name, const TensorSlice& slice, DType dtype,
                   std::uint64_t size_bytes, const Source& source) {
  // Lengths stand in front of what they count.
  std::uint64_t value_bytes = 0;
  if (IsRawInV1(dtype)) {
    value_bytes = size_bytes;
  } else {
    source(
        [&](std::span<const std::byte> elements) { value_bytes += V1ValueBytes(dtype, elements); });
  }
  std::string entry = EncodeV1DataHead({name, slice}, *V1FieldOf(dtype), value_bytes);
  const std::size_t size = entry.size() + static_cast<std::size_t>(value_bytes);
  entry.reserve(size);
  source([&](std::span<const std::byte> elements) { AppendV1Values(entry, dtype, elements); });
  if (entry.size() != size) {
    throw Error(Code::kAborted,
                fmt::format("save tensor {}: it was changed while it was saved", Printable(name)));
  }
  table_.Add(EncodeSliceKey(name, slice), entry);
}

void V1Writer::AddStrings(const std::string& name, const TensorSlice& slice,
                          std::span<const std::string> strings) {
  std::uint64_t value_bytes = 0;
  for (const std::string& text : strings) value_bytes += V1StringBytes(text.size());
  std::string entry = EncodeV1DataHead({name, slice}, V1Field::kString, value_bytes);
  entry.reserve(entry.size() + static_cast<std::size_t>(value_bytes));
  for (const std::string& text : strings) AppendV1String(entry, text);
  table_.Add(EncodeSliceKey(name, slice), entry);
}

}  // namespace waypost
