#include "convert/selection.h"

#include <fmt/format.h>

#include <numeric>

#include "base/escape.h"
#include "format/safetensors_writer.h"
#include "format/slice_codec.h"
#include "format/v1_values.h"
#include "save/save_planner.h"
#include "waypost/error.h"
#include "wire/rank.h"

namespace waypost::tool {
namespace {

constexpr const char* kHoles = "its stored slices do not cover it";

std::string WhyNotInV2(const SourceTensor& tensor) {
  if (tensor.dtype != DType::kString && ElementBytes(tensor.dtype) == 0) {
    return fmt::format("dtype {}", tensor.dtype_name);
  }
  if (tensor.name.empty()) return "its name is empty";
  if (DecodeSliceKey(tensor.name)) return "its name reads as the key of a slice";
  if (tensor.shape.size() > kRankMax) return fmt::format("rank {}", tensor.shape.size());
  return "";
}

std::string WhyNotInV1(const SourceTensor& tensor, const SelectionOptions& options) {
  if (std::string reason = WhyNotInV2(tensor); !reason.empty()) return reason;
  const std::byte any{};  // no view may be without an address
  const auto require = [&](const Shape& shape) {
    RequireV1Storable(ConstTensorView(&any, tensor.dtype, shape), tensor.name);
  };
  try {
    if (tensor.dtype == DType::kString) {
      require({0});  // how long they are shows when they are read
      return "";
    }
    if (!KeepsSlices(tensor, options)) require(tensor.shape);
    for (const TensorSlice& slice : tensor.slices) require(SliceShape(tensor.shape, slice));
  } catch (const Error& error) {
    const std::string context = fmt::format("save tensor {}: ", Printable(tensor.name));
    const std::string message = error.what();
    return message.starts_with(context) ? message.substr(context.size()) : message;
  }
  return "";
}

std::string WhyNotInFormat(const SourceTensor& tensor, const SelectionOptions& options) {
  switch (options.target) {
    case CheckpointKind::kV1: return WhyNotInV1(tensor, options);
    case CheckpointKind::kV2: return WhyNotInV2(tensor);
    default: return WhyNotInSafetensors({tensor.name, tensor.dtype, tensor.shape});
  }
}

std::string WhyNot(const SourceTensor& tensor, const SelectionOptions& options) {
  if (tensor.dtype == DType::kInvalid) return fmt::format("dtype {}", tensor.dtype_name);
  std::string reason = WhyNotInFormat(tensor, options);
  if (!reason.empty()) return reason;
  if (tensor.has_holes && !KeepsSlices(tensor, options)) return kHoles;
  return "";
}

// How a tree of the Python package is made up (docs/format.md, "Trees"); its tensors say themselves
// what they are.
constexpr std::string_view kTreeEntry = "_WAYPOST_TREE";

[[noreturn]] void Refuse(const std::vector<SkippedTensor>& tensors, CheckpointKind target) {
  std::string list;
  bool all_are_holes = true;
  for (const SkippedTensor& tensor : tensors) {
    list +=
        fmt::format("{}{} ({})", list.empty() ? "" : ", ", Printable(tensor.name), tensor.reason);
    all_are_holes = all_are_holes && tensor.reason == kHoles;
  }
  throw Error(all_are_holes ? Code::kFailedPrecondition : Code::kInvalidArgument,
              fmt::format("convert to {}: {} of the tensors cannot be written: {}; "
                          "--skip-unsupported leaves them out",
                          KindName(target), tensors.size(), list));
}

}  // namespace

bool KeepsSlices(const SourceTensor& tensor, const SelectionOptions& options) {
  return !tensor.slices.empty() && !options.join_slices &&
         options.target != CheckpointKind::kSafetensors && tensor.dtype != DType::kString &&
         tensor.shape.size() <= kSliceRankMax;
}

Selection Select(std::span<const SourceTensor> tensors, const SelectionOptions& options) {
  Selection selection;
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    if (std::string reason = WhyNot(tensors[i], options); !reason.empty()) {
      selection.skipped.push_back({tensors[i].name, std::move(reason)});
    } else {
      selection.tensors.push_back(i);
    }
  }
  if (options.skip_unsupported) return selection;
  std::vector<SkippedTensor> missed = selection.skipped;
  std::erase_if(missed, [](const SkippedTensor& tensor) { return tensor.name == kTreeEntry; });
  if (!missed.empty()) Refuse(missed, options.target);
  return selection;
}

std::vector<std::size_t> CutEvenly(std::span<const std::uint64_t> sizes, std::size_t parts) {
  std::vector<std::size_t> part_of;
  part_of.reserve(sizes.size());
  std::uint64_t rest = std::accumulate(sizes.begin(), sizes.end(), std::uint64_t{0});
  std::uint64_t in_part = 0;
  std::size_t part = 0;
  std::uint64_t share = parts == 0 ? rest : rest / parts;
  for (std::size_t i = 0; i < sizes.size(); ++i) {
    const bool is_begun = i > 0 && part_of.back() == part;
    // With this size the part would be further from its share than without it.
    const std::uint64_t with = in_part + sizes[i];
    const bool is_full = with > share && with - share > share - std::min(in_part, share);
    const bool must_end = sizes.size() - i < parts - part;
    if (is_begun && part + 1 < parts && (is_full || must_end)) {
      ++part;
      share = rest / (parts - part);
      in_part = 0;
    }
    part_of.push_back(part);
    in_part += sizes[i];
    rest -= sizes[i];
  }
  return part_of;
}

}  // namespace waypost::tool
