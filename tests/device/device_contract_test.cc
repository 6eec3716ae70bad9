// Every Device copies exactly the bytes it is told to, both ways, at any address and size, for any
// number of threads at once; an accelerator's copies are behind the caller's stream, and end when
// it is lost; what it sums and counts is what the host does.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "base/crc32c.h"
#include "base/units.h"
#include "device/devices.h"
#include "device/stream_marks.h"
#include "summary/histogram.h"
#include "summary/real_values.h"
#include "support/expect_error.h"
#include "support/seed.h"

namespace waypost {
namespace {

std::vector<std::byte> RandomBytes(std::size_t size, std::mt19937_64& random) {
  std::vector<std::byte> bytes(size);
  for (std::byte& byte : bytes) byte = static_cast<std::byte>(random());
  return bytes;
}

// Of a size that every dtype holds.
std::vector<std::byte> RandomReals(DType dtype, std::size_t count, std::mt19937_64& random) {
  std::vector<std::byte> bytes;
  for (std::size_t i = 0; i < count; ++i) {
    const auto element = EncodeReal(static_cast<double>(random() % 100), dtype);
    bytes.insert(bytes.end(), element.begin(),
                 element.begin() + static_cast<std::ptrdiff_t>(ElementBytes(dtype)));
  }
  return bytes;
}

// `tensor` in host memory.  The sums may have another order: as exact as CountHistogram promises
// (cuda/kernels.h).
void ExpectHostTotals(const HistogramTotals& totals, const ConstTensorView& tensor) {
  Histogram histogram;
  histogram.AddAll(tensor);
  const HistogramTotals& expected = histogram.totals();
  EXPECT_EQ(totals.min, expected.min);
  EXPECT_EQ(totals.max, expected.max);
  EXPECT_EQ(totals.counts, expected.counts);
  EXPECT_EQ(totals.first_not_finite, HistogramTotals::kAllFinite);
  const double bound = 0x1p-52 * static_cast<double>(tensor.element_count());
  EXPECT_NEAR(totals.sum, expected.sum, bound * expected.sum) << "no value is negative";
  EXPECT_NEAR(totals.sum_squares, expected.sum_squares, bound * expected.sum_squares);
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

// There may be none: of the GPUs of a machine without one.
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(DeviceContract);
INSTANTIATE_TEST_SUITE_P(All, DeviceContract, ::testing::ValuesIn(AllDevices()),
                         [](const auto& kind) { return kind.param.name; });

TEST_P(DeviceContract, CopiesOutExactlyWhatItIsTold) {
  const std::vector<std::byte> content = RandomBytes(10000, random_);
  const std::byte* const memory = AllocateHolding(content);
  for (int i = 0; i < 100; ++i) {
    const std::size_t begin = random_() % content.size();
    const std::size_t size = random_() % (content.size() - begin + 1);
    std::vector<std::byte> target(size + 1, std::byte{0xA5});
    device_.Wait(device_.StartCopyToHost(std::span(target).first(size), memory + begin, 0));
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
    device_.Wait(device_.StartCopyFromHost(memory + begin, source, 0));
    EXPECT_TRUE(rig_->Read(memory, expected.size()) == expected);
  }
}

TEST_P(DeviceContract, CopiesMoreThanAWindow) {
  const std::vector<std::byte> content = RandomBytes(2 * kWindowBytes + 3, random_);
  std::byte* const memory = rig_->Allocate(content.size());
  device_.Wait(device_.StartCopyFromHost(memory, content, 0));
  std::vector<std::byte> target(content.size());
  device_.Wait(device_.StartCopyToHost(target, memory, 0));
  EXPECT_TRUE(target == content);
}

TEST_P(DeviceContract, CopiesManyPiecesAtOnceEachToItsPlace) {
  const std::vector<std::byte> content = RandomBytes(200'000, random_);
  std::byte* const memory = AllocateHolding(content);
  for (int round = 0; round < 10; ++round) {
    // Pieces of any size, nothing included, with gaps on both sides.
    std::vector<Device::Copy> out;
    std::vector<std::byte> window(content.size() + 2, std::byte{0xA5});
    std::size_t begin = 0;
    while (begin < content.size()) {
      const std::size_t size = std::min(random_() % 700, content.size() - begin);
      out.push_back({&window[begin + 1], memory + begin, size});
      begin += size + random_() % 100;
    }
    std::ranges::shuffle(out, random_);
    device_.Wait(device_.StartCopiesToHost(out, 0));
    EXPECT_EQ(window.front(), std::byte{0xA5});
    EXPECT_EQ(window.back(), std::byte{0xA5});
    std::vector<std::byte> expected = content;
    std::vector<Device::Copy> in;
    for (const Device::Copy& piece : out) {
      const auto offset = static_cast<std::size_t>(piece.source - memory);
      EXPECT_TRUE(std::equal(piece.target, piece.target + piece.size, &content[offset]));
      for (std::size_t i = 0; i < piece.size; ++i) {
        expected[offset + i] = piece.target[i] = ~piece.target[i];
      }
      in.push_back({memory + offset, piece.target, piece.size});
    }
    device_.Wait(device_.StartCopiesFromHost(in, 0));
    EXPECT_TRUE(rig_->Read(memory, content.size()) == expected) << "nothing between them changes";
    rig_->Write(memory, content);
  }
}

TEST_P(DeviceContract, CopiesOfNothingNeedNoMemory) {
  device_.Wait(device_.StartCopyToHost({}, nullptr, 0));
  device_.Wait(device_.StartCopyFromHost(nullptr, {}, 0));
}

TEST_P(DeviceContract, WaitingForWhatHasEndedReturnsAtOnce) { device_.Wait(0); }

// Of one direction: a device may have a queue for each.
TEST_P(DeviceContract, CopiesInTheOrderOfTheirStarts) {
  const std::vector<std::byte> first = RandomBytes(5000, random_);
  const std::vector<std::byte> second = RandomBytes(5000, random_);
  std::byte* const memory = rig_->Allocate(10'000);
  const Device::Ticket first_in = device_.StartCopyFromHost(memory, first, 0);
  device_.Wait(device_.StartCopyFromHost(memory, second, 0));
  EXPECT_TRUE(rig_->Read(memory, 5000) == second);
  device_.Wait(first_in);
  rig_->Write(memory + 5000, first);
  std::vector<std::byte> target(5000);
  const Device::Ticket second_out = device_.StartCopyToHost(target, memory, 0);
  device_.Wait(device_.StartCopyToHost(target, memory + 5000, 0));
  EXPECT_TRUE(target == first);
  device_.Wait(second_out);
}

TEST_P(DeviceContract, TakesWaitsInAnyOrder) {
  constexpr std::size_t kCopies = 50;
  constexpr std::size_t kBytes = 333;
  const std::vector<std::byte> content = RandomBytes(kCopies * kBytes, random_);
  const std::byte* const memory = AllocateHolding(content);
  std::vector<std::vector<std::byte>> targets(kCopies, std::vector<std::byte>(kBytes));
  std::vector<std::pair<std::size_t, Device::Ticket>> tickets;
  for (std::size_t i = 0; i < kCopies; ++i)
    tickets.emplace_back(i, device_.StartCopyToHost(targets[i], memory + i * kBytes, 0));
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
        device_.Wait(device_.StartCopyFromHost(part, content, 0));
        std::vector<std::byte> target(kBytes);
        device_.Wait(device_.StartCopyToHost(target, part, 0));
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
    tickets.push_back(
        device_.StartCopyToHost(std::span(target).subspan(i * 100, 100), memory + i * 100, 0));
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
  device_.Wait(device_.StartCopyToHost(part, memory, 0));
  EXPECT_TRUE(std::ranges::equal(part, content));
  std::ranges::reverse(part);
  device_.Wait(device_.StartCopyFromHost(memory, part, 0));
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
  // Where the caller's stream stands; given back at the end of the test.
  Device::Mark Mark() {
    const std::vector<Device*> devices = {&device_};
    return marks_.emplace_back(devices, rig_->stream()).Of(device_);
  }

  Device& device_ = rig_->device();
  std::vector<StreamMarks> marks_;
};

GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(AcceleratorContract);
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

TEST_P(AcceleratorContract, CopiesWithinItsMemory) {
  const std::vector<std::byte> content = RandomBytes(50'000, random_);
  std::byte* const memory = rig_->Allocate(content.size());
  rig_->Write(memory, content);
  std::byte* const copy = device_.AllocateMemory(content.size());
  ASSERT_NE(copy, nullptr);
  EXPECT_TRUE(device_.Owns(copy));
  const std::vector<Device::Copy> copies = {{copy + 20'000, memory, 30'000},
                                            {copy, memory + 30'000, 20'000}};
  device_.Wait(device_.StartCopiesWithin(copies, 0));
  std::vector<std::byte> target(content.size());
  device_.Wait(device_.StartCopyToHost(target, copy, 0));
  EXPECT_TRUE(std::equal(target.begin() + 20'000, target.end(), content.begin()));
  EXPECT_TRUE(std::equal(target.begin(), target.begin() + 20'000, content.begin() + 30'000));
  device_.FreeMemory(copy);
}

TEST_P(AcceleratorContract, GivesNoMemoryWhenThereIsNotAsMuch) {
  EXPECT_EQ(device_.AllocateMemory(std::size_t{1} << 46), nullptr);
}

TEST_P(AcceleratorContract, FindsAPartThatHasAnotherSum) {
  const std::vector<std::byte> content = RandomBytes(kWindowBytes, random_);
  std::byte* const memory = rig_->Allocate(content.size());
  rig_->Write(memory, content);
  std::vector<Device::SummedPart> parts;
  for (std::size_t begin = 0; begin < content.size();) {
    const std::size_t size = std::min<std::size_t>(
        random_() % (random_() % 2 ? 100 : kChunkBytes) + 1, content.size() - begin);
    parts.push_back({memory + begin, size, Crc32c(std::span(content).subspan(begin, size))});
    begin += size;
  }
  std::size_t differing = 0;
  std::optional<Device::Ticket> ticket = device_.StartComparison(parts, differing);
  if (!ticket) GTEST_SKIP() << device_.name() << " does not sum";
  device_.Wait(*ticket);
  EXPECT_EQ(differing, parts.size());
  const std::size_t changed = random_() % parts.size();
  parts[changed].crc32c ^= 1;
  device_.Wait(*device_.StartComparison(parts, differing));
  EXPECT_EQ(differing, changed);
}

TEST_P(AcceleratorContract, CountsHistogramsOfEveryRealDTypeAsTheHostDoes) {
  for (int number = 0; number <= 33; ++number) {
    const auto dtype = static_cast<DType>(number);
    if (!IsRealDType(dtype)) continue;
    SCOPED_TRACE(DTypeName(dtype));
    const std::vector<std::byte> content = RandomReals(dtype, 20'000, random_);
    std::byte* const memory = rig_->Allocate(content.size());
    rig_->Write(memory, content);
    HistogramTotals totals;
    const auto ticket =
        device_.StartHistogram(ConstTensorView(memory, dtype, {200, 100}), totals, 0);
    if (!ticket) GTEST_SKIP() << device_.name() << " does not count";
    device_.Wait(*ticket);
    ExpectHostTotals(totals, ConstTensorView(content.data(), dtype, {200, 100}));
  }
}

TEST_P(AcceleratorContract, CountsWhatTheCallersStreamLeavesAndTellsWhatIsNotFinite) {
  std::vector<float> values(1000, 0.5F);
  values[7] = HUGE_VALF;
  values[8] = std::nanf("");
  const std::size_t size = values.size() * sizeof(float);
  std::byte* const memory = rig_->Allocate(size);
  rig_->Write(memory, std::vector<std::byte>(size));
  const auto content = std::as_bytes(std::span(values));
  rig_->WriteOnStream(memory, {content.begin(), content.end()});
  HistogramTotals totals;
  const auto ticket =
      device_.StartHistogram(ConstTensorView(memory, DType::kFloat32, {1000}), totals, Mark());
  rig_->ContinueStream();
  if (!ticket) GTEST_SKIP() << device_.name() << " does not count";
  device_.Wait(*ticket);
  EXPECT_EQ(totals.first_not_finite, 2 * 7U);
  EXPECT_EQ(totals.sum, 998 * 0.5);
}

TEST_P(AcceleratorContract, StartsManyCopiesBehindOneMark) {
  const std::vector<std::byte> content = RandomBytes(1000, random_);
  std::byte* const memory = rig_->Allocate(1000);
  rig_->WriteOnStream(memory, content);
  const Device::Mark mark = Mark();
  std::vector<std::vector<std::byte>> targets(5, std::vector<std::byte>(1000));
  std::vector<Device::Ticket> tickets;
  for (std::vector<std::byte>& target : targets) {
    tickets.push_back(device_.StartCopyToHost(target, memory, mark));
  }
  marks_.clear();  // what is started stays behind it
  rig_->ContinueStream();
  for (const Device::Ticket ticket : tickets) device_.Wait(ticket);
  for (const std::vector<std::byte>& target : targets) EXPECT_TRUE(target == content);
}

TEST_P(AcceleratorContract, DoesNotWaitForWhatComesOnTheStreamAfterTheMark) {
  const std::vector<std::byte> content = RandomBytes(1000, random_);
  std::byte* const memory = rig_->Allocate(1000);
  rig_->Write(memory, content);
  const Device::Mark mark = Mark();
  rig_->WriteOnStream(memory, RandomBytes(1000, random_));
  std::vector<std::byte> target(1000);
  device_.Wait(device_.StartCopyToHost(target, memory, mark));
  EXPECT_TRUE(target == content);
  rig_->ContinueStream();
}

TEST_P(AcceleratorContract, CopiesOutWhatTheCallersStreamLeaves) {
  const std::vector<std::byte> content = RandomBytes(1000, random_);
  std::byte* const memory = rig_->Allocate(1000);
  std::vector<std::byte> target(1000);
  rig_->WriteOnStream(memory, content);
  const Device::Ticket ticket = device_.StartCopyToHost(target, memory, Mark());
  rig_->ContinueStream();
  device_.Wait(ticket);
  EXPECT_TRUE(target == content);
}

TEST_P(AcceleratorContract, CopiesInOverWhatTheCallersStreamLeaves) {
  const std::vector<std::byte> content = RandomBytes(1000, random_);
  std::byte* const memory = rig_->Allocate(1000);
  rig_->WriteOnStream(memory, RandomBytes(1000, random_));
  const Device::Ticket ticket = device_.StartCopyFromHost(memory, content, Mark());
  rig_->ContinueStream();
  device_.Wait(ticket);
  EXPECT_TRUE(rig_->Read(memory, 1000) == content);
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
    tickets.push_back(device_.StartCopyToHost(target, memory, Mark()));
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
  EXPECT_EQ(CodeOf([&] { device_.StartCopyToHost(targets[0], memory, 0); }), Code::kUnavailable);
  EXPECT_EQ(CodeOf([&] { device_.StartCopyFromHost(memory, targets[0], 0); }), Code::kUnavailable);
}

}  // namespace
}  // namespace waypost
