#include "restore/restore_planner.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/escape.h"
#include "base/problems.h"
#include "waypost/error.h"

namespace waypost {
namespace {

// "" when `target` can be filled from `stored`, else why not.
std::string Mismatch(const NamedTensor& target, const StoredTensor& stored, bool reshape) {
  if (target.tensor.dtype() != stored.dtype) {
    return fmt::format("dtype {} was asked for, the checkpoint has {}",
                       DTypeName(target.tensor.dtype()), DTypeName(stored.dtype));
  }
  if (FullShape(target) != stored.shape) {
    const bool is_whole = target.slice.IsWhole();
    if (reshape && is_whole && target.tensor.element_count() == ElementCount(stored.shape)) {
      return "";
    }
    return fmt::format("shape {} was asked for, the checkpoint has {}{}",
                       ShapeText(FullShape(target)), ShapeText(stored.shape),
                       reshape && is_whole ? ", which has not as many elements" : "");
  }
  const Shape slice_shape = SliceShape(stored.shape, target.slice);
  if (slice_shape != target.tensor.shape()) {
    return fmt::format("slice {} has shape {}, the target has {}", SliceText(target.slice),
                       ShapeText(slice_shape), ShapeText(target.tensor.shape()));
  }
  return "";
}

// Appends the pieces that fill `target`; false when the stored slices leave holes in it.
bool AppendPieces(const NamedTensor& target, std::size_t number, const StoredTensor& stored,
                  std::vector<RestorePiece>& pieces) {
  const std::uint64_t units = ElementUnits(stored.dtype);
  const auto wanted = static_cast<std::uint64_t>(target.tensor.element_count()) * units;
  const auto exact =
      std::find_if(stored.extents.begin(), stored.extents.end(),
                   [&](const StoredExtent& extent) { return extent.slice == target.slice; });
  if (exact != stored.extents.end()) {
    pieces.push_back(
        {number, &stored, &*exact, SliceCopier(stored.shape, target.slice, target.slice, units)});
    return true;
  }
  std::uint64_t found = 0;
  for (const StoredExtent& extent : stored.extents) {
    SliceCopier copier(stored.shape, extent.slice, target.slice, units);
    if (copier.shared_units() == 0) continue;
    found += copier.shared_units();
    pieces.push_back({number, &stored, &extent, std::move(copier)});
  }
  return found == wanted;
}

}  // namespace

const Shape& FullShape(const NamedTensor& target) noexcept {
  return target.slice.IsWhole() && target.full_shape.empty() ? target.tensor.shape()
                                                             : target.full_shape;
}

std::uint64_t ElementUnits(DType dtype) noexcept {
  return dtype == DType::kString ? 1 : ElementBytes(dtype);
}

std::vector<RestorePiece> PlanRestore(const TensorIndex& index,
                                      std::span<const NamedTensor> targets,
                                      const std::string& context, bool reshape) {
  std::vector<RestorePiece> pieces;
  pieces.reserve(targets.size());
  Problems problems;
  for (std::size_t i = 0; i < targets.size(); ++i) {
    const NamedTensor& target = targets[i];
    const std::string name = Printable(target.name);
    const StoredTensor* stored = index.Find(target.name);
    if (stored == nullptr) {
      problems.Add(Code::kNotFound, fmt::format("tensor {} is not in the checkpoint", name));
      continue;
    }
    try {
      if (const std::string why = Mismatch(target, *stored, reshape); !why.empty()) {
        problems.Add(Code::kInvalidArgument, fmt::format("tensor {}: {}", name, why));
      } else if (!AppendPieces(target, i, *stored, pieces)) {
        problems.Add(
            Code::kInvalidArgument,
            fmt::format("tensor {}: the stored slices do not cover {}", name,
                        target.slice.IsWhole() ? "it" : "slice " + SliceText(target.slice)));
      }
    } catch (const Error& error) {  // a slice outside its shape
      problems.Add(error.code(), fmt::format("tensor {}: {}", name, error.what()));
    }
  }
  problems.ThrowIfAny(context);
  return pieces;
}

}  // namespace waypost
