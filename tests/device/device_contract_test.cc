// Every Device copies exactly the bytes it is told to, both ways, at any address and size, for any
// number of threads at once; an accelerator's copies are behind the caller's stream, and end when
// it is lost.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "base/units.h"
#include "device/devices.h"
#include "support/expect_error.h"
#include "support/seed.h"

namespace waypost {
namespace {

std::vector<std::byte> RandomBytes(std::size_t size, std::mt19937_64& random) {
  std::vector<std::byte> bytes(size);
  for (std::byte& byte : bytes) byte = static_cast<std::byte>(random());
  return bytes;
}

// ---- All devices ----

class DeviceContract : public ::testing::TestWithParam<DeviceKind> {
 protected:
  std::byte* AllocateHolding(std::span<const std::byte> content) {
    std::byte* const memory = rig_->Allocate(content.size());
    rig_->Write(memory, content);
    return memory;
  }

  std::mt19937_64 random_{TestSeed()};
  std::unique_ptr<DeviceUnderTest> rig_ = GetParam().make();
  Device& device_ = rig_->device();
};

INSTANTIATE_TEST_SUITE_P(All, DeviceContract, ::testing::ValuesIn(AllDevices()),
                         [](const auto& kind) { return kind.param.name; });

TEST_P(DeviceContract, CopiesOutExactlyWhatItIsTold) {
  const std::vector<std::byte> content = RandomBytes(10000, random_);
  const std::byte* const memory = AllocateHolding(content);
  for (int i = 0; i < 100; ++i) {
    const std::size_t begin = random_() % content.size();
    const std::size_t size = random_() % (content.size() - begin + 1);
    std::vector<std::byte> target(size + 1, std::byte{0xA5});
    device_.Wait(device_.StartCopyToHost(std::span(target).first(size), memory + begin, nullptr));
    EXPECT_TRUE(std::equal(target.begin(), target.end() - 1, &content[begin]));
    EXPECT_EQ(target.back(), std::byte{0xA5}) << "nothing beyond the target is touched";
  }
}

TEST_P(DeviceContract, CopiesInExactlyWhatItIsTold) {
  std::vector<std::byte> expected = RandomBytes(10000, random_);
  std::byte* const memory = AllocateHolding(expected);
  for (int i = 0; i < 100; ++i) {
    const std::size_t begin = random_() % expected.size();
    const std::vector<std::byte> source =
        RandomBytes(random_() % (expected.size() - begin + 1), random_);
    std::ranges::copy(source, expected.begin() + static_cast<std::ptrdiff_t>(begin));
    device_.Wait(device_.StartCopyFromHost(memory + begin, source, nullptr));
    EXPECT_TRUE(rig_->Read(memory, expected.size()) == expected);
  }
}

TEST_P(DeviceContract, CopiesMoreThanAWindow) {
  const std::vector<std::byte> content = RandomBytes(2 * kWindowBytes + 3, random_);
  std::byte* const memory = rig_->Allocate(content.size());
  device_.Wait(device_.StartCopyFromHost(memory, content, nullptr));
  std::vector<std::byte> target(content.size());
  device_.Wait(device_.StartCopyToHost(target, memory, nullptr));
  EXPECT_TRUE(target == content);
}

TEST_P(DeviceContract, CopiesOfNothingNeedNoMemory) {
  device_.Wait(device_.StartCopyToHost({}, nullptr, nullptr));
  device_.Wait(device_.StartCopyFromHost(nullptr, {}, nullptr));
}

TEST_P(DeviceContract, WaitingForWhatHasEndedReturnsAtOnce) { device_.Wait(0); }

TEST_P(DeviceContract, CopiesInTheOrderOfTheirStarts) {
  const std::vector<std::byte> first = RandomBytes(5000, random_);
  const std::vector<std::byte> second = RandomBytes(5000, random_);
  std::byte* const memory = rig_->Allocate(5000);
  std::vector<std::byte> seen(5000);
  std::vector<std::byte> seen_later(5000);
  const std::vector<Device::Ticket> tickets = {
      device_.StartCopyFromHost(memory, first, nullptr),
      device_.StartCopyToHost(seen, memory, nullptr),
      device_.StartCopyFromHost(memory, second, nullptr),
      device_.StartCopyToHost(seen_later, memory, nullptr)};
  for (const Device::Ticket ticket : tickets) device_.Wait(ticket);
  EXPECT_TRUE(seen == first);
  EXPECT_TRUE(seen_later == second);
}

TEST_P(DeviceContract, TakesWaitsInAnyOrder) {
  constexpr std::size_t kCopies = 50;
  constexpr std::size_t kBytes = 333;
  const std::vector<std::byte> content = RandomBytes(kCopies * kBytes, random_);
  const std::byte* const memory = AllocateHolding(content);
  std::vector<std::vector<std::byte>> targets(kCopies, std::vector<std::byte>(kBytes));
  std::vector<std::pair<std::size_t, Device::Ticket>> tickets;
  for (std::size_t i = 0; i < kCopies; ++i)
    tickets.emplace_back(i, device_.StartCopyToHost(targets[i], memory + i * kBytes, nullptr));
  std::ranges::shuffle(tickets, random_);
  for (const auto& [i, ticket] : tickets) {
    device_.Wait(ticket);
    EXPECT_TRUE(std::ranges::equal(targets[i], std::span(content).subspan(i * kBytes, kBytes)));
  }
}

TEST_P(DeviceContract, ServesManyThreadsAtOnce) {
  constexpr std::size_t kThreads = 4;
  constexpr std::size_t kBytes = 20'000;
  std::byte* const memory = rig_->Allocate(kThreads * kBytes);
  std::vector<std::jthread> threads;
  for (std::size_t thread = 0; thread < kThreads; ++thread) {
    threads.emplace_back([&, thread, random = std::mt19937_64(random_())]() mutable {
      std::byte* const part = memory + thread * kBytes;
      for (int round = 0; round < 25; ++round) {
        const std::vector<std::byte> content = RandomBytes(kBytes, random);
        const Device::Ticket in = device_.StartCopyFromHost(part, content, nullptr);
        std::vector<std::byte> target(kBytes);
        device_.Wait(device_.StartCopyToHost(target, part, nullptr));
        device_.Wait(in);
        EXPECT_TRUE(target == content);
      }
    });
  }
}

TEST_P(DeviceContract, LetsAnotherThreadWaitThanTheOneThatStarted) {
  constexpr std::size_t kCopies = 40;
  const std::vector<std::byte> content = RandomBytes(kCopies * 100, random_);
  const std::byte* const memory = AllocateHolding(content);
  std::vector<std::byte> target(content.size());
  std::vector<Device::Ticket> tickets;
  for (std::size_t i = 0; i < kCopies; ++i) {
    tickets.push_back(device_.StartCopyToHost(std::span(target).subspan(i * 100, 100),
                                              memory + i * 100, nullptr));
  }
  {
    std::vector<std::jthread> threads;
    for (std::size_t thread = 0; thread < 4; ++thread) {
      threads.emplace_back([&, thread] {
        for (std::size_t i = thread; i < kCopies; i += 4) device_.Wait(tickets[i]);
      });
    }
  }
  EXPECT_TRUE(target == content);
}

TEST_P(DeviceContract, CopiesFromAndToRegisteredMemory) {
  std::vector<std::byte> window(kWindowBytes);
  device_.RegisterHostMemory(window);
  const std::vector<std::byte> content = RandomBytes(10000, random_);
  const auto part = std::span(window).subspan(77, content.size());
  std::byte* const memory = AllocateHolding(content);
  device_.Wait(device_.StartCopyToHost(part, memory, nullptr));
  EXPECT_TRUE(std::ranges::equal(part, content));
  std::ranges::reverse(part);
  device_.Wait(device_.StartCopyFromHost(memory, part, nullptr));
  EXPECT_TRUE(std::ranges::equal(rig_->Read(memory, content.size()), part));
  device_.UnregisterHostMemory(window);
  device_.RegisterHostMemory(window);
  device_.UnregisterHostMemory(window);
}

TEST_P(DeviceContract, OwnsItsMemoryFromTheFirstByteToTheLast) {
  for (const std::size_t size : {std::size_t{1}, std::size_t{1001}, std::size_t{kPageBytes}}) {
    const std::byte* const memory = rig_->Allocate(size);
    EXPECT_TRUE(device_.Owns(memory));
    EXPECT_TRUE(device_.Owns(memory + size - 1));
  }
}

TEST_P(DeviceContract, HasHostMemoryOnlyIfTheHostCanReadIt) {
  if (!device_.IsHostMemory()) return;
  const std::vector<std::byte> content = RandomBytes(1000, random_);
  const std::byte* const memory = AllocateHolding(content);
  EXPECT_TRUE(std::ranges::equal(std::span(memory, content.size()), content));
}

TEST_P(DeviceContract, HasAName) { EXPECT_FALSE(device_.name().empty()); }

// ---- Accelerators ----

class AcceleratorContract : public ::testing::TestWithParam<AcceleratorKind> {
 protected:
  std::mt19937_64 random_{TestSeed()};
  std::unique_ptr<AcceleratorUnderTest> rig_ = GetParam().make();
  Device& device_ = rig_->device();
};

INSTANTIATE_TEST_SUITE_P(All, AcceleratorContract, ::testing::ValuesIn(AllAccelerators()),
                         [](const auto& kind) { return kind.param.name; });

TEST_P(AcceleratorContract, ClaimsNothingOfTheHosts) {
  const int on_host = 0;
  std::byte* const memory = rig_->Allocate(1000);
  EXPECT_FALSE(device_.IsHostMemory());
  EXPECT_FALSE(device_.Owns(nullptr));
  EXPECT_FALSE(device_.Owns(&on_host));
  EXPECT_FALSE(device_.Owns(&device_));
  EXPECT_FALSE(device_.Owns(memory - 1));
}

TEST_P(AcceleratorContract, CopiesOutWhatTheCallersStreamLeaves) {
  const std::vector<std::byte> content = RandomBytes(1000, random_);
  std::byte* const memory = rig_->Allocate(1000);
  std::vector<std::byte> target(1000);
  rig_->WriteOnStream(memory, content);
  const Device::Ticket ticket = device_.StartCopyToHost(target, memory, rig_->stream());
  rig_->ContinueStream();
  device_.Wait(ticket);
  EXPECT_TRUE(target == content);
}

TEST_P(AcceleratorContract, CopiesInOverWhatTheCallersStreamLeaves) {
  const std::vector<std::byte> content = RandomBytes(1000, random_);
  std::byte* const memory = rig_->Allocate(1000);
  rig_->WriteOnStream(memory, RandomBytes(1000, random_));
  const Device::Ticket ticket = device_.StartCopyFromHost(memory, content, rig_->stream());
  rig_->ContinueStream();
  device_.Wait(ticket);
  EXPECT_TRUE(rig_->Read(memory, 1000) == content);
}

TEST_P(AcceleratorContract, DoesNotWaitForWhatComesLaterOnTheStream) {
  const std::vector<std::byte> content = RandomBytes(1000, random_);
  std::byte* const memory = rig_->Allocate(1000);
  rig_->Write(memory, content);
  std::vector<std::byte> target(1000);
  const Device::Ticket ticket = device_.StartCopyToHost(target, memory, rig_->stream());
  rig_->WriteOnStream(memory, RandomBytes(1000, random_));
  device_.Wait(ticket);
  EXPECT_TRUE(target == content);
  rig_->ContinueStream();
}

TEST_P(AcceleratorContract, TellsEveryWaiterThatItIsLost) {
  if (!rig_->LoseAtCopy(3)) GTEST_SKIP() << "it cannot be lost on demand";
  constexpr std::size_t kCopies = 8;
  std::byte* const memory = rig_->Allocate(100);
  const std::vector<std::byte> content = RandomBytes(100, random_);
  rig_->Write(memory, content);
  rig_->WriteOnStream(memory, content);  // So that all are started before the first is done.
  std::vector<std::vector<std::byte>> targets(kCopies, std::vector<std::byte>(100));
  std::vector<Device::Ticket> tickets;
  for (std::vector<std::byte>& target : targets)
    tickets.push_back(device_.StartCopyToHost(target, memory, rig_->stream()));
  rig_->ContinueStream();
  std::vector<std::optional<Code>> codes(kCopies);
  {
    std::vector<std::jthread> threads;
    for (std::size_t i = 0; i < kCopies; ++i)
      threads.emplace_back([&, i] { codes[i] = CodeOf([&] { device_.Wait(tickets[i]); }); });
  }
  for (std::size_t i = 0; i < kCopies; ++i) {
    EXPECT_EQ(codes[i], i < 3 ? std::nullopt : std::optional(Code::kUnavailable)) << i;
    if (!codes[i]) {
      EXPECT_TRUE(targets[i] == content);
    }
  }
  EXPECT_EQ(CodeOf([&] { device_.StartCopyToHost(targets[0], memory, nullptr); }),
            Code::kUnavailable);
  EXPECT_EQ(CodeOf([&] { device_.StartCopyFromHost(memory, targets[0], nullptr); }),
            Code::kUnavailable);
}

}  // namespace
}  // namespace waypost
