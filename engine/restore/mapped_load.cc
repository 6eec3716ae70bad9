#include "restore/mapped_load.h"

#include <algorithm>

#include "base/units.h"
#include "restore/part_feeder.h"

namespace waypost {
namespace {

// Brings pages in for parts that come in the order of the file.
class PagesAhead {
 public:
  PagesAhead(const MappedFile& mapping, std::span<const LoadPart> parts)
      : mapping_(mapping), ranges_(RangesOf(parts, kPageBytes)) {}

  // 0 or an errno.  Requires: [begin, end) lies in a part, and in the mapping.
  int Populate(std::uint64_t begin, std::uint64_t end) {
    if (end <= populated_) return 0;
    while (ranges_[range_].end < end) ++range_;
    const std::uint64_t ahead =
        std::min<std::uint64_t>(std::max(end, std::min(begin + kWindowBytes, ranges_[range_].end)),
                                mapping_.bytes().size());
    if (mapping_.Populate(begin, ahead) == 0) {
      populated_ = ahead;
      return 0;
    }
    // Another part's pages may be the ones that cannot be read.
    return mapping_.Populate(begin, end);
  }

 private:
  const MappedFile& mapping_;
  std::vector<FileRange> ranges_;
  std::size_t range_ = 0;
  std::uint64_t populated_ = 0;  // no part's pages before this file offset are missing
};

}  // namespace

void LoadMapped(const StoredCheckpoint& reader, const MappedFile& mapping,
                std::span<const LoadPart> parts, PartConsumer& consumer,
                const std::stop_token& stop) {
  const std::span<const std::byte> file = mapping.bytes();
  PagesAhead pages(mapping, parts);
  for (const LoadPart& part : parts) {
    for (PartFeeder feeder(reader, part, consumer); !feeder.is_over();) {
      ThrowIfStopped(stop);
      const std::uint64_t begin = feeder.file_position();
      const std::uint64_t end = std::min(part.file_end(), begin + kWindowBytes);
      if (end > file.size()) {
        feeder.Fail(0);
      } else if (const int errno_value = pages.Populate(begin, end)) {
        feeder.Fail(errno_value);
      } else {
        feeder.Feed(
            file.subspan(static_cast<std::size_t>(begin), static_cast<std::size_t>(end - begin)));
      }
    }
  }
}

}  // namespace waypost
