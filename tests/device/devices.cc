#include "device/devices.h"

#include <algorithm>
#include <chrono>
#include <deque>
#include <future>
#include <utility>

#include "support/seed.h"
#include "support/sim_accelerator.h"
#include "support/sim_stream.h"

namespace waypost {
namespace {

class Host final : public DeviceUnderTest {
 public:
  Device& device() override { return *device_; }
  std::byte* Allocate(std::size_t size_bytes) override {
    return memory_.emplace_back(size_bytes).data();
  }
  void Write(std::byte* target, std::span<const std::byte> source) override {
    std::ranges::copy(source, target);
  }
  std::vector<std::byte> Read(const std::byte* source, std::size_t size) const override {
    return {source, source + size};
  }

 private:
  std::deque<std::vector<std::byte>> memory_;
  std::unique_ptr<Device> device_ = MakeHostDevice();
};

class Sim final : public AcceleratorUnderTest {
 public:
  explicit Sim(const SimAcceleratorOptions& options) : accelerator_(options) {}

  Device& device() override { return *device_; }
  std::byte* Allocate(std::size_t size_bytes) override {
    return memory_.emplace_back(accelerator_.Allocate(size_bytes)).get();
  }
  void Write(std::byte* target, std::span<const std::byte> source) override {
    accelerator_.Write(target, source);
  }
  std::vector<std::byte> Read(const std::byte* source, std::size_t size) const override {
    return accelerator_.Read(source, size);
  }
  void* stream() override { return &stream_; }
  void WriteOnStream(std::byte* target, std::vector<std::byte> source) override {
    stream_.Run([this, target, source = std::move(source)] {
      gate_.wait();
      accelerator_.Write(target, source);
    });
  }
  void ContinueStream() override { open_gate_.set_value(); }
  bool LoseAtCopy(std::uint64_t number) override {
    accelerator_.LoseAtCopy(number);
    return true;
  }

 private:
  SimAccelerator accelerator_;
  std::vector<SimAccelerator::Memory> memory_;
  std::promise<void> open_gate_;
  std::shared_future<void> gate_ = open_gate_.get_future().share();
  SimStream stream_{accelerator_};  // After the memory that its work writes to.
  std::unique_ptr<Device> device_ = accelerator_.MakeDevice();
};

std::unique_ptr<AcceleratorUnderTest> MakeQuickSim() {
  return std::make_unique<Sim>(SimAcceleratorOptions{});
}
std::unique_ptr<AcceleratorUnderTest> MakeSlowSim() {
  return std::make_unique<Sim>(SimAcceleratorOptions{.bytes_per_second = 200'000'000});
}
std::unique_ptr<AcceleratorUnderTest> MakeLateSim() {
  return std::make_unique<Sim>(SimAcceleratorOptions{.copies_late = true});
}

std::unique_ptr<AcceleratorUnderTest> MakePausingSim() {
  return std::make_unique<Sim>(
      SimAcceleratorOptions{.pause_max = std::chrono::microseconds(300), .seed = TestSeed()});
}

}  // namespace

std::vector<AcceleratorKind> AllAccelerators() {
  return {{"Sim", MakeQuickSim},
          {"SlowSim", MakeSlowSim},
          {"LateSim", MakeLateSim},
          {"PausingSim", MakePausingSim}};
}

std::vector<DeviceKind> AllDevices() {
  return {{"Host", []() -> std::unique_ptr<DeviceUnderTest> { return std::make_unique<Host>(); }},
          {"Sim", []() -> std::unique_ptr<DeviceUnderTest> { return MakeQuickSim(); }},
          {"SlowSim", []() -> std::unique_ptr<DeviceUnderTest> { return MakeSlowSim(); }},
          {"LateSim", []() -> std::unique_ptr<DeviceUnderTest> { return MakeLateSim(); }},
          {"PausingSim", []() -> std::unique_ptr<DeviceUnderTest> { return MakePausingSim(); }}};
}

}  // namespace waypost
