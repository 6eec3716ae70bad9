// Which way a transfer goes, and what a refusal changes.  The ladder is told of refusals here; that
// the kernel gives them is shown in io_paths_test.cc.
#include "io/access_ladder.h"

#include <fcntl.h>
#include <gtest/gtest.h>

#include <cerrno>

#include "base/units.h"
#include "io/posix_file.h"
#include "support/aligned_bytes.h"
#include "support/temp_dir.h"
#include "waypost/error.h"

namespace waypost {
namespace {

constexpr int kFlags = O_RDWR | O_CREAT;

class AccessLadderTest : public ::testing::Test {
 protected:
  UniqueFd Open(const std::string& path) {
    UniqueFd fd(::open(path.c_str(), kFlags | O_CLOEXEC, 0600));
    EXPECT_TRUE(fd);
    return fd;
  }
  IoRequest Request(IoRequest::Kind kind, std::size_t size, std::size_t skew = 0) const {
    return {.kind = kind, .data = memory_.bytes().data() + skew, .size = size, .offset = 0};
  }
  IoRequest Write(std::size_t size, std::size_t skew = 0) const {
    return Request(IoRequest::Kind::kWrite, size, skew);
  }
  // nullptr, and the test is over, where the file system has no O_DIRECT.
  std::unique_ptr<AccessLadder> DirectLadder() {
    auto ladder = std::make_unique<AccessLadder>(fd_.get(), kFlags, path_, FileAccess::kDirect);
    return ladder->Describe() == "direct" ? std::move(ladder) : nullptr;
  }

  TempDir directory_;
  std::string path_ = directory_.File("data");
  UniqueFd fd_ = Open(path_);
  AlignedBytes memory_{8 * kMiB};
};

constexpr char kNoDirect[] = "this file system has no O_DIRECT";

TEST_F(AccessLadderTest, WholeBlocksGoDirectAndTheRestBuffered) {
  const auto ladder = DirectLadder();
  if (!ladder) GTEST_SKIP() << kNoDirect;
  const TransferPlan direct = ladder->Plan(Write(kPageBytes));
  EXPECT_EQ(direct.access, FileAccess::kDirect);
  EXPECT_NE(direct.fd, fd_.get());
  EXPECT_NE(::fcntl(direct.fd, F_GETFL) & O_DIRECT, 0);
  EXPECT_EQ(::fcntl(direct.fd, F_GETFL) & O_NONBLOCK, 0);
  for (const IoRequest& request : {Write(kPageBytes - 512), Write(kPageBytes, 512)}) {
    EXPECT_EQ(ladder->Plan(request).access, FileAccess::kDontCache);
    EXPECT_EQ(ladder->Plan(request).fd, fd_.get());
  }
  IoRequest odd_offset = Write(kPageBytes);
  odd_offset.offset = 512;
  EXPECT_EQ(ladder->Plan(odd_offset).access, FileAccess::kDontCache);
  IoRequest cached = Request(IoRequest::Kind::kRead, kPageBytes);
  EXPECT_EQ(ladder->Plan(cached).access, FileAccess::kDirect);
  cached.through_cache = true;
  EXPECT_EQ(ladder->Plan(cached).access, FileAccess::kPlain);
}

TEST_F(AccessLadderTest, ARefusedWayIsNotTriedAgain) {
  const auto ladder = DirectLadder();
  if (!ladder) GTEST_SKIP() << kNoDirect;
  const IoRequest request = Write(4 * kMiB);
  TransferPlan plan = ladder->Plan(request);
  EXPECT_TRUE(ladder->ComeDown(plan, EINVAL));
  EXPECT_TRUE(ladder->ComeDown(plan, EINVAL)) << "another transfer was under way";
  EXPECT_EQ(ladder->Describe(),
            "buffered with RWF_DONTCACHE (O_DIRECT transfer: Invalid argument)");

  plan = ladder->Plan(request);
  EXPECT_EQ(plan.access, FileAccess::kDontCache);
  EXPECT_NE(plan.rwf_flags, 0);
  EXPECT_TRUE(ladder->ComeDown(plan, EOPNOTSUPP));
  EXPECT_EQ(ladder->Describe(),
            "buffered with early write-back (O_DIRECT transfer: Invalid argument; RWF_DONTCACHE: "
            "Operation not supported)");

  plan = ladder->Plan(request);
  EXPECT_EQ(plan.access, FileAccess::kWriteBack);
  EXPECT_EQ(plan.rwf_flags, 0);
  EXPECT_EQ(plan.size, kMiB) << "it comes back short, and IoRing goes on";
  EXPECT_EQ(ladder->Plan(Request(IoRequest::Kind::kRead, 4 * kMiB)).size, 4 * kMiB);
  EXPECT_FALSE(ladder->ComeDown(plan, EINVAL)) << "a plain write's error is the transfer's";
}

TEST_F(AccessLadderTest, OnlyARefusalIsARefusal) {
  const auto ladder = DirectLadder();
  if (!ladder) GTEST_SKIP() << kNoDirect;
  const TransferPlan plan = ladder->Plan(Write(kPageBytes));
  for (const int errno_value : {EIO, ENOSPC, EDQUOT, EFBIG, EINTR, EAGAIN, EBADF, EPERM}) {
    EXPECT_FALSE(ladder->ComeDown(plan, errno_value));
  }
  EXPECT_EQ(ladder->Describe(), "direct");
}

TEST_F(AccessLadderTest, WithoutDontCacheWholeBlocksStillGoDirect) {
  const auto ladder = DirectLadder();
  if (!ladder) GTEST_SKIP() << kNoDirect;
  EXPECT_TRUE(ladder->ComeDown(ladder->Plan(Write(100)), EOPNOTSUPP));
  EXPECT_EQ(ladder->Plan(Write(100)).access, FileAccess::kWriteBack);
  EXPECT_EQ(ladder->Plan(Write(kPageBytes)).access, FileAccess::kDirect);
  EXPECT_EQ(ladder->Describe(), "direct");
}

TEST_F(AccessLadderTest, AnotherFileUnderTheNameIsNotWrittenTo) {
  const UniqueFd other = Open(directory_.File("other"));
  AccessLadder ladder(fd_.get(), kFlags, directory_.File("other"), FileAccess::kDirect);
  EXPECT_EQ(ladder.Plan(Write(kPageBytes)).fd, fd_.get());
  AccessLadder gone(fd_.get(), O_RDWR, directory_.File("gone"), FileAccess::kDirect);
  EXPECT_EQ(gone.Plan(Write(kPageBytes)).fd, fd_.get());
  EXPECT_NE(gone.Describe().find("(O_DIRECT: No such file or directory)"), std::string::npos);
}

TEST_F(AccessLadderTest, WhoeverWantsLessGetsLess) {
  for (const FileAccess access :
       {FileAccess::kDontCache, FileAccess::kWriteBack, FileAccess::kPlain}) {
    AccessLadder ladder(fd_.get(), kFlags, path_, access);
    EXPECT_EQ(ladder.Plan(Write(kPageBytes)).access, access);
    EXPECT_EQ(ladder.Plan(Write(100)).access, access);
  }
}

TEST_F(AccessLadderTest, FilesInMemoryArePlain) {
  std::unique_ptr<TempDir> memory;
  try {
    memory = std::make_unique<TempDir>("/dev/shm");
  } catch (const Error& error) {
    GTEST_SKIP() << error.what();
  }
  const UniqueFd fd = Open(memory->File("data"));
  AccessLadder ladder(fd.get(), kFlags, memory->File("data"), FileAccess::kDirect);
  EXPECT_EQ(ladder.Plan(Write(kPageBytes)).access, FileAccess::kPlain);
  EXPECT_EQ(ladder.Describe(), "buffered (the file is in memory)");
}

// A descriptor that cannot be written back early: EBADF is the transfer's error, ESPIPE a refusal.
TEST_F(AccessLadderTest, AnErrorOfWriteBackIsTheTransfers) {
  AccessLadder ladder(fd_.get(), kFlags, path_, FileAccess::kWriteBack);
  TransferPlan plan = ladder.Plan(Write(kPageBytes));
  EXPECT_EQ(ladder.WriteBack(plan, 0, kPageBytes), 0);
  plan.fd = -1;
  EXPECT_EQ(ladder.WriteBack(plan, 0, kPageBytes), EBADF);
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  const UniqueFd reading(ends[0]);
  const UniqueFd writing(ends[1]);
  plan.fd = writing.get();
  EXPECT_EQ(ladder.WriteBack(plan, 0, kPageBytes), 0);
  EXPECT_EQ(ladder.Describe(), "buffered (sync_file_range: Illegal seek)");
}

}  // namespace
}  // namespace waypost
