// IoRing settles what a backend may answer.  A scripted backend gives the n-th submission its
// result; the tests look at what is submitted again, and at what the client is told.
#include "io/io_ring.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cerrno>
#include <deque>

#include "base/bytes.h"
#include "io/file_system.h"

namespace waypost {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr std::int64_t kAll = -100000;  // in a script: the whole request

// What was submitted: offset and size.
using Submission = std::pair<std::uint64_t, std::size_t>;

struct Script {
  std::deque<std::int64_t> results;  // then `otherwise`, for ever
  std::int64_t otherwise = kAll;
  bool last_first = false;  // the order of completions
  int polls_in_vain = 0;    // so often Poll finds nothing
  std::vector<Submission> submitted;
  std::vector<const std::byte*> addresses;
  std::vector<bool> through_cache;
  std::size_t in_flight_max = 0;
};

class ScriptedBackend final : public IoBackend {
 public:
  explicit ScriptedBackend(Script& script) : script_(script) {}

  void Submit(const IoRequest& request) override {
    script_.submitted.emplace_back(request.offset, request.size);
    script_.addresses.push_back(request.data);
    script_.through_cache.push_back(request.through_cache);
    std::int64_t result = script_.otherwise;
    if (!script_.results.empty()) {
      result = script_.results.front();
      script_.results.pop_front();
    }
    if (result == kAll) result = static_cast<std::int64_t>(request.size);
    waiting_.push_back({request.tag, result});
    script_.in_flight_max = std::max(script_.in_flight_max, waiting_.size());
  }

  std::size_t Wait(std::span<IoCompletion> completions) override {
    EXPECT_FALSE(waiting_.empty());
    return Take(completions);
  }

  std::size_t Poll(std::span<IoCompletion> completions) override {
    if (script_.polls_in_vain > 0) {
      --script_.polls_in_vain;
      return 0;
    }
    return Take(completions);
  }

  std::size_t depth() const noexcept override { return 4; }
  std::string_view name() const noexcept override { return "scripted"; }

 private:
  std::size_t Take(std::span<IoCompletion> completions) {
    if (script_.last_first) std::reverse(waiting_.begin(), waiting_.end());
    const std::size_t count = std::min(completions.size(), waiting_.size());
    std::copy_n(waiting_.begin(), count, completions.begin());
    waiting_.erase(waiting_.begin(), waiting_.begin() + static_cast<std::ptrdiff_t>(count));
    return count;
  }

  Script& script_;
  std::vector<IoCompletion> waiting_;
};

class UnusedFile final : public DataFile {
 public:
  const std::string& path() const noexcept override { return path_; }
  std::uint64_t size() const override { return 0; }
  void Reserve(std::uint64_t /*size_bytes*/) override {}
  void DataSync() override {}
  std::optional<std::uint64_t> CachedBytes(std::uint64_t /*begin*/,
                                           std::uint64_t /*end*/) const override {
    return std::nullopt;
  }
  std::unique_ptr<MappedFile> Map() const override { return nullptr; }

 private:
  std::string path_;
};

struct Told {
  std::uint64_t tag;
  std::size_t size;
  int errno_value;
  bool operator==(const Told&) const = default;
};
std::ostream& operator<<(std::ostream& stream, const Told& told) {
  return stream << "tag " << told.tag << ", " << told.size << " bytes, errno " << told.errno_value;
}

class Recorder final : public IoRing::Client {
 public:
  void OnTransferDone(std::uint64_t tag, std::size_t size, int errno_value) noexcept override {
    told.push_back({tag, size, errno_value});
  }
  std::vector<Told> told;
};

class IoRingTest : public ::testing::Test {
 protected:
  // One write (or read) of ten bytes at offset 100, by itself.
  void WriteTen() {
    ring_.Write(file_, AsBytes("0123456789"), 100, recorder_, 7);
    Drain();
  }
  void ReadTen() {
    ring_.Read(file_, buffer_, 100, recorder_, 7);
    Drain();
  }
  void Drain() {
    while (ring_.WaitOne()) {
    }
  }

  Script script_;
  UnusedFile file_;
  std::vector<std::byte> buffer_ = std::vector<std::byte>(10);
  Recorder recorder_;
  IoRing ring_{std::make_unique<ScriptedBackend>(script_)};
};

TEST_F(IoRingTest, PassesAWholeTransferOnAsItIs) {
  ReadTen();
  EXPECT_THAT(script_.submitted, ElementsAre(Submission{100, 10}));
  EXPECT_THAT(recorder_.told, ElementsAre(Told{7, 10, 0}));
}

TEST_F(IoRingTest, ResumesAfterShortWritesWhereTheyEnded) {
  script_.results = {3, 2};
  WriteTen();
  EXPECT_THAT(script_.submitted,
              ElementsAre(Submission{100, 10}, Submission{103, 7}, Submission{105, 5}));
  EXPECT_EQ(script_.addresses[1], script_.addresses[0] + 3);
  EXPECT_EQ(script_.addresses[2], script_.addresses[0] + 5);
  EXPECT_THAT(recorder_.told, ElementsAre(Told{7, 10, 0}));
}

TEST_F(IoRingTest, RetriesWhatWasInterrupted) {
  script_.results = {-EINTR, -EAGAIN, 4, -EINTR};
  WriteTen();
  EXPECT_THAT(script_.submitted,
              ElementsAre(Submission{100, 10}, Submission{100, 10}, Submission{100, 10},
                          Submission{104, 6}, Submission{104, 6}));
  EXPECT_THAT(recorder_.told, ElementsAre(Told{7, 10, 0}));
}

TEST_F(IoRingTest, DoesNotRetryForEver) {
  script_.otherwise = -EAGAIN;
  WriteTen();
  EXPECT_EQ(script_.submitted.size(), 1000U);
  EXPECT_THAT(recorder_.told, ElementsAre(Told{7, 0, EAGAIN}));
}

TEST_F(IoRingTest, CountsRetriesAnewAfterEachProgress) {
  for (int byte = 0; byte < 3; ++byte) {
    script_.results.insert(script_.results.end(), 999, -EAGAIN);
    script_.results.push_back(1);
  }
  WriteTen();
  EXPECT_THAT(recorder_.told, ElementsAre(Told{7, 10, 0}));
}

TEST_F(IoRingTest, AWriteThatTransfersNothingIsAnError) {
  script_.results = {0};
  WriteTen();
  EXPECT_THAT(recorder_.told, ElementsAre(Told{7, 0, EIO}));
}

TEST_F(IoRingTest, AnErrorAfterAShortWriteTellsHowFarItCame) {
  script_.results = {4, -ENOSPC};
  WriteTen();
  EXPECT_EQ(script_.submitted.size(), 2U) << "an error is not retried";
  EXPECT_THAT(recorder_.told, ElementsAre(Told{7, 4, ENOSPC}));
}

TEST_F(IoRingTest, AReadThatMeetsTheEndOfTheFileIsShortAndNoError) {
  script_.results = {4, 0};
  ReadTen();
  EXPECT_THAT(recorder_.told, ElementsAre(Told{7, 4, 0}));
}

TEST_F(IoRingTest, TellsEachClientOfItsOwnTransferInAnyOrder) {
  script_.last_first = true;
  script_.results = {1, 2, -EIO, kAll};
  Recorder other;
  for (std::uint64_t tag = 0; tag < 4; ++tag) {
    ring_.Write(file_, AsBytes("0123456789"), 1000 * tag, tag % 2 == 0 ? recorder_ : other, tag);
  }
  EXPECT_THAT(recorder_.told, IsEmpty()) << "nobody is told before it is waited for";
  Drain();
  EXPECT_THAT(recorder_.told, ElementsAre(Told{2, 0, EIO}, Told{0, 10, 0}));
  EXPECT_THAT(other.told, ElementsAre(Told{3, 10, 0}, Told{1, 10, 0}));
  EXPECT_THAT(script_.submitted,
              ElementsAre(Submission{0, 10}, Submission{1000, 10}, Submission{2000, 10},
                          Submission{3000, 10}, Submission{1002, 8}, Submission{1, 9}));
}

TEST_F(IoRingTest, NeverExceedsTheBackendsDepth) {
  for (std::uint64_t tag = 0; tag < 50; ++tag) {
    script_.results.push_back(tag % 3 == 0 ? 5 : kAll);
    ring_.Write(file_, AsBytes("0123456789"), 0, recorder_, tag);
    EXPECT_LE(ring_.in_flight(), 4U);
  }
  Drain();
  EXPECT_EQ(script_.in_flight_max, 4U);
  EXPECT_EQ(recorder_.told.size(), 50U);
}

TEST_F(IoRingTest, WaitOneWaitsUntilATransferHasEnded) {
  script_.results = {-EINTR, 3, -EAGAIN};
  ring_.Write(file_, AsBytes("0123456789"), 0, recorder_, 1);
  EXPECT_EQ(ring_.in_flight(), 1U);
  EXPECT_TRUE(ring_.WaitOne());
  EXPECT_EQ(recorder_.told.size(), 1U);
  EXPECT_EQ(ring_.in_flight(), 0U);
  EXPECT_FALSE(ring_.WaitOne());
}

TEST_F(IoRingTest, PollSettlesWhatHasComeBackAndDoesNotWait) {
  script_.results = {4, -EINTR, kAll};
  script_.polls_in_vain = 1;
  EXPECT_FALSE(ring_.Poll()) << "nothing is in flight";
  EXPECT_EQ(script_.polls_in_vain, 1) << "and the backend is not asked";
  ring_.Write(file_, AsBytes("0123456789"), 0, recorder_, 1);
  EXPECT_FALSE(ring_.Poll()) << "it has not come back";
  EXPECT_FALSE(ring_.Poll()) << "it came back short";
  EXPECT_FALSE(ring_.Poll()) << "its rest was interrupted";
  EXPECT_THAT(recorder_.told, IsEmpty());
  EXPECT_TRUE(ring_.Poll());
  EXPECT_THAT(recorder_.told, ElementsAre(Told{1, 10, 0}));
  EXPECT_THAT(script_.submitted,
              ElementsAre(Submission{0, 10}, Submission{4, 6}, Submission{4, 6}));
}

TEST_F(IoRingTest, AReadThroughTheCacheStaysOneWhenItIsResumed) {
  script_.results = {4};
  ring_.ReadThroughCache(file_, buffer_, 100, recorder_, 7);
  Drain();
  ReadTen();
  EXPECT_THAT(script_.through_cache, ElementsAre(true, true, false));
  EXPECT_THAT(recorder_.told, ElementsAre(Told{7, 10, 0}, Told{7, 10, 0}));
}

TEST_F(IoRingTest, TransfersOfNothingEndAtOnce) {
  ring_.Write(file_, {}, 5, recorder_, 1);
  ring_.Read(file_, {}, 5, recorder_, 2);
  EXPECT_THAT(recorder_.told, ElementsAre(Told{1, 0, 0}, Told{2, 0, 0}));
  EXPECT_THAT(script_.submitted, IsEmpty());
}

TEST_F(IoRingTest, DestructionWaitsForWhatIsInFlight) {
  Script script;
  script.results = {3, -EINTR, -EIO};
  {
    IoRing ring(std::make_unique<ScriptedBackend>(script));
    for (std::uint64_t tag = 0; tag < 3; ++tag) {
      ring.Write(file_, AsBytes("0123456789"), 0, recorder_, tag);
    }
  }
  EXPECT_THAT(recorder_.told, ElementsAre(Told{2, 0, EIO}, Told{0, 10, 0}, Told{1, 10, 0}));
}

TEST_F(IoRingTest, ABackendThatClaimsMoreThanWasAskedStopsTheProcess) {
  script_.results = {11};
  EXPECT_DEATH(WriteTen(), "size <= rest.size");
}

}  // namespace
}  // namespace waypost
