#include "restore/restore_planner.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/escape.h"
#include "waypost/error.h"

namespace waypost {
namespace {

// Problems of all targets, for one message of bounded length.
class Problems {
 public:
  void Add(Code code, const std::string& text) {
    constexpr std::size_t kListedMax = 20;
    ++count_;
    only_missing_ = only_missing_ && code == Code::kNotFound;
    if (count_ <= kListedMax) text_ += (text_.empty() ? "" : "; ") + text;
  }

  void ThrowIfAny(const std::string& context) const {
    if (count_ == 0) return;
    throw Error(only_missing_ ? Code::kNotFound : Code::kInvalidArgument,
                fmt::format("{}: {}{}", context, text_,
                            count_ > 20 ? fmt::format("; and {} more", count_ - 20) : ""));
  }

 private:
  std::size_t count_ = 0;
  bool only_missing_ = true;
  std::string text_;
};

// "" when `target` can be filled from `stored`, else why not.
std::string Mismatch(const NamedTensor& target, const StoredTensor& stored) {
  if (target.tensor.dtype() != stored.dtype) {
    return fmt::format("dtype {} was asked for, the checkpoint has {}",
                       DTypeName(target.tensor.dtype()), DTypeName(stored.dtype));
  }
  if (FullShape(target) != stored.shape) {
    return fmt::format("shape {} was asked for, the checkpoint has {}",
                       ShapeText(FullShape(target)), ShapeText(stored.shape));
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

std::vector<RestorePiece> PlanRestore(const BundleIndex& index,
                                      std::span<const NamedTensor> targets,
                                      const std::string& context) {
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
      if (const std::string why = Mismatch(target, *stored); !why.empty()) {
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
