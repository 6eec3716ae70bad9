#include "save/shard_writer.h"

#include <algorithm>

#include "base/check.h"
#include "base/errno_error.h"
#include "base/profiler_range.h"

namespace waypost {

void ShardWriter::Write(PinnedBuffer window, std::uint64_t offset, std::size_t size) {
  const ProfilerRange range("waypost: write");
  ThrowIfFailed();
  WAYPOST_CHECK(window && size <= window.bytes().size());
  auto place = std::find_if(in_flight_.begin(), in_flight_.end(),
                            [](const PinnedBuffer& buffer) { return !buffer; });
  if (place == in_flight_.end()) place = in_flight_.emplace(in_flight_.end());
  *place = std::move(window);
  ++in_flight_count_;
  ring_.Write(file_, place->bytes().first(size), offset, *this,
              static_cast<std::uint64_t>(place - in_flight_.begin()));
}

void ShardWriter::Finish(std::uint64_t bytes_expected) {
  const ProfilerRange range("waypost: drain and sync");
  Drain();
  ThrowIfFailed();
  WAYPOST_CHECK(bytes_written_ == bytes_expected);
  file_.DataSync();
}

void ShardWriter::Drain() noexcept {
  while (in_flight_count_ > 0) WAYPOST_CHECK(ring_.WaitOne());
}

void ShardWriter::OnTransferDone(std::uint64_t tag, std::size_t size, int errno_value) noexcept {
  in_flight_[static_cast<std::size_t>(tag)] = {};
  --in_flight_count_;
  bytes_written_ += size;
  if (errno_value_ == 0) errno_value_ = errno_value;
}

void ShardWriter::ThrowIfFailed() const {
  if (errno_value_ != 0) {
    throw ErrnoError("write", file_.path(), errno_value_, IoDirection::kWrite);
  }
}

}  // namespace waypost
