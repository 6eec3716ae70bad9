#include <fmt/format.h>

#include <memory>
#include <optional>

#include "base/bytes.h"
#include "base/errno_error.h"
#include "format/record_io.h"
#include "verify/file_damage.h"
#include "waypost/error.h"
#include "waypost/event.h"

namespace waypost::tool {
namespace {

bool IsEvent(std::span<const std::byte> record) {
  try {
    Event::Parse(AsText(record));
    return true;
  } catch (const Error&) {
    return false;
  }
}

// The records of one file, also those behind damage.
class RecordCheck {
 public:
  RecordCheck(std::span<const std::byte> file, Findings& findings)
      : file_(file), findings_(findings) {}

  void Run() {
    std::optional<std::uint64_t> begin = 0;
    while (begin) begin = CheckFrom(*begin);
  }

 private:
  // Where to go on behind a damaged record; nullopt at the end.
  std::optional<std::uint64_t> CheckFrom(std::uint64_t begin) {
    RecordReader reader(file_, findings_.path, begin, crcs_ ? &*crcs_ : nullptr);
    try {
      std::uint64_t offset = begin;
      for (std::span<const std::byte> record; reader.Next(record); offset = reader.offset()) {
        ++findings_.count;
        if (!IsEvent(record)) {
          Note(fmt::format("{}: record at offset {}: not an event", findings_.path, offset));
        }
      }
    } catch (const Error& error) {
      const std::optional<std::uint64_t> next = FindNext(reader.offset() + 1);
      Note(fmt::format("{}; {}", error.what(),
                       next ? fmt::format("the next whole one is at offset {}", *next)
                            : "no whole one is behind it"));
      return next;
    }
    if (reader.torn_bytes() == 0) return std::nullopt;
    // Where the length is damaged too, so that it reaches beyond the end, there is more to come.
    const std::optional<std::uint64_t> next = FindNext(reader.offset() + 1);
    Note(fmt::format("{}: ends within a record: {} bytes from offset {} on are not complete",
                     findings_.path, reader.torn_bytes(), reader.offset()));
    return next;
  }

  std::optional<std::uint64_t> FindNext(std::uint64_t begin) {
    if (!crcs_) crcs_.emplace(file_);
    return FindRecord(*crcs_, begin);
  }

  void Note(std::string line) { findings_.damage.Add(std::move(line)); }

  std::span<const std::byte> file_;
  Findings& findings_;
  // From the first damage on: what comes then is not read once, but as often as lengths ask for it.
  std::optional<RangeCrcs> crcs_;
};

}  // namespace

Findings FindEventFileDamage(FileSystem& fs, const std::string& path) {
  const std::unique_ptr<MappedFile> file = fs.Map(path);
  Findings findings = {.kind = Findings::Kind::kEventFile, .path = path};
  findings.size_bytes = file->bytes().size();
  // A block that cannot be read is an error here, and a SIGBUS where it is touched.
  if (const int failed = file->Populate(0, file->bytes().size())) {
    throw ErrnoError("read", path, failed, IoDirection::kRead);
  }
  RecordCheck(file->bytes(), findings).Run();
  return findings;
}

}  // namespace waypost::tool
