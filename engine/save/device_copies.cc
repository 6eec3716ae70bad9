#include "save/device_copies.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <utility>

#include "base/log.h"
#include "base/units.h"
#include "waypost/error.h"

namespace waypost {
namespace {

// What a kernel may read in one go.
constexpr std::uint64_t kCopyAlignment = 256;

// Where copies of sources lie in a block.  Tensors of the same bytes share one copy.
struct Layout {
  std::map<std::pair<const std::byte*, std::uint64_t>, std::uint64_t> offsets;
  std::uint64_t size = 0;
};

Layout LayOut(const SaveInput& input, const Device& device) {
  Layout layout;
  for (const SaveSource& source : input.sources()) {
    if (source.device == &device && source.is_borrowed && source.size_bytes > 0) {
      layout.offsets[{source.bytes, source.size_bytes}] = 0;
    }
  }
  // Small ones side by side, as a device copies them best.
  for (const bool are_small : {true, false}) {
    for (auto& [source, offset] : layout.offsets) {
      if ((source.second < kLargeTensorBytes) != are_small) continue;
      offset = layout.size;
      layout.size = AlignUp(layout.size + source.second, kCopyAlignment);
    }
  }
  return layout;
}

}  // namespace

void DeviceCopies::Release() noexcept {
  for (const Block& block : std::exchange(blocks_, {})) {
    try {
      if (block.is_under_way) block.device->Wait(block.ticket);
    } catch (const std::exception&) {
      // What led here is the error to report.
    }
    block.device->FreeMemory(block.memory);
  }
}

void DeviceCopies::Start(SaveInput& input, const StreamMarks& marks) {
  std::vector<Device*> devices = input.Devices();
  std::erase_if(devices, [](const Device* device) { return device->IsHostMemory(); });
  std::sort(devices.begin(), devices.end());
  devices.erase(std::unique(devices.begin(), devices.end()), devices.end());
  blocks_.reserve(devices.size());  // memory that was given must not be forgotten
  for (Device* const device : devices) StartOn(*device, input, marks.Of(*device));
}

void DeviceCopies::StartOn(Device& device, SaveInput& input, Device::Mark behind) {
  const Layout layout = LayOut(input, device);
  if (layout.size == 0) return;
  std::byte* const memory = device.AllocateMemory(static_cast<std::size_t>(layout.size));
  if (memory == nullptr) {
    LogInfoOnce(fmt::format("device copy {}", device.name()),
                fmt::format("{}: no {} MiB of its memory are free for a copy of the tensors; they "
                            "are staged while training goes on",
                            device.name(), layout.size / kMiB + 1));
    return;
  }
  Block& block = blocks_.emplace_back(Block{.device = &device, .memory = memory});
  std::vector<Device::Copy> copies;
  copies.reserve(layout.offsets.size());
  for (const auto& [source, offset] : layout.offsets) {
    copies.push_back({memory + offset, source.first, static_cast<std::size_t>(source.second)});
  }
  block.ticket = device.StartCopiesWithin(copies, behind);
  block.is_under_way = true;
  for (std::size_t i = 0; i < input.sources().size(); ++i) {
    const SaveSource& source = input.sources()[i];
    const auto found = layout.offsets.find({source.bytes, source.size_bytes});
    if (source.device == &device && found != layout.offsets.end()) {
      input.ReadFrom(i, memory + found->second);
    }
  }
}

void DeviceCopies::Wait() {
  for (Block& block : blocks_) {
    block.is_under_way = false;
    block.device->Wait(block.ticket);
  }
}

}  // namespace waypost
