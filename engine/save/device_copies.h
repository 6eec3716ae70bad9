// DeviceCopies: copies of a save's tensors within the memory of the accelerators that hold them,
// for a save with kDeviceCopy.
//
//   SaveAsync -> [DeviceCopies] -> Stager
//
// Each device is asked for one piece of memory for all of its tensors.  One that has not as much
// keeps its tensors where they are: they are staged lazily, and the log says so once.
//
// Threads:  Start by one; then Wait by one; then Release by one.
// Errors:   Start throws what a device throws that is lost; Wait that of a copy that failed.
// Lifetime: the devices are borrowed.  The destructor releases.
#pragma once

#include <vector>

#include "device/device.h"
#include "device/stream_marks.h"
#include "save/save_input.h"

namespace waypost {

class DeviceCopies {
 public:
  DeviceCopies() = default;
  ~DeviceCopies() { Release(); }
  DeviceCopies(const DeviceCopies&) = delete;
  DeviceCopies& operator=(const DeviceCopies&) = delete;

  // Starts the copies, behind the marks, and has `input` read from them.  Requires: Wait comes
  // before anybody reads a source.
  void Start(SaveInput& input, const StreamMarks& marks);
  // Returns when all have been made: the tensors on those devices may change.
  void Wait();
  // Waits for what is under way, and gives the memory back.  Requires: nobody reads it any more.
  void Release() noexcept;

 private:
  struct Block {
    Device* device = nullptr;
    std::byte* memory = nullptr;
    Device::Ticket ticket = 0;
    bool is_under_way = false;
  };

  void StartOn(Device& device, SaveInput& input, Device::Mark behind);

  std::vector<Block> blocks_;  // one for each device that had the memory
};

}  // namespace waypost
