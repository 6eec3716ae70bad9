// The simulated accelerator does what makes it worth testing with: the host cannot reach its
// memory, copies are late, slow and in order, with pauses where they are asked for, and each fault
// comes when it was asked for.  What it must do as a Device is in tests/device.
#include "support/sim_accelerator.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <future>

#include "base/bytes.h"
#include "support/expect_error.h"
#include "support/seed.h"
#include "support/sim_stream.h"

namespace waypost {
namespace {

using ::testing::Each;
using ::testing::HasSubstr;

constexpr std::byte kHostByte{0x11};

// An accelerator with one device and a block of memory of `kSize` bytes.
class SimAcceleratorTest : public ::testing::Test {
 protected:
  static constexpr std::size_t kSize = 1000;

  explicit SimAcceleratorTest(const SimAcceleratorOptions& options = {.memory_bytes = 10 * kSize})
      : accelerator_(options), device_(accelerator_.MakeDevice()) {}

  Device::Ticket StartIn() { return device_->StartCopyFromHost(memory_, host_, 0); }
  Device::Ticket StartOut() { return device_->StartCopyToHost(host_, memory_, 0); }

  SimAccelerator accelerator_;
  SimAccelerator::Memory owned_ = accelerator_.Allocate(kSize);
  std::byte* memory_ = owned_.get();
  std::vector<std::byte> host_ = std::vector<std::byte>(kSize, kHostByte);
  std::unique_ptr<Device> device_;
};

class LateSimAcceleratorTest : public SimAcceleratorTest {
 protected:
  LateSimAcceleratorTest() : SimAcceleratorTest({.copies_late = true}) {}
};

// ---- Memory ----

TEST_F(SimAcceleratorTest, StopsTheHostThatTouchesItsMemory) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  volatile std::byte* const memory = memory_;
  EXPECT_DEATH(static_cast<void>(memory[0]), "");
  EXPECT_DEATH(memory[kSize - 1] = std::byte{1}, "");
}

TEST_F(SimAcceleratorTest, HandsOutPoisonAndKeepsWhatIsWritten) {
  EXPECT_THAT(accelerator_.Read(memory_, kSize), Each(SimAccelerator::kPoison));
  accelerator_.Write(memory_ + 10, AsBytes("abc"));
  EXPECT_EQ(AsText(accelerator_.Read(memory_ + 9, 5)),
            "\xEE"
            "abc"
            "\xEE");
}

TEST_F(SimAcceleratorTest, RunsOutOfMemory) {
  SimAccelerator::Memory rest = accelerator_.Allocate(9 * kSize);
  EXPECT_EQ(CodeOf([&] { accelerator_.Allocate(1); }), Code::kResourceExhausted);
  rest.reset();
  rest = accelerator_.Allocate(9 * kSize);
}

TEST_F(SimAcceleratorTest, RefusesMemoryThatIsNotItsOwn) {
  const auto code = [&](const std::byte* source, std::size_t size) {
    return CodeOf([&] { device_->StartCopyToHost(std::span(host_).first(size), source, 0); });
  };
  EXPECT_EQ(code(host_.data(), 1), Code::kInvalidArgument);
  EXPECT_EQ(code(memory_ - 1, 2), Code::kInvalidArgument);
  EXPECT_EQ(code(memory_ + 1, kSize), Code::kInvalidArgument);
  EXPECT_EQ(CodeOf([&] { device_->StartCopyFromHost(memory_ + 1, host_, 0); }),
            Code::kInvalidArgument);
  EXPECT_THAT(MessageOf([&] { device_->StartCopyFromHost(memory_ + 1, host_, 0); }),
              HasSubstr("sim:0: 1000 bytes at 0x"));
  EXPECT_EQ(accelerator_.unwaited_tickets(), 0U) << "nothing was started";
}

TEST_F(LateSimAcceleratorTest, DoesNotCopyWhatWasFreedMeanwhile) {
  SimAccelerator::Memory memory = accelerator_.Allocate(kSize);
  const Device::Ticket ticket = device_->StartCopyToHost(host_, memory.get(), 0);
  memory.reset();
  EXPECT_EQ(CodeOf([&] { device_->Wait(ticket); }), Code::kInvalidArgument);
}

// ---- Copies ----

TEST_F(LateSimAcceleratorTest, LeavesPoisonWhereACopyWasNotWaitedFor) {
  const Device::Ticket in = StartIn();
  std::vector<std::byte> target(kSize);
  const Device::Ticket out = device_->StartCopyToHost(target, memory_, 0);
  EXPECT_THAT(target, Each(SimAccelerator::kPoison));
  EXPECT_THAT(accelerator_.Read(memory_, kSize), Each(SimAccelerator::kPoison));
  device_->Wait(out);
  EXPECT_EQ(target, host_) << "the copies before it are done as well";
  device_->Wait(in);
}

TEST_F(LateSimAcceleratorTest, ReadsASourceThatWasGivenAwayTooEarly) {
  const Device::Ticket in = StartIn();
  std::ranges::fill(host_, std::byte{0x22});
  device_->Wait(in);
  EXPECT_THAT(accelerator_.Read(memory_, kSize), Each(std::byte{0x22}));
}

TEST_F(SimAcceleratorTest, CountsTheTicketsThatNobodyWaitedFor) {
  EXPECT_EQ(accelerator_.unwaited_tickets(), 0U);
  const Device::Ticket first = StartIn();
  StartIn();
  EXPECT_EQ(accelerator_.unwaited_tickets(), 2U);
  device_->Wait(first);
  EXPECT_EQ(accelerator_.unwaited_tickets(), 1U);
  device_.reset();
  EXPECT_EQ(accelerator_.unwaited_tickets(), 1U) << "forgotten for ever";
}

TEST_F(SimAcceleratorTest, RefusesASecondWait) {
  const Device::Ticket ticket = StartIn();
  device_->Wait(ticket);
  EXPECT_EQ(CodeOf([&] { device_->Wait(ticket); }), Code::kInternal);
  EXPECT_EQ(CodeOf([&] { device_->Wait(ticket + 1); }), Code::kInternal);
}

TEST_F(SimAcceleratorTest, AbandonsCopiesWithItsDevice) {
  std::promise<void> gate;  // before the stream, whose thread uses it
  SimStream stream(accelerator_);
  stream.Run([&] { gate.get_future().wait(); });
  const Device::Mark mark = device_->MarkStream(&stream);
  device_->StartCopyToHost(host_, memory_, mark);
  device_->StartCopyToHost(host_, memory_, mark);
  device_.reset();
  EXPECT_THAT(host_, Each(SimAccelerator::kPoison));
  gate.set_value();
}

TEST_F(SimAcceleratorTest, RegistersHostMemoryForItsDevicesLife) {
  std::vector<std::byte> other(50);
  device_->RegisterHostMemory(host_);
  device_->RegisterHostMemory(other);
  EXPECT_EQ(accelerator_.registered_bytes(), kSize + 50);
  EXPECT_EQ(CodeOf([&] { device_->RegisterHostMemory(host_); }), Code::kInvalidArgument);
  device_->UnregisterHostMemory(host_);
  EXPECT_EQ(accelerator_.registered_bytes(), 50U);
  device_.reset();
  EXPECT_EQ(accelerator_.registered_bytes(), 0U);
}

// ---- The link ----

TEST(SimAcceleratorLink, CarriesNoMoreThanItsRateForAllDevices) {
  constexpr std::size_t kBytes = std::size_t{1} << 20;
  SimAccelerator accelerator({.bytes_per_second = 64 * kBytes});
  const SimAccelerator::Memory memory = accelerator.Allocate(kBytes);
  std::vector<std::vector<std::byte>> targets(4, std::vector<std::byte>(kBytes));
  const auto first = accelerator.MakeDevice();
  const auto second = accelerator.MakeDevice();
  const auto begin = std::chrono::steady_clock::now();
  const Device::Ticket a = first->StartCopyToHost(targets[0], memory.get(), 0);
  const Device::Ticket b = first->StartCopyToHost(targets[1], memory.get(), 0);
  const Device::Ticket c = second->StartCopyToHost(targets[2], memory.get(), 0);
  const Device::Ticket d = second->StartCopyToHost(targets[3], memory.get(), 0);
  first->Wait(a);
  first->Wait(b);
  second->Wait(c);
  second->Wait(d);
  EXPECT_GE(std::chrono::steady_clock::now() - begin, std::chrono::microseconds(62'500));
}

// ---- Pauses ----

TEST(SimAcceleratorPauses, AreMadeAndEndInTheRightBytes) {
  constexpr std::size_t kCopies = 40;
  SimAccelerator accelerator({.pause_max = std::chrono::milliseconds(20), .seed = TestSeed()});
  const SimAccelerator::Memory memory = accelerator.Allocate(kCopies);
  const auto device = accelerator.MakeDevice();
  std::vector<std::byte> target(kCopies);
  const auto begin = std::chrono::steady_clock::now();
  for (std::size_t i = 0; i < kCopies; ++i) {
    const std::byte value{static_cast<unsigned char>(i)};
    device->Wait(device->StartCopyFromHost(&memory[i], std::span(&value, 1), 0));
    device->Wait(device->StartCopyToHost(std::span(target).subspan(i, 1), &memory[i], 0));
    EXPECT_EQ(target[i], value);
  }
  // Of 320 chances to pause one in eight is taken, for 10 ms in the mean.
  EXPECT_GE(std::chrono::steady_clock::now() - begin, std::chrono::milliseconds(20));
}

// ---- Faults ----

TEST_F(SimAcceleratorTest, RunsOutOfMemoryAtTheStartThatWasAskedFor) {
  accelerator_.RunOutOfMemoryAtStart(1);
  const Device::Ticket first = StartIn();
  EXPECT_EQ(CodeOf([&] { StartIn(); }), Code::kResourceExhausted);
  const Device::Ticket third = StartOut();
  device_->Wait(first);
  device_->Wait(third);
  EXPECT_EQ(accelerator_.unwaited_tickets(), 0U);
}

TEST_F(SimAcceleratorTest, IsLostAtTheCopyThatWasAskedForAndStaysLost) {
  accelerator_.LoseAtCopy(1);
  std::vector<std::byte> target(kSize);
  const Device::Ticket first = StartIn();
  device_->Wait(first);
  const Device::Ticket second = device_->StartCopyToHost(target, memory_, 0);
  EXPECT_EQ(CodeOf([&] { device_->Wait(second); }), Code::kUnavailable);
  EXPECT_THAT(target, Each(SimAccelerator::kPoison));
  EXPECT_EQ(MessageOf([&] { StartIn(); }), "sim:0: the device was lost");
  EXPECT_EQ(CodeOf([&] { accelerator_.MakeDevice()->StartCopyToHost(host_, memory_, 0); }),
            Code::kUnavailable);
  EXPECT_EQ(CodeOf([&] { device_->RegisterHostMemory(host_); }), Code::kUnavailable);
  EXPECT_EQ(accelerator_.unwaited_tickets(), 0U);
}

TEST_F(SimAcceleratorTest, IsLostAlsoForACopyBehindAStreamThatStands) {
  std::promise<void> gate;  // before the stream, whose thread uses it
  SimStream stream(accelerator_);
  stream.Run([&] { gate.get_future().wait(); });
  const Device::Ticket standing =
      device_->StartCopyToHost(host_, memory_, device_->MarkStream(&stream));
  accelerator_.LoseAtCopy(0);
  const auto other = accelerator_.MakeDevice();
  std::vector<std::byte> target(kSize);
  const Device::Ticket lost = other->StartCopyToHost(target, memory_, 0);
  EXPECT_EQ(CodeOf([&] { device_->Wait(standing); }), Code::kUnavailable);
  EXPECT_EQ(CodeOf([&] { other->Wait(lost); }), Code::kUnavailable);
  gate.set_value();
}

}  // namespace
}  // namespace waypost
