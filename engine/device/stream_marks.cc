#include "device/stream_marks.h"

#include <algorithm>
#include <utility>

namespace waypost {

// Delegates, so that the destructor gives back what was set when a later mark throws.
StreamMarks::StreamMarks(std::span<Device* const> devices, void* stream) : StreamMarks() {
  for (Device* const device : devices) {
    if (device->IsHostMemory() || std::ranges::count(marks_, device, &Entry::device) > 0) continue;
    marks_.reserve(marks_.size() + 1);  // a mark that was set must not be forgotten
    marks_.push_back({device, device->MarkStream(stream)});
  }
}

StreamMarks::~StreamMarks() {
  for (const Entry& entry : marks_) entry.device->ReleaseMark(entry.mark);
}

StreamMarks::StreamMarks(StreamMarks&& other) noexcept : marks_(std::exchange(other.marks_, {})) {}

StreamMarks& StreamMarks::operator=(StreamMarks&& other) noexcept {
  StreamMarks taken(std::move(other));
  std::swap(marks_, taken.marks_);
  return *this;
}

Device::Mark StreamMarks::Of(const Device& device) const noexcept {
  const auto found = std::ranges::find(marks_, &device, &Entry::device);
  return found == marks_.end() ? 0 : found->mark;
}

}  // namespace waypost
