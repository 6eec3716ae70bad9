// StreamMarks: where a caller's stream stood when its tensors were handed over, for each device
// that holds one of them.
#pragma once

#include <span>
#include <vector>

#include "device/device.h"

namespace waypost {

class StreamMarks {
 public:
  StreamMarks() = default;
  // Marks `stream` on each of `devices`, which may be named several times; the host needs none.
  // Throws what Device::MarkStream throws.
  StreamMarks(std::span<Device* const> devices, void* stream);
  ~StreamMarks();
  StreamMarks(StreamMarks&& other) noexcept;
  StreamMarks& operator=(StreamMarks&& other) noexcept;

  // 0 for a device that was not among them.
  Device::Mark Of(const Device& device) const noexcept;

 private:
  struct Entry {
    Device* device = nullptr;
    Device::Mark mark = 0;
  };

  std::vector<Entry> marks_;
};

}  // namespace waypost
