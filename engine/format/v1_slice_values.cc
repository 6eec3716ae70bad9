#include "format/v1_slice_values.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "base/bytes.h"
#include "format/index_checks.h"
#include "format/v1_values.h"
#include "format/v1_writer.h"
#include "wire/v1_messages.h"

namespace waypost {

V1SliceValues::V1SliceValues(std::span<const std::byte> entry, const StoredTensor& tensor,
                             const StoredExtent& extent, const std::string& file)
    : entry_(entry), tensor_(tensor), extent_(extent), file_(file) {
  const V1Field field = *V1FieldOf(tensor_.dtype);
  bool is_whole = true;
  const auto head = DecodeV1Data(entry_, field, [&](std::span<const std::byte> values) {
    const std::optional<std::uint64_t> count = CountV1Values(field, values);
    is_whole = is_whole && count.has_value();
    count_ += count.value_or(0);
  });
  if (!head || !is_whole) throw Fault("its entry cannot be parsed");
  if (head->name != tensor_.name || head->slice != V1Slice(extent_.slice, tensor_.shape.size())) {
    throw Fault("its entry is that of another slice");
  }
  if (tensor_.dtype == DType::kComplex64 || tensor_.dtype == DType::kComplex128) {
    if (count_ % 2 != 0) throw Fault("its last element is cut in half");
    count_ /= 2;
  }
  const Shape shape = SliceShape(tensor_.shape, extent_.slice);
  if (count_ != static_cast<std::uint64_t>(ElementCount(shape))) {
    throw Fault(fmt::format("{} values are stored where shape {} has {}", count_, ShapeText(shape),
                            ElementCount(shape)));
  }
}

// Whoever overwrites a mapped file in place may do so between the count and this: what comes then
// is other values, but never more or fewer.
bool V1SliceValues::Give(std::span<std::byte> room, bool copy_all, const Sink& sink) const {
  const bool is_raw = IsRawInV1(tensor_.dtype);
  std::uint64_t left = count_ * ElementBytes(tensor_.dtype);
  bool is_good = true;
  const auto give = [&](std::span<const std::byte> elements) {
    is_good = is_good && elements.size() <= left;
    if (!is_good || elements.empty()) return;
    left -= elements.size();
    sink(elements);
  };
  // Values may stand one by one in the entry: they gather here.
  std::size_t filled = 0;
  const auto gather = [&](std::span<const std::byte> values) {
    while (is_good && !values.empty()) {
      const std::optional<std::size_t> bytes = Take(values, room.subspan(filled));
      is_good = bytes.has_value();
      filled += bytes.value_or(0);
      if (filled < room.size()) continue;
      give(room);
      filled = 0;
    }
  };
  static_cast<void>(
      DecodeV1Data(entry_, *V1FieldOf(tensor_.dtype), [&](std::span<const std::byte> values) {
        if (is_raw && !copy_all) {
          give(values);
        } else {
          gather(values);
        }
      }));
  give(room.first(filled));
  return is_good && left == 0;
}

// Takes values off the front of `values` and writes their elements to `target`; the bytes written.
std::optional<std::size_t> V1SliceValues::Take(std::span<const std::byte>& values,
                                               std::span<std::byte> target) const {
  if (!IsRawInV1(tensor_.dtype)) {
    const auto count = TakeV1Values(values, tensor_.dtype, target);
    return count ? std::optional(*count * ElementBytes(tensor_.dtype)) : std::nullopt;
  }
  const std::size_t size = std::min(values.size(), target.size());
  std::copy_n(values.begin(), size, target.begin());
  values = values.subspan(size);
  return size;
}

std::vector<std::string> V1SliceValues::Strings() const {
  std::vector<std::string> strings;
  strings.reserve(static_cast<std::size_t>(count_));
  static_cast<void>(DecodeV1Data(entry_, V1Field::kString, [&](std::span<const std::byte> element) {
    strings.emplace_back(AsText(element));
  }));
  if (strings.size() != count_) throw Malformed();
  return strings;
}

Error V1SliceValues::Malformed() const {
  return Fault(fmt::format("a value is malformed or none of dtype {}", DTypeName(tensor_.dtype)));
}

Error V1SliceValues::Fault(const std::string& reason) const {
  const TensorSlice* const slice = extent_.slice.IsWhole() ? nullptr : &extent_.slice;
  return IndexContext(file_, tensor_.name, slice).Fault(reason);
}

}  // namespace waypost
