// The devices that the contract suites run on.
#pragma once

#include <cstddef>
#include <memory>
#include <ostream>
#include <span>
#include <string>
#include <vector>

#include "device/device.h"

namespace waypost {

// One device and memory of its kind, which the test reaches through this only.
class DeviceUnderTest {
 public:
  virtual ~DeviceUnderTest() = default;
  virtual Device& device() = 0;
  // Memory that stays as long as this.
  virtual std::byte* Allocate(std::size_t size_bytes) = 0;
  virtual void Write(std::byte* target, std::span<const std::byte> source) = 0;
  virtual std::vector<std::byte> Read(const std::byte* source, std::size_t size) const = 0;
};

// One whose copies are asynchronous.
class AcceleratorUnderTest : public DeviceUnderTest {
 public:
  // A stream of the caller's, as the copies take it.
  virtual void* stream() = 0;
  // Writes on that stream, after ContinueStream() only.
  virtual void WriteOnStream(std::byte* target, std::vector<std::byte> source) = 0;
  virtual void ContinueStream() = 0;
  // Loses the device when it has done this many more copies.  False: it cannot be lost on demand.
  virtual bool LoseAtCopy(std::uint64_t number) = 0;
};

struct DeviceKind {
  std::string name;
  std::unique_ptr<DeviceUnderTest> (*make)();
};

struct AcceleratorKind {
  std::string name;
  std::unique_ptr<AcceleratorUnderTest> (*make)();
};

// How GoogleTest shows them.
inline void PrintTo(const DeviceKind& kind, std::ostream* out) { *out << kind.name; }
inline void PrintTo(const AcceleratorKind& kind, std::ostream* out) { *out << kind.name; }

// The simulated accelerator: as quick as it can, over a slow link, with late copies, and with
// random pauses.
std::vector<AcceleratorKind> AllAccelerators();
// The host, and all accelerators.
std::vector<DeviceKind> AllDevices();

}  // namespace waypost
