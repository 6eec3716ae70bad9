// Pack and Scatter of cuda/kernels.h, over an executor (team.h).
//
// A thread for each 16 bytes of the window, which finds the pieces that lie in them by a binary
// search.  The window's side is always whole and aligned; where a piece's memory is so too, its 16
// bytes are one load or store, else they go one by one.  So thousands of small pieces and a few
// large ones are the same work, gaps need no launch of their own, and there is no scratch.
// cub::DeviceMemcpy::Batched, made for pieces that may go anywhere, would be three launches, and
// clearing the gaps a fourth; bench/cuda_bench.cu measures it beside this.
#pragma once

#include <thrust/binary_search.h>
#include <thrust/execution_policy.h>
#include <thrust/for_each.h>
#include <thrust/iterator/counting_iterator.h>

#include "cuda/algorithms/host_device.h"
#include "cuda/algorithms/word.h"
#include "cuda/kernels.h"

namespace waypost::device_algorithm {

struct WindowRange {
  std::uint64_t begin;
  std::uint64_t end;
};
// The bytes of one word of a window; the last word may be short.
WAYPOST_HOST_DEVICE inline WindowRange RangeOfWord(std::uint64_t index,
                                                   std::uint64_t window_size) noexcept {
  const std::uint64_t begin = index * kWordBytes;
  const std::uint64_t rest = window_size - begin;
  return {.begin = begin, .end = begin + (rest < kWordBytes ? rest : kWordBytes)};
}

struct PieceBeginsBehind {
  template <typename Piece>
  WAYPOST_HOST_DEVICE bool operator()(std::uint64_t offset, const Piece& piece) const noexcept {
    return offset < piece.offset;
  }
};

// Calls visit(piece, from, to) for each piece that has some of the range: the bytes [from, to).
template <typename Piece, typename F>
WAYPOST_HOST_DEVICE void VisitPieces(const Piece* pieces, std::uint64_t count, WindowRange range,
                                     F&& visit) {
  const Piece* const last = pieces + count;
  const Piece* piece =
      thrust::upper_bound(thrust::seq, pieces, last, range.begin, PieceBeginsBehind{});
  // The one before may reach into it; those before that have ended.
  if (piece != pieces) --piece;
  for (; piece != last && piece->offset < range.end; ++piece) {
    const std::uint64_t piece_end = piece->offset + piece->size;
    const std::uint64_t from = range.begin < piece->offset ? piece->offset : range.begin;
    const std::uint64_t to = piece_end < range.end ? piece_end : range.end;
    if (from < to) visit(*piece, from, to);
  }
}

struct PackWord {
  const PackPiece* pieces;
  std::uint64_t piece_count;
  std::byte* window;
  std::uint64_t window_size;

  WAYPOST_HOST_DEVICE void operator()(std::uint64_t index) const {
    const WindowRange range = RangeOfWord(index, window_size);
    Word word = {};
    VisitPieces(pieces, piece_count, range,
                [&](const PackPiece& piece, std::uint64_t from, std::uint64_t to) {
                  const std::byte* source = piece.source + (from - piece.offset);
                  if (to - from == kWordBytes && IsWordAligned(source)) {
                    word = LoadWord(source);
                    return;
                  }
                  for (std::uint32_t i = 0; i < kWordBytes; ++i) {
                    const std::uint64_t place = range.begin + i;
                    if (place < from || place >= to) continue;
                    word.SetByte(i, static_cast<std::uint32_t>(source[place - from]));
                  }
                });
    if (range.end - range.begin == kWordBytes) {
      StoreWord(window + range.begin, word);
    } else {
      for (std::uint32_t i = 0; i < kWordBytes; ++i) {
        if (range.begin + i < range.end) window[range.begin + i] = word.GetByte(i);
      }
    }
  }
};

struct ScatterWord {
  const ScatterPiece* pieces;
  std::uint64_t piece_count;
  const std::byte* window;
  std::uint64_t window_size;

  WAYPOST_HOST_DEVICE void operator()(std::uint64_t index) const {
    const WindowRange range = RangeOfWord(index, window_size);
    VisitPieces(pieces, piece_count, range,
                [&](const ScatterPiece& piece, std::uint64_t from, std::uint64_t to) {
                  std::byte* target = piece.target + (from - piece.offset);
                  if (to - from == kWordBytes && IsWordAligned(target)) {
                    StoreWord(target, LoadWord(window + from));
                    return;
                  }
                  for (std::uint64_t i = from; i < to; ++i) target[i - from] = window[i];
                });
  }
};

inline std::uint64_t PackWordCount(std::uint64_t window_size) noexcept {
  return (window_size + kWordBytes - 1) / kWordBytes;
}

template <typename Executor>
void Pack(Executor& executor, std::span<const PackPiece> pieces, std::span<std::byte> window) {
  thrust::for_each_n(executor.policy(), thrust::counting_iterator<std::uint64_t>(0),
                     PackWordCount(window.size()),
                     PackWord{.pieces = pieces.data(),
                              .piece_count = pieces.size(),
                              .window = window.data(),
                              .window_size = window.size()});
}

template <typename Executor>
void Scatter(Executor& executor, std::span<const ScatterPiece> pieces,
             std::span<const std::byte> window) {
  thrust::for_each_n(executor.policy(), thrust::counting_iterator<std::uint64_t>(0),
                     PackWordCount(window.size()),
                     ScatterWord{.pieces = pieces.data(),
                                 .piece_count = pieces.size(),
                                 .window = window.data(),
                                 .window_size = window.size()});
}

}  // namespace waypost::device_algorithm
