#include "format/bundle_index_writer.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <optional>

#include "base/check.h"
#include "base/escape.h"
#include "format/slice_codec.h"
#include "waypost/error.h"

namespace waypost {
namespace {

constexpr std::size_t kOwnEntry = std::numeric_limits<std::size_t>::max();

Error Refused(std::string_view name, std::string_view reason) {
  return Error(Code::kInvalidArgument,
               fmt::format("add tensor {} to an index: {}", Printable(name), reason));
}

// Two entries want the same key.
Error RefusedTwice(std::string_view key) {
  const std::optional<SliceKey> slice = DecodeSliceKey(key);
  if (!slice) return Refused(key, "it is there already");
  return Refused(slice->name, fmt::format("slice {} is there already", SliceText(slice->slice)));
}

}  // namespace

void BundleIndexWriter::Add(const IndexedTensor& tensor) {
  if (tensor.name.empty()) throw Refused(tensor.name, "an empty name is the header's key");
  if (!tensor.slice.IsWhole() && tensor.shape != SliceShape(tensor.full_shape, tensor.slice)) {
    throw Refused(tensor.name,
                  fmt::format("slice {} of {} cannot have shape {}", SliceText(tensor.slice),
                              ShapeText(tensor.full_shape), ShapeText(tensor.shape)));
  }
  // TensorFlow looks for a tensor that one slice covers under the tensor's own name.
  if (tensor.slice.IsWhole() || tensor.shape == tensor.full_shape) {
    keys_.push_back({tensor.name, count_});
  } else {
    AddSlice(tensor);
  }
  ++count_;
}

void BundleIndexWriter::AddSlice(const IndexedTensor& tensor) {
  Sliced& sliced = sliced_[tensor.name];
  if (sliced.slices.empty()) {
    sliced.dtype = tensor.dtype;
    sliced.full_shape = &tensor.full_shape;
  } else if (sliced.dtype != tensor.dtype || *sliced.full_shape != tensor.full_shape) {
    throw Refused(tensor.name, "its slices differ in dtype or full shape");
  }
  sliced.slices.push_back(&tensor.slice);
  keys_.push_back({slice_keys_.emplace_back(EncodeSliceKey(tensor.name, tensor.slice)), count_});
}

void BundleIndexWriter::SortKeys() {
  for (const auto& [name, sliced] : sliced_) keys_.push_back({name, kOwnEntry});
  std::ranges::sort(keys_, {}, &Key::key);
  const auto twice = std::ranges::adjacent_find(keys_, {}, &Key::key);
  if (twice != keys_.end()) throw RefusedTwice(twice->key);
}

std::string BundleIndexWriter::EncodedEntry(const Key& key, const EntrySource& entry_of) const {
  if (key.number != kOwnEntry) {
    const BundleEntry entry = entry_of(key.number);
    WAYPOST_CHECK(entry.slices.empty());
    return EncodeBundleEntry(entry);
  }
  const Sliced& sliced = sliced_.at(key.key);
  BundleEntry own;
  own.dtype_number = static_cast<std::int64_t>(sliced.dtype);
  own.shape = *sliced.full_shape;
  for (const TensorSlice* slice : sliced.slices) own.slices.push_back(*slice);
  return EncodeBundleEntry(own);
}

void BundleIndexWriter::WriteTo(const TableWriter::Sink& sink, const EntrySource& entry_of) {
  SortKeys();
  TableWriter table(sink);
  table.Add("", EncodeBundleHeader(header_));
  for (const Key& key : keys_) table.Add(key.key, EncodedEntry(key, entry_of));
  table.Finish();
}

}  // namespace waypost
