#include "save/merge_conflicts.h"

#include <fmt/format.h>

#include <map>
#include <optional>
#include <vector>

#include "base/escape.h"
#include "format/slice_codec.h"
#include "format/slice_set.h"
#include "waypost/error.h"

namespace waypost {
namespace {

std::string MismatchText(const PartTensor& a, const PartTensor& b) {
  const auto differ = [&](const std::string& of_a, const std::string& of_b) {
    return fmt::format("{} in part {}, {} in part {}", of_a, *a.part, of_b, *b.part);
  };
  if (!a.tensor->is_sliced && !b.tensor->is_sliced) {
    return fmt::format("it is in part {} and in part {}", *a.part, *b.part);
  }
  if (a.tensor->is_sliced != b.tensor->is_sliced) {
    const auto form = [](const PartTensor& it) {
      return it.tensor->is_sliced ? "in slices" : "whole";
    };
    return differ(form(a), form(b));
  }
  if (a.tensor->dtype != b.tensor->dtype) {
    return differ(std::string(DTypeName(a.tensor->dtype)), std::string(DTypeName(b.tensor->dtype)));
  }
  if (a.tensor->shape != b.tensor->shape) {
    return differ("full shape " + ShapeText(a.tensor->shape), ShapeText(b.tensor->shape));
  }
  return "";
}

std::string OverlapText(std::span<const PartTensor> same) {
  std::vector<TensorSlice> slices;
  std::vector<const std::string*> parts;  // of the slices
  // By key: slices without elements overlap nothing, and yet each has a key of its own.
  std::map<std::string, const std::string*> part_of_key;
  for (const PartTensor& it : same) {
    for (const StoredExtent& extent : it.tensor->extents) {
      const auto [known, is_new] =
          part_of_key.try_emplace(EncodeSliceKey(it.tensor->name, extent.slice), it.part);
      if (!is_new) {
        return fmt::format("slice {} is in part {} and in part {}", SliceText(extent.slice),
                           *known->second, *it.part);
      }
      slices.push_back(extent.slice);
      parts.push_back(it.part);
    }
  }
  const auto overlap = FindOverlap(same.front().tensor->shape, slices);
  if (!overlap) return "";
  const auto [a, b] = *overlap;
  return fmt::format("slice {} of part {} and slice {} of part {} overlap", SliceText(slices[a]),
                     *parts[a], SliceText(slices[b]), *parts[b]);
}

}  // namespace

void AddMergeConflict(std::span<const PartTensor> same, Problems& problems) {
  const std::string name = Printable(same.front().tensor->name);
  for (const PartTensor& other : same.subspan(1)) {
    const std::string text = MismatchText(same.front(), other);
    if (text.empty()) continue;
    return problems.Add(Code::kInvalidArgument, fmt::format("tensor {}: {}", name, text));
  }
  try {
    const std::string text = OverlapText(same);
    if (!text.empty()) {
      problems.Add(Code::kInvalidArgument, fmt::format("tensor {}: {}", name, text));
    }
  } catch (const Error& error) {  // too many to be compared
    problems.Add(error.code(), fmt::format("tensor {}: {}", name, error.what()));
  }
}

}  // namespace waypost
