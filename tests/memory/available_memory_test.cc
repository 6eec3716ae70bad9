// FindAvailableMemory over made-up trees of /proc and /sys/fs/cgroup: the least limit counts,
// wherever it is; what is missing or no number limits nothing.
#include "memory/available_memory.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <filesystem>
#include <fstream>

#include "base/units.h"
#include "support/temp_dir.h"

namespace waypost {
namespace {

class AvailableMemoryTest : public ::testing::Test {
 protected:
  void Write(const std::string& path, const std::string& content) {
    std::filesystem::create_directories(std::filesystem::path(dir_.File(path)).parent_path());
    std::ofstream(dir_.File(path)) << content;
  }
  void WriteMeminfo(std::uint64_t mib) {
    Write("proc/meminfo",
          "MemTotal:       99999999 kB\nMemFree:          100 kB\nMemAvailable:   " +
              std::to_string(mib * 1024) + " kB\nHugePages_Total:       0\n");
  }
  // A group of version 2; the numbers in MiB.
  void WriteGroup(const std::string& group, std::uint64_t max, std::uint64_t current,
                  std::uint64_t inactive_file) {
    Write("cgroup" + group + "/memory.max", std::to_string(max * kMiB) + "\n");
    Write("cgroup" + group + "/memory.current", std::to_string(current * kMiB) + "\n");
    Write("cgroup" + group + "/memory.stat", "anon 12345\nfile 678\ninactive_file " +
                                                 std::to_string(inactive_file * kMiB) +
                                                 "\nactive_file 99\n");
  }
  // MiB and the file that told, "50 cgroup/a/memory.max".
  std::string Found() const {
    const auto available = FindAvailableMemory({dir_.File("proc"), dir_.File("cgroup")});
    if (!available) return "nothing";
    return std::to_string(available->bytes / kMiB) + " " +
           available->told_by.substr(dir_.File("").size());
  }

  TempDir dir_;
};

TEST_F(AvailableMemoryTest, IsUnknownWhereNothingTells) { EXPECT_EQ(Found(), "nothing"); }

TEST_F(AvailableMemoryTest, IsTheMachinesWithoutALimit) {
  WriteMeminfo(1000);
  EXPECT_EQ(Found(), "1000 proc/meminfo");
  Write("proc/self/cgroup", "0::/a/b\n");
  EXPECT_EQ(Found(), "1000 proc/meminfo") << "the group has no files";
  Write("cgroup/a/b/memory.max", "max\n");
  Write("cgroup/a/b/memory.current", "123456789\n");
  EXPECT_EQ(Found(), "1000 proc/meminfo");
}

TEST_F(AvailableMemoryTest, IsWhatTheGroupMayStillTake) {
  WriteMeminfo(1000);
  Write("proc/self/cgroup", "0::/a/b\n");
  WriteGroup("/a/b", 300, 250, 0);
  EXPECT_EQ(Found(), "50 cgroup/a/b/memory.max");
  WriteGroup("/a/b", 300, 250, 120);
  EXPECT_EQ(Found(), "170 cgroup/a/b/memory.max") << "page cache is given up";
  WriteGroup("/a/b", 5000, 250, 0);
  EXPECT_EQ(Found(), "1000 proc/meminfo");
}

TEST_F(AvailableMemoryTest, CountsTheLimitsOfAllGroupsAbove) {
  WriteMeminfo(1000);
  Write("proc/self/cgroup", "0::/a/b/c\n");
  WriteGroup("/a/b/c", 300, 10, 0);
  WriteGroup("/a", 300, 280, 10);
  EXPECT_EQ(Found(), "30 cgroup/a/memory.max");
  WriteGroup("", 300, 280, 0);
  EXPECT_EQ(Found(), "20 cgroup/memory.max") << "what a container sees as the root";
}

TEST_F(AvailableMemoryTest, IsNothingBeyondTheLimit) {
  Write("proc/self/cgroup", "0::/\n");
  WriteGroup("", 300, 400, 0);
  EXPECT_EQ(Found(), "0 cgroup/memory.max");
  WriteGroup("", 300, 20, 50);
  EXPECT_EQ(Found(), "300 cgroup/memory.max") << "counters are not read at one instant";
}

TEST_F(AvailableMemoryTest, TakesALimitWithoutCounters) {
  Write("proc/self/cgroup", "0::/a\n");
  Write("cgroup/a/memory.max", std::to_string(7 * kMiB));
  EXPECT_EQ(Found(), "7 cgroup/a/memory.max");
}

TEST_F(AvailableMemoryTest, KnowsVersionOneBesideVersionTwo) {
  WriteMeminfo(1000);
  Write("proc/self/cgroup",
        "12:devices:/x\n5:cpu,memory:/docker/1:2\n4:memory_like:/y\n0::/unified/z\n");
  const std::string group = "cgroup/memory/docker/1:2/";
  Write(group + "memory.limit_in_bytes", "9223372036854771712\n");
  Write(group + "memory.usage_in_bytes", "1000\n");
  EXPECT_EQ(Found(), "1000 proc/meminfo") << "that is no limit";
  Write(group + "memory.limit_in_bytes", std::to_string(200 * kMiB));
  Write(group + "memory.usage_in_bytes", std::to_string(180 * kMiB));
  Write(group + "memory.stat", "inactive_file 1\ntotal_inactive_file " + std::to_string(30 * kMiB) +
                                   "\ntotal_active_file 5\n");
  EXPECT_EQ(Found(), "50 cgroup/memory/docker/1:2/memory.limit_in_bytes");
  Write("cgroup/unified/unified/memory.max", std::to_string(40 * kMiB));
  EXPECT_EQ(Found(), "40 cgroup/unified/unified/memory.max");
}

TEST_F(AvailableMemoryTest, FindsTheRootThatAContainerSees) {
  // The container sees its own group as the root, and /proc names it as the host does.
  WriteMeminfo(1000);
  Write("proc/self/cgroup", "3:memory:/docker/abc\n");
  Write("cgroup/memory/memory.limit_in_bytes", std::to_string(60 * kMiB));
  EXPECT_EQ(Found(), "60 cgroup/memory/memory.limit_in_bytes");
}

TEST_F(AvailableMemoryTest, MakesNothingOfLinesThatItDoesNotKnow) {
  WriteMeminfo(1000);
  Write("proc/self/cgroup", "\n:\nmemory\n0::no slash\n7:memory:\n0::/../a\n");
  Write("cgroup/memory.max", "none\n");
  EXPECT_EQ(Found(), "1000 proc/meminfo");
}

TEST(AvailableMemory, KnowsThisMachine) {
  const std::optional<AvailableMemory> available = FindAvailableMemory();
  ASSERT_TRUE(available);
  EXPECT_GT(available->bytes, kMiB);
}

}  // namespace
}  // namespace waypost
