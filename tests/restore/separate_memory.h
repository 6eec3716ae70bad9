// SeparateMemory: an accelerator that copies at once, and whose memory the host must not touch
// itself: it holds every byte inverted.
//
// Threads: any.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <span>
#include <string>
#include <vector>

#include "support/fake_device.h"
#include "waypost/error.h"

namespace waypost {

class SeparateMemory final : public FakeDevice {
 public:
  explicit SeparateMemory(std::size_t size) : memory_(size) {}

  std::byte* data() noexcept { return memory_.data(); }
  // What is stored there.
  std::string Content(const void* begin, std::size_t size) const {
    std::string content(static_cast<const char*>(begin), size);
    for (char& c : content) c = static_cast<char>(~c);
    return content;
  }

  std::string_view name() const noexcept override { return "separate"; }
  bool Owns(const void* address) const noexcept override {
    return address >= memory_.data() && address < memory_.data() + memory_.size();
  }
  Ticket StartCopiesToHost(std::span<const Copy> copies, Mark /*behind*/) override {
    return Perform(copies);
  }
  Ticket StartCopiesFromHost(std::span<const Copy> copies, Mark /*behind*/) override {
    return Perform(copies);
  }

 private:
  static Ticket Perform(std::span<const Copy> copies) {
    for (const Copy& copy : copies) {
      std::transform(copy.source, copy.source + copy.size, copy.target,
                     [](std::byte b) { return ~b; });
    }
    return 0;
  }

  std::vector<std::byte> memory_;
};

}  // namespace waypost
