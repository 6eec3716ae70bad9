#include <fmt/format.h>

#include <utility>

#include "base/check.h"
#include "base/escape.h"
#include "format/bundle_index.h"
#include "format/slice_codec.h"
#include "format/table_writer.h"
#include "waypost/error.h"

namespace waypost {
namespace {

Error Refused(const std::string& name, std::string_view reason) {
  return Error(Code::kInvalidArgument,
               fmt::format("add tensor {} to an index: {}", Printable(name), reason));
}

}  // namespace

BundleIndexWriter::BundleIndexWriter(BundleHeader header) : header_(std::move(header)) {}

void BundleIndexWriter::Add(const std::string& name, const Shape& full_shape,
                            const TensorSlice& slice, const BundleEntry& entry) {
  WAYPOST_CHECK(entry.slices.empty());
  if (name.empty()) throw Refused(name, "an empty name is the header's key");
  if (!slice.IsWhole() && entry.shape != SliceShape(full_shape, slice)) {
    throw Refused(name, fmt::format("slice {} of {} cannot have shape {}", SliceText(slice),
                                    ShapeText(full_shape), ShapeText(entry.shape)));
  }
  // TensorFlow looks for a tensor that one slice covers under the tensor's own name.
  if (slice.IsWhole() || entry.shape == full_shape) {
    AddWhole(name, entry);
  } else {
    AddSlice(name, full_shape, slice, entry);
  }
}

void BundleIndexWriter::AddWhole(const std::string& name, const BundleEntry& entry) {
  if (sliced_.contains(name)) throw Refused(name, "it is there in slices already");
  if (!entries_.try_emplace(name, EncodeBundleEntry(entry)).second) {
    throw Refused(name, "it is there already");
  }
}

void BundleIndexWriter::AddSlice(const std::string& name, const Shape& full_shape,
                                 const TensorSlice& slice, const BundleEntry& entry) {
  if (entries_.contains(name)) throw Refused(name, "it is there as a whole already");
  const auto known = sliced_.find(name);
  if (known != sliced_.end() &&
      (known->second.dtype_number != entry.dtype_number || known->second.shape != full_shape)) {
    throw Refused(name, "its slices differ in dtype or full shape");
  }
  std::string key = EncodeSliceKey(name, slice);
  if (sliced_.contains(key) ||
      !entries_.try_emplace(std::move(key), EncodeBundleEntry(entry)).second) {
    throw Refused(name, fmt::format("slice {} is there already", SliceText(slice)));
  }
  BundleEntry& own = sliced_[name];
  own.dtype_number = entry.dtype_number;
  own.shape = full_shape;
  own.slices.push_back(slice);
}

std::string BundleIndexWriter::Finish() {
  TableWriter table;
  table.Add("", EncodeBundleHeader(header_));
  auto own = sliced_.begin();
  for (const auto& [key, value] : entries_) {
    for (; own != sliced_.end() && own->first < key; ++own) {
      table.Add(own->first, EncodeBundleEntry(own->second));
    }
    table.Add(key, value);
  }
  for (; own != sliced_.end(); ++own) table.Add(own->first, EncodeBundleEntry(own->second));
  return table.Finish();
}

}  // namespace waypost
