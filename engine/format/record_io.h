// TFRecord framing, as event files use it (docs/format.md, "Event files"): length, its masked CRC,
// the data, its masked CRC.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace waypost {

// Appends one framed record to `target`.
void AppendRecord(std::string& target, std::string_view data);

// Walks the records of a whole file.
class RecordReader {
 public:
  // `path` is for messages.
  RecordReader(std::span<const std::byte> file, std::string path);

  // True with the next record's data in `data`; false at the end.  A file that ends within a record
  // (a writer was killed, or is not done) ends before it, and torn_bytes() says how much was left.
  // Throws kDataLoss for a checksum that does not match.
  bool Next(std::span<const std::byte>& data);

  std::uint64_t offset() const noexcept { return offset_; }  // of the next record
  std::uint64_t torn_bytes() const noexcept { return torn_bytes_; }

 private:
  std::span<const std::byte> file_;
  std::string path_;
  std::uint64_t offset_ = 0;
  std::uint64_t torn_bytes_ = 0;
};

}  // namespace waypost
