#include "restore/shared_targets.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <tuple>

#include "base/escape.h"
#include "waypost/error.h"

namespace waypost {
namespace {

// The memory of one target.
struct Range {
  const std::byte* begin = nullptr;
  const std::byte* end = nullptr;
  std::size_t target = 0;
};

bool IsSameMemory(const Range& a, const Range& b) { return a.begin == b.begin && a.end == b.end; }

// Ascending; targets without memory overlap nothing.
std::vector<Range> SortedRanges(std::span<const NamedTensor> targets) {
  std::vector<Range> ranges;
  ranges.reserve(targets.size());
  for (std::size_t i = 0; i < targets.size(); ++i) {
    const TensorView& view = targets[i].tensor;
    const std::size_t size =
        view.dtype() == DType::kString
            ? static_cast<std::size_t>(view.element_count()) * sizeof(std::string)
            : view.size_bytes();
    const auto* const begin = static_cast<const std::byte*>(view.data());
    if (size > 0) ranges.push_back({begin, begin + size, i});
  }
  // std::less: the targets are no parts of one array.
  std::ranges::sort(ranges, [](const Range& a, const Range& b) {
    const std::less<> less;
    if (a.begin != b.begin) return less(a.begin, b.begin);
    return a.end != b.end ? less(a.end, b.end) : a.target < b.target;
  });
  return ranges;
}

// The piece whose extent holds just what the target wants; nullptr when it is put together of
// others.
const RestorePiece* OnlySource(std::span<const NamedTensor> targets,
                               std::span<const RestorePiece> pieces, std::size_t target) {
  const auto first = std::ranges::lower_bound(pieces, target, {}, &RestorePiece::target);
  const auto last = std::ranges::upper_bound(pieces, target, {}, &RestorePiece::target);
  if (last - first != 1 || first->extent->slice != targets[target].slice) return nullptr;
  return &*first;
}

bool IsSameExtent(const StoredExtent& a, const StoredExtent& b) {
  return std::tie(a.shard, a.offset, a.size_bytes) == std::tie(b.shard, b.offset, b.size_bytes);
}

class SharedTargetsFinder {
 public:
  SharedTargetsFinder(std::span<const NamedTensor> targets, std::span<const RestorePiece> pieces,
                      const std::string& context, const ChecksumOf& checksum_of)
      : targets_(targets), pieces_(pieces), context_(context), checksum_of_(checksum_of) {}

  std::vector<SharedTargets> Find() const {
    const std::vector<Range> ranges = SortedRanges(targets_);
    std::vector<SharedTargets> found;
    for (std::size_t begin = 0; begin < ranges.size();) {
      const std::byte* reached = ranges[begin].end;
      std::size_t end = begin + 1;
      for (; end < ranges.size() && std::less<>()(ranges[end].begin, reached); ++end) {
        reached = std::max(reached, ranges[end].end, std::less<>());
      }
      if (end - begin > 1) found.push_back(Judge(std::span(ranges).subspan(begin, end - begin)));
      begin = end;
    }
    return found;
  }

 private:
  // `ranges` overlap; those of the same memory stand side by side.
  SharedTargets Judge(std::span<const Range> ranges) const {
    SharedTargets shared = {.targets = {}, .has_one_source = true};
    const Range* known = nullptr;  // the last one whose only source is known
    const RestorePiece* known_source = nullptr;
    for (const Range& range : ranges) {
      shared.targets.push_back(range.target);
      const RestorePiece* const source = OnlySource(targets_, pieces_, range.target);
      if (source != nullptr && known != nullptr && IsSameMemory(*known, range)) {
        RequireEqual(*known_source, *source);
      }
      shared.has_one_source =
          shared.has_one_source && source != nullptr && IsSameMemory(ranges.front(), range) &&
          (known == nullptr || IsSameExtent(*known_source->extent, *source->extent));
      if (source != nullptr) {
        known = &range;
        known_source = source;
      }
    }
    std::ranges::sort(shared.targets);
    return shared;
  }

  void RequireEqual(const RestorePiece& a, const RestorePiece& b) const {
    if (IsSameExtent(*a.extent, *b.extent)) return;
    if (a.extent->size_bytes == b.extent->size_bytes && checksum_of_(a) == checksum_of_(b)) return;
    throw Error(Code::kInvalidArgument,
                fmt::format("{}: tensors {} and {} are the same memory, but the checkpoint holds "
                            "different values for them",
                            context_, Printable(targets_[a.target].name),
                            Printable(targets_[b.target].name)));
  }

  std::span<const NamedTensor> targets_;
  std::span<const RestorePiece> pieces_;
  const std::string& context_;
  const ChecksumOf& checksum_of_;
};

}  // namespace

std::vector<SharedTargets> FindSharedTargets(std::span<const NamedTensor> targets,
                                             std::span<const RestorePiece> pieces,
                                             const std::string& context,
                                             const ChecksumOf& checksum_of) {
  return SharedTargetsFinder(targets, pieces, context, checksum_of).Find();
}

}  // namespace waypost
