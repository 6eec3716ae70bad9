// TFRecord framing, as event files use it (docs/format.md, "Event files"): length, its masked CRC,
// the data, its masked CRC.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace waypost {

// Appends one framed record to `target`.
void AppendRecord(std::string& target, std::string_view data);

// The checksum of any range of a file in about constant time, where lengths that cannot be trusted
// may ask for many ranges that overlap.  Made in one pass, with 4 bytes for each kStepBytes.
// Lifetime: `file` is borrowed.
class RangeCrcs {
 public:
  static constexpr std::size_t kStepBytes = 1024;

  explicit RangeCrcs(std::span<const std::byte> file);

  std::span<const std::byte> file() const noexcept { return file_; }
  // Requires: begin <= end <= file().size().
  std::uint32_t Of(std::uint64_t begin, std::uint64_t end) const noexcept;

 private:
  std::uint32_t UpTo(std::uint64_t end) const noexcept;

  std::span<const std::byte> file_;
  std::vector<std::uint32_t> steps_;  // of the bytes before each multiple of kStepBytes
};

// The first offset from `begin` on at which a whole record stands; nullopt when there is none. With
// it one goes on behind a record that is damaged.
std::optional<std::uint64_t> FindRecord(const RangeCrcs& crcs, std::uint64_t begin);

// Walks the records of a whole file.
class RecordReader {
 public:
  // `path` is for messages; the records are those from `offset` on.  `crcs`: of the file, borrowed,
  // for who makes many readers of it.
  RecordReader(std::span<const std::byte> file, std::string path, std::uint64_t offset = 0,
               const RangeCrcs* crcs = nullptr);

  // True with the next record's data in `data`; false at the end.  A file that ends within a record
  // (a writer was killed, or is not done) ends before it, and torn_bytes() says how much was left.
  // Throws kDataLoss for a checksum that does not match.
  bool Next(std::span<const std::byte>& data);

  std::uint64_t offset() const noexcept { return offset_; }  // of the next record
  std::uint64_t torn_bytes() const noexcept { return torn_bytes_; }

 private:
  std::span<const std::byte> file_;
  std::string path_;
  std::uint64_t offset_;
  const RangeCrcs* crcs_;
  std::uint64_t torn_bytes_ = 0;
};

}  // namespace waypost
