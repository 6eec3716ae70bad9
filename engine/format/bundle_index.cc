#include "format/bundle_index.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/bytes.h"
#include "format/index_checks.h"
#include "format/slice_codec.h"
#include "format/slice_set.h"
#include "format/table_reader.h"
#include "waypost/error.h"

namespace waypost {
namespace {

// Slice keys come before the tensors that list them, and a plain tensor may have a name that looks
// like one.  So entries that may be slices wait, encoded, until all lists have been seen.
class IndexParser {
 public:
  explicit IndexParser(const std::string& path) : path_(path) {}

  void Parse(std::span<const std::byte> file);

  BundleHeader header;
  std::vector<StoredTensor> tensors;

 private:
  struct Waiting {
    std::string key;
    std::string value;
    bool is_used = false;
  };

  void Visit(std::string_view key, std::span<const std::byte> value);
  BundleEntry Decode(std::span<const std::byte> value, const IndexContext& context) const;
  void AddTensor(std::string_view name, BundleEntry entry);
  void AddSliced(std::string_view name, BundleEntry entry);
  void ResolveSlices(StoredTensor& tensor);
  StoredExtent TakeSlice(const StoredTensor& tensor, const TensorSlice& slice);
  void AddLeftOver();

  const std::string& path_;
  bool has_header_ = false;
  std::size_t entry_count_ = 0;
  std::vector<Waiting> waiting_;  // ascending by key
};

void IndexParser::Parse(std::span<const std::byte> file) {
  const TableReader table(file, path_);
  table.ForEach([&](std::string_view, std::span<const std::byte>) { ++entry_count_; });
  tensors.reserve(entry_count_);
  table.ForEach([&](std::string_view key, std::span<const std::byte> value) { Visit(key, value); });
  if (!has_header_) throw Error(Code::kDataLoss, path_ + ": no header");
  for (StoredTensor& tensor : tensors) {
    if (tensor.is_sliced) ResolveSlices(tensor);
  }
  AddLeftOver();
}

void IndexParser::Visit(std::string_view key, std::span<const std::byte> value) {
  if (!has_header_) {
    if (!key.empty()) throw Error(Code::kDataLoss, path_ + ": no header");
    header = CheckedHeader(value, path_);
    has_header_ = true;
    return;
  }
  BundleEntry entry = Decode(value, IndexContext(path_, key));
  if (!entry.slices.empty()) {
    AddSliced(key, std::move(entry));
  } else if (key.front() == '\0' && DecodeSliceKey(key)) {
    waiting_.push_back({std::string(key), std::string(AsText(value))});
  } else {
    AddTensor(key, std::move(entry));
  }
}

BundleEntry IndexParser::Decode(std::span<const std::byte> value,
                                const IndexContext& context) const {
  auto entry = DecodeBundleEntry(value);
  if (!entry) context.Fail("its entry cannot be parsed");
  return *std::move(entry);
}

void IndexParser::AddTensor(std::string_view name, BundleEntry entry) {
  const IndexContext context(path_, name);
  StoredTensor tensor;
  tensor.dtype = CheckedDType(entry, context);
  tensor.extents.push_back(CheckedExtent(entry, tensor.dtype, header.shard_count, context));
  tensor.name = name;
  tensor.shape = std::move(entry.shape);
  tensors.push_back(std::move(tensor));
}

// The extents have only their slices yet.
void IndexParser::AddSliced(std::string_view name, BundleEntry entry) {
  const IndexContext context(path_, name);
  StoredTensor tensor;
  tensor.dtype = CheckedDType(entry, context);
  CheckedElementCount(entry.shape, tensor.dtype, context);
  if (entry.slices.size() > entry_count_)
    context.Fail("it lists more slices than there are entries");
  tensor.name = name;
  tensor.shape = std::move(entry.shape);
  tensor.is_sliced = true;
  tensor.extents.reserve(entry.slices.size());
  for (TensorSlice& slice : entry.slices) {
    StoredExtent extent;
    extent.slice = std::move(slice);
    tensor.extents.push_back(std::move(extent));
  }
  tensors.push_back(std::move(tensor));
}

void IndexParser::ResolveSlices(StoredTensor& tensor) {
  const IndexContext context(path_, tensor.name);
  std::vector<TensorSlice> slices;
  slices.reserve(tensor.extents.size());
  for (StoredExtent& extent : tensor.extents) {
    slices.push_back(extent.slice);
    extent = TakeSlice(tensor, slices.back());
    extent.slice = slices.back();
  }
  const auto overlap = context.Checked([&] { return FindOverlap(tensor.shape, slices); });
  if (overlap) {
    context.Fail(fmt::format("slices {} and {} overlap", SliceText(slices[overlap->first]),
                             SliceText(slices[overlap->second])));
  }
}

StoredExtent IndexParser::TakeSlice(const StoredTensor& tensor, const TensorSlice& slice) {
  const IndexContext context(path_, tensor.name, &slice);
  const std::string key = EncodeSliceKey(tensor.name, slice);
  const auto found = std::lower_bound(
      waiting_.begin(), waiting_.end(), key,
      [](const Waiting& waiting, const std::string& wanted) { return waiting.key < wanted; });
  if (found == waiting_.end() || found->key != key) context.Fail("it has no entry");
  if (found->is_used) context.Fail("it is listed twice");
  found->is_used = true;
  BundleEntry entry = Decode(AsBytes(found->value), context);
  if (slice.IsWhole()) context.Fail("it has no extents");
  const Shape shape = context.Checked([&] { return SliceShape(tensor.shape, slice); });
  if (entry.shape != shape) {
    context.Fail(
        fmt::format("stored shape {} where it has {}", ShapeText(entry.shape), ShapeText(shape)));
  }
  if (CheckedDType(entry, context) != tensor.dtype)
    context.Fail("its dtype differs from the tensor's");
  return CheckedExtent(entry, tensor.dtype, header.shard_count, context);
}

// What no list names is a tensor with an odd name, unless it claims to be a slice of a sliced
// tensor.
void IndexParser::AddLeftOver() {
  const std::size_t sorted = tensors.size();
  const auto by_name = [](const StoredTensor& a, const StoredTensor& b) { return a.name < b.name; };
  for (const Waiting& waiting : waiting_) {
    if (waiting.is_used) continue;
    const IndexContext context(path_, waiting.key);
    StoredTensor wanted;
    wanted.name = DecodeSliceKey(waiting.key)->name;
    const auto end = tensors.begin() + static_cast<std::ptrdiff_t>(sorted);
    const auto owner = std::lower_bound(tensors.begin(), end, wanted, by_name);
    if (owner != end && owner->name == wanted.name && owner->is_sliced) {
      context.Fail("it is the key of a slice that its tensor does not list");
    }
    AddTensor(waiting.key, Decode(AsBytes(waiting.value), context));
  }
  std::inplace_merge(tensors.begin(), tensors.begin() + static_cast<std::ptrdiff_t>(sorted),
                     tensors.end(), by_name);
}

}  // namespace

BundleIndex BundleIndex::Parse(std::span<const std::byte> file, const std::string& path) {
  IndexParser parser(path);
  parser.Parse(file);
  BundleIndex index;
  index.header_ = std::move(parser.header);
  index.tensors_ = std::move(parser.tensors);
  return index;
}

const StoredTensor* BundleIndex::Find(std::string_view name) const noexcept {
  const auto found = std::lower_bound(
      tensors_.begin(), tensors_.end(), name,
      [](const StoredTensor& tensor, std::string_view wanted) { return tensor.name < wanted; });
  return found != tensors_.end() && found->name == name ? &*found : nullptr;
}

}  // namespace waypost
