// WindowLoad reads parts of one data file through a few windows.
//
// Neighbours share a window, so that a hundred thousand small tensors cost a few large reads.
// Several windows are in flight; their content is consumed strictly in order.
//
// Threads:  the constructor's.
// Errors:   as TensorLoader.
// Lifetime: everything is borrowed; the destructor waits for what is in flight.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <list>
#include <span>
#include <stop_token>

#include "io/io_ring.h"
#include "memory/buffer_pool.h"
#include "restore/load_part.h"
#include "restore/part_feeder.h"

namespace waypost {

// Reading this much that nobody wants costs less than another request.
inline constexpr std::uint64_t kReadGapMax = 64 * kKiB;

class WindowLoad final : private IoRing::Client {
 public:
  struct Options {
    std::size_t windows_max = 1;  // at least 1
    bool through_cache = false;
    std::stop_token stop = {};
  };

  // Requires: parts of `file`, sorted, none of them empty.
  WindowLoad(const StoredCheckpoint& reader, DataFile& file, std::span<const LoadPart> parts,
             PartConsumer& consumer, BufferPool& pool, IoRing& ring, const Options& options);
  // The kernel still writes into windows in flight, also when a consumer has thrown.
  ~WindowLoad() override;
  WindowLoad(const WindowLoad&) = delete;
  WindowLoad& operator=(const WindowLoad&) = delete;

  void Run();

 private:
  // A window's worth of the file that was asked for.
  struct Window {
    PinnedBuffer buffer;
    std::uint64_t begin = 0;  // file offsets
    std::uint64_t end = 0;
    std::size_t bytes_read = 0;
    int errno_value = 0;
    bool is_done = false;
  };

  bool SubmitNext();
  std::optional<PinnedBuffer> NextBuffer();
  FileRange PlanNext(std::size_t size_max);
  void Consume(const Window& window);
  void Feed(PartFeeder& feeder, const Window& window);
  void OnTransferDone(std::uint64_t tag, std::size_t size, int errno_value) noexcept override;

  const StoredCheckpoint& reader_;
  std::span<const LoadPart> parts_;
  PartConsumer& consumer_;
  BufferPool& pool_;
  IoRing& ring_;
  const Options options_;
  DataFile& file_;

  std::size_t plan_part_ = 0;       // the first part that is not wholly asked for
  std::uint64_t plan_position_;     // where asking goes on
  std::deque<Window> windows_;      // asked for and not consumed, in the order of the file
  std::uint64_t first_window_ = 0;  // number of windows_.front()
  std::uint64_t next_window_ = 0;
  std::size_t next_part_ = 0;     // the first part that no consumed window has reached
  std::list<PartFeeder> active_;  // parts that windows are passing over
};

}  // namespace waypost
