#include "format/slice_set.h"

#include <algorithm>
#include <cstdint>
#include <limits>
#include <vector>

#include "waypost/error.h"

// A set of boxes is sorted along one dimension and cut wherever no box reaches across; boxes on
// different sides of a cut cannot overlap, so each part is looked at by itself, along the next
// dimension.  A part that cannot be cut along any dimension is swept along the one in which the
// fewest pairs meet.
namespace waypost {
namespace {

using Pair = std::pair<std::size_t, std::size_t>;

class OverlapFinder {
 public:
  OverlapFinder(const Shape& shape, std::span<const TensorSlice> slices);

  std::optional<Pair> Find();

 private:
  using Boxes = std::span<std::uint32_t>;  // a part of order_
  struct Part {
    std::size_t begin;
    std::size_t end;
    std::size_t dimension;  // to be tried next
    std::size_t uncut;      // dimensions tried without success
  };

  std::int64_t Begin(std::uint32_t box, std::size_t dimension) const {
    return begins_[box * rank_ + dimension];
  }
  std::int64_t End(std::uint32_t box, std::size_t dimension) const {
    return ends_[box * rank_ + dimension];
  }
  bool Overlap(std::uint32_t a, std::uint32_t b) const;
  void Sort(Boxes boxes, std::size_t dimension) const;
  void Cut(const Part& part);
  std::uint64_t PairsAlong(Boxes boxes, std::size_t dimension) const;
  std::size_t BestDimension(Boxes boxes) const;
  std::optional<Pair> Sweep(Boxes boxes);
  void Spend(std::uint64_t& budget, std::uint64_t work) const;

  std::size_t rank_;
  std::vector<std::int64_t> begins_;  // rank_ numbers a box
  std::vector<std::int64_t> ends_;
  std::vector<std::uint32_t> order_;
  std::vector<Part> parts_;  // still to be done
  std::uint64_t cut_budget_;
  std::uint64_t pair_budget_;
};

OverlapFinder::OverlapFinder(const Shape& shape, std::span<const TensorSlice> slices)
    : rank_(shape.size()) {
  begins_.reserve(slices.size() * rank_);
  ends_.reserve(slices.size() * rank_);
  for (std::size_t box = 0; box < slices.size(); ++box) {
    const Shape lengths = SliceShape(shape, slices[box]);
    for (std::size_t i = 0; i < rank_; ++i) {
      const std::int64_t begin = slices[box].IsWhole() ? 0 : slices[box].extents[i].start;
      begins_.push_back(begin);
      ends_.push_back(begin + lengths[i]);
    }
    // A box without elements overlaps nothing.
    if (std::find(lengths.begin(), lengths.end(), 0) == lengths.end()) {
      order_.push_back(static_cast<std::uint32_t>(box));
    }
  }
  cut_budget_ = 1'000'000 + 32 * order_.size() * (rank_ + 1);
  pair_budget_ = 1'000'000 + 1000 * order_.size();
}

void OverlapFinder::Spend(std::uint64_t& budget, std::uint64_t work) const {
  if (work > budget) {
    throw Error(Code::kResourceExhausted,
                "the slices are arranged in a way that takes too long to check");
  }
  budget -= work;
}

bool OverlapFinder::Overlap(std::uint32_t a, std::uint32_t b) const {
  for (std::size_t i = 0; i < rank_; ++i) {
    if (Begin(a, i) >= End(b, i) || Begin(b, i) >= End(a, i)) return false;
  }
  return true;
}

void OverlapFinder::Sort(Boxes boxes, std::size_t dimension) const {
  std::sort(boxes.begin(), boxes.end(), [&](std::uint32_t a, std::uint32_t b) {
    return Begin(a, dimension) < Begin(b, dimension);
  });
}

// Sorts the part and puts what its dimension cuts it into back on the list.
void OverlapFinder::Cut(const Part& part) {
  const Boxes boxes = Boxes(order_).subspan(part.begin, part.end - part.begin);
  Sort(boxes, part.dimension);
  const std::size_t next = (part.dimension + 1) % rank_;
  std::size_t piece = 0;
  std::int64_t reached = End(boxes[0], part.dimension);
  for (std::size_t i = 1; i <= boxes.size(); ++i) {
    if (i < boxes.size() && Begin(boxes[i], part.dimension) < reached) {
      reached = std::max(reached, End(boxes[i], part.dimension));
      continue;
    }
    if (i < boxes.size()) reached = End(boxes[i], part.dimension);
    const bool is_whole_part = i - piece == boxes.size();
    if (i - piece > 1) {
      parts_.push_back(
          {part.begin + piece, part.begin + i, next, is_whole_part ? part.uncut + 1 : 0});
    }
    piece = i;
  }
}

// How many pairs have a common coordinate in this dimension.
std::uint64_t OverlapFinder::PairsAlong(Boxes boxes, std::size_t dimension) const {
  std::vector<std::int64_t> begins;
  begins.reserve(boxes.size());
  for (const std::uint32_t box : boxes) begins.push_back(Begin(box, dimension));
  std::sort(begins.begin(), begins.end());
  std::uint64_t pairs = 0;
  for (const std::uint32_t box : boxes) {
    const auto first = std::lower_bound(begins.begin(), begins.end(), Begin(box, dimension));
    const auto last = std::lower_bound(first, begins.end(), End(box, dimension));
    pairs += static_cast<std::uint64_t>(last - first);
  }
  return pairs;
}

std::size_t OverlapFinder::BestDimension(Boxes boxes) const {
  std::size_t best = 0;
  std::uint64_t fewest = std::numeric_limits<std::uint64_t>::max();
  for (std::size_t i = 0; i < rank_; ++i) {
    const std::uint64_t pairs = PairsAlong(boxes, i);
    if (pairs < fewest) {
      fewest = pairs;
      best = i;
    }
  }
  return best;
}

std::optional<Pair> OverlapFinder::Sweep(Boxes boxes) {
  const std::size_t dimension = BestDimension(boxes);
  Sort(boxes, dimension);
  std::vector<std::uint32_t>
      open;  // boxes that reach the current position, and some that no longer do
  for (const std::uint32_t box : boxes) {
    Spend(pair_budget_, open.size());
    std::erase_if(
        open, [&](std::uint32_t other) { return End(other, dimension) <= Begin(box, dimension); });
    for (const std::uint32_t other : open) {
      if (Overlap(box, other)) return std::minmax(std::size_t{box}, std::size_t{other});
    }
    open.push_back(box);
  }
  return std::nullopt;
}

std::optional<Pair> OverlapFinder::Find() {
  if (order_.size() < 2) return std::nullopt;
  if (rank_ == 0) return Pair{order_[0], order_[1]};
  parts_.push_back({0, order_.size(), 0, 0});
  while (!parts_.empty()) {
    const Part part = parts_.back();
    parts_.pop_back();
    const std::size_t size = part.end - part.begin;
    if (part.uncut == rank_ || size <= 8) {
      if (auto pair = Sweep(Boxes(order_).subspan(part.begin, size))) return pair;
      continue;
    }
    Spend(cut_budget_, size);
    Cut(part);
  }
  return std::nullopt;
}

}  // namespace

std::optional<Pair> FindOverlap(const Shape& shape, std::span<const TensorSlice> slices) {
  return OverlapFinder(shape, slices).Find();
}

}  // namespace waypost
