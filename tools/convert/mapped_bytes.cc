#include "convert/mapped_bytes.h"

#include <algorithm>

#include "base/check.h"
#include "base/errno_error.h"
#include "base/units.h"

namespace waypost::tool {

void ReadMapped(const MappedFile& file, std::uint64_t begin, std::uint64_t end,
                const std::string& context,
                const std::function<void(std::span<const std::byte>)>& sink) {
  WAYPOST_CHECK(begin <= end && end <= file.bytes().size());
  while (begin < end) {
    const std::uint64_t next = std::min(end, begin + kWindowBytes);
    if (const int errno_value = file.Populate(begin, next)) {
      throw ErrnoError("read", context, errno_value, IoDirection::kRead);
    }
    sink(file.bytes().subspan(static_cast<std::size_t>(begin),
                              static_cast<std::size_t>(next - begin)));
    begin = next;
  }
}

}  // namespace waypost::tool
