#include "restore/tensor_loader.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <deque>
#include <list>
#include <tuple>

#include "base/check.h"
#include "base/crc32c.h"
#include "base/errno_error.h"
#include "base/escape.h"
#include "base/units.h"

namespace waypost {
namespace {

// Reading this much that nobody wants costs less than another request.
constexpr std::uint64_t kGapMax = 64 * kKiB;

bool HasByteChecksum(const StoredTensor& tensor) { return ElementBytes(tensor.dtype) != 0; }

// A part that windows are passing over: how far it is, and the CRC so far.
struct ActivePart {
  const LoadPart* part = nullptr;
  std::uint64_t next = 0;  // bytes from the start of the extent
  std::uint32_t crc32c = 0;
  bool damaged = false;
};

// A window's worth of one file that was asked for.
struct WindowRead {
  PinnedBuffer buffer;
  std::uint64_t begin = 0;  // file offsets
  std::uint64_t end = 0;
  std::size_t bytes_read = 0;
  int errno_value = 0;
  bool done = false;
};

// Loads the parts of one data file.
class ShardLoad final : private IoRing::Client {
 public:
  ShardLoad(BufferPool& pool, IoRing& ring, std::size_t windows_max, const BundleReader& reader,
            std::span<const LoadPart> parts, PartConsumer& consumer)
      : pool_(pool),
        ring_(ring),
        windows_max_(windows_max),
        reader_(reader),
        parts_(parts),
        consumer_(consumer) {}

  // The kernel still writes into windows in flight, also when a consumer has thrown.
  ~ShardLoad() override { Drain(); }

  void Run() {
    DataFile& file = *reader_.FindDataFile(parts_.front().extent->shard);
    plan_position_ = parts_.front().file_begin();
    while (true) {
      while (SubmitNext(file)) {
      }
      if (windows_.empty()) break;
      while (!windows_.front().done) WAYPOST_CHECK(ring_.WaitOne());
      const WindowRead window = std::move(windows_.front());
      windows_.pop_front();
      ++first_window_;
      try {
        Consume(window);
      } catch (...) {
        // The consumer may still have copies of this window under way.
        consumer_.OnWindowDone();
        throw;
      }
      consumer_.OnWindowDone();
    }
    WAYPOST_CHECK(active_.empty());
  }

 private:
  // Starts reading the next window: whatever is wanted within a buffer's length.  False when all is
  // asked for, or no window is free.
  bool SubmitNext(DataFile& file) {
    if (plan_part_ == parts_.size() || windows_.size() >= windows_max_) return false;
    std::optional<PinnedBuffer> buffer = pool_.TryAcquire();
    if (!buffer) {
      if (!windows_.empty()) return false;
      buffer = pool_.Acquire();  // others hold all windows, and give them back
    }
    const std::uint64_t begin = AlignDown(plan_position_, kPageBytes);
    const std::uint64_t limit = begin + buffer->bytes().size();
    std::uint64_t end = plan_position_;
    while (plan_part_ < parts_.size()) {
      const LoadPart& part = parts_[plan_part_];
      if (part.file_begin() > std::min(limit, end + kGapMax)) break;
      end = std::max(end, std::min(part.file_end(), limit));
      if (part.file_end() > limit) break;
      ++plan_part_;
    }
    plan_position_ = end;
    if (plan_part_ < parts_.size()) {
      plan_position_ = std::max(plan_position_, parts_[plan_part_].file_begin());
    }
    WindowRead& window = windows_.emplace_back();
    window.buffer = std::move(*buffer);
    window.begin = begin;
    window.end = end;
    // Whole pages, as direct I/O wants it; the file's last one may be cut.
    const auto size = static_cast<std::size_t>(std::min(AlignUp(end, kPageBytes), limit) - begin);
    ring_.Read(file, window.buffer.bytes().first(size), begin, *this, next_window_++);
    return true;
  }

  void OnTransferDone(std::uint64_t tag, std::size_t size, int errno_value) noexcept override {
    WindowRead& window = windows_[static_cast<std::size_t>(tag - first_window_)];
    window.bytes_read = size;
    window.errno_value = errno_value;
    window.done = true;
  }

  void Drain() noexcept {
    for (const WindowRead& window : windows_) {
      while (!window.done) WAYPOST_CHECK(ring_.WaitOne());
    }
  }

  void Consume(const WindowRead& window) {
    for (; next_part_ < parts_.size() && parts_[next_part_].file_begin() < window.end;
         ++next_part_) {
      active_.push_back({&parts_[next_part_], parts_[next_part_].begin, 0, false});
    }
    for (auto active = active_.begin(); active != active_.end();) {
      Feed(*active, window);
      active = active->damaged || active->next == active->part->end ? active_.erase(active)
                                                                    : std::next(active);
    }
  }

  void Feed(ActivePart& active, const WindowRead& window) {
    const LoadPart& part = *active.part;
    const std::uint64_t begin = part.extent->offset + active.next;
    const std::uint64_t end = std::min(part.file_end(), window.end);
    WAYPOST_CHECK(begin >= window.begin && begin <= end);
    if (window.errno_value != 0 || end - window.begin > window.bytes_read) {
      Damage(active, ReadFailure(part, window));
      return;
    }
    const auto bytes = window.buffer.bytes().subspan(static_cast<std::size_t>(begin - window.begin),
                                                     static_cast<std::size_t>(end - begin));
    if (!Verify(active, bytes)) return;
    consumer_.OnBytes(part, active.next, bytes);
    active.next += bytes.size();
    if (active.next == part.end) consumer_.OnPartDone(part);
  }

  Error ReadFailure(const LoadPart& part, const WindowRead& window) const {
    const std::string context = PartContext(reader_, part);
    if (window.errno_value != 0) {
      return ErrnoError("read", context, window.errno_value, IoDirection::kRead);
    }
    return {Code::kDataLoss, fmt::format("{}: the file was cut while it was read", context)};
  }

  // Runs the CRC over the bytes, chunk by chunk where there are chunk checksums.  False, and the
  // damage reported, when a checksum differs.
  bool Verify(ActivePart& active, std::span<const std::byte> bytes) {
    const LoadPart& part = *active.part;
    const StoredExtent& extent = *part.extent;
    if (!HasByteChecksum(*part.tensor)) return true;
    const bool chunked = !extent.chunk_crc32c.empty();
    std::uint64_t position = active.next;
    do {
      const std::uint64_t unit_end =
          chunked ? std::min(AlignDown(position, kChunkBytes) + kChunkBytes, extent.size_bytes)
                  : extent.size_bytes;
      const auto size =
          static_cast<std::size_t>(std::min<std::uint64_t>(bytes.size(), unit_end - position));
      active.crc32c = ExtendCrc32c(active.crc32c, bytes.first(size));
      bytes = bytes.subspan(size);
      position += size;
      if (position != unit_end) break;
      const auto chunk = static_cast<std::size_t>((unit_end - 1) / kChunkBytes);
      const std::uint32_t stored = chunked ? extent.chunk_crc32c[chunk] : extent.crc32c;
      if (active.crc32c != stored) {
        Damage(active,
               ChecksumFailure(part, chunked ? chunk * kChunkBytes : 0, stored, active.crc32c));
        return false;
      }
      active.crc32c = 0;
    } while (!bytes.empty());
    return true;
  }

  Error ChecksumFailure(const LoadPart& part, std::uint64_t unit_begin, std::uint32_t stored,
                        std::uint32_t computed) const {
    LoadPart damaged = part;
    damaged.begin = unit_begin;
    return {Code::kDataLoss, fmt::format("{}: checksum mismatch (stored {:08x}, computed {:08x})",
                                         PartContext(reader_, damaged), stored, computed)};
  }

  void Damage(ActivePart& active, const Error& error) {
    active.damaged = true;
    consumer_.OnDamage(*active.part, error);
  }

  BufferPool& pool_;
  IoRing& ring_;
  std::size_t windows_max_;
  const BundleReader& reader_;
  std::span<const LoadPart> parts_;  // ascending by file_begin()
  PartConsumer& consumer_;

  std::size_t plan_part_ = 0;        // the first part that is not wholly asked for
  std::uint64_t plan_position_ = 0;  // where asking goes on
  std::deque<WindowRead> windows_;   // asked for and not consumed, in the order of the file
  std::uint64_t first_window_ = 0;   // number of windows_.front()
  std::uint64_t next_window_ = 0;
  std::size_t next_part_ = 0;  // the first part that no consumed window has reached
  std::list<ActivePart> active_;
};

// Reports what is wrong with a part that can be seen without reading.  False: nothing is to be
// read.
bool MayBeRead(const BundleReader& reader, const LoadPart& part, PartConsumer& consumer) {
  if (part.begin == part.end) {
    if (HasByteChecksum(*part.tensor) && part.extent->size_bytes == 0 && part.extent->crc32c != 0) {
      consumer.OnDamage(
          part, Error(Code::kDataLoss,
                      fmt::format("{}: checksum mismatch of no bytes", PartContext(reader, part))));
    } else {
      consumer.OnPartDone(part);
    }
    return false;
  }
  try {
    RequirePresent(reader, part);
    return true;
  } catch (const Error& error) {
    consumer.OnDamage(part, error);
    return false;
  }
}

}  // namespace

LoadPart WholeExtent(const StoredTensor& tensor, const StoredExtent& extent, std::size_t user) {
  return {&tensor, &extent, 0, extent.size_bytes, user};
}

LoadPart CoveringPart(const StoredTensor& tensor, const StoredExtent& extent, std::uint64_t begin,
                      std::uint64_t end, std::size_t user) {
  if (extent.chunk_crc32c.empty()) return WholeExtent(tensor, extent, user);
  return {&tensor, &extent, AlignDown(begin, kChunkBytes),
          std::min(AlignUp(end, kChunkBytes), extent.size_bytes), user};
}

std::string PartContext(const BundleReader& reader, const LoadPart& part) {
  return fmt::format("{}: tensor {} at offset {}", reader.DataFilePath(part.extent->shard),
                     Printable(part.tensor->name), part.file_begin());
}

void RequirePresent(const BundleReader& reader, const LoadPart& part) {
  DataFile* const file = reader.FindDataFile(part.extent->shard);
  if (file == nullptr) {
    const std::optional<std::string> target = reader.LinkOf(part.extent->shard);
    throw Error(Code::kNotFound,
                target ? fmt::format("{}: the file it links to, {}, is missing",
                                     PartContext(reader, part), *target)
                       : fmt::format("{}: no such data file", PartContext(reader, part)));
  }
  if (const std::uint64_t file_bytes = file->size(); part.file_end() > file_bytes) {
    throw Error(Code::kDataLoss,
                fmt::format("{}: its {} bytes reach beyond the file's end at {}",
                            PartContext(reader, part), part.end - part.begin, file_bytes));
  }
}

TensorLoader::TensorLoader(BufferPool& pool, IoRing& ring, std::size_t windows_max)
    : pool_(pool),
      ring_(ring),
      windows_max_(windows_max == 0 ? pool.window_count() : windows_max) {}

void TensorLoader::Load(const BundleReader& reader, std::vector<LoadPart> parts,
                        PartConsumer& consumer) {
  std::erase_if(parts, [&](const LoadPart& part) { return !MayBeRead(reader, part, consumer); });
  std::sort(parts.begin(), parts.end(), [](const LoadPart& a, const LoadPart& b) {
    return std::tuple(a.extent->shard, a.file_begin(), a.file_end()) <
           std::tuple(b.extent->shard, b.file_begin(), b.file_end());
  });
  for (std::size_t begin = 0; begin < parts.size();) {
    std::size_t end = begin + 1;
    while (end < parts.size() && parts[end].extent->shard == parts[begin].extent->shard) ++end;
    ShardLoad(pool_, ring_, windows_max_, reader, std::span(parts).subspan(begin, end - begin),
              consumer)
        .Run();
    begin = end;
  }
}

}  // namespace waypost
