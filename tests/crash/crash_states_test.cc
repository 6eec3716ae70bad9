// CrashStates counts a state once, whatever the ids of its saves are, and two that differ twice.
#include "crash/crash_states.h"

#include <gtest/gtest.h>

#include "crash/crash_rig.h"
#include "support/seed.h"
#include "support/sim_file_system.h"

namespace waypost {
namespace {

SimDisk DiskWith(const std::string& path, const std::string& content) {
  SimDisk disk;
  disk.files[path] = std::make_shared<const std::string>(content);
  return disk;
}

TEST(CrashStateHash, LeavesOutTheIdsOfSaves) {
  const auto lock_of = [](const std::string& id, const std::string& replaced) {
    return CrashStateHash(DiskWith("/c/m.waypost-" + id + ".lock", "replaced " + replaced));
  };
  EXPECT_EQ(lock_of("0123456789abcdef", "0000000000000000"),
            lock_of("fedcba9876543210", "1111111111111111"));
  SimDisk link;
  link.links["/c/m"] = "/d/m.0123456789abcdef.data";
  SimDisk other = link;
  other.links["/c/m"] = "/d/m.0123456789abcdee.data";
  EXPECT_EQ(CrashStateHash(link), CrashStateHash(other));
}

TEST(CrashStateHash, TellsAllElseApart) {
  const std::uint64_t hash = CrashStateHash(DiskWith("/c/m", "content"));
  EXPECT_NE(hash, CrashStateHash(DiskWith("/c/n", "content")));
  EXPECT_NE(hash, CrashStateHash(DiskWith("/c/m", "contenT")));
  EXPECT_NE(hash, CrashStateHash(DiskWith("/c/m", std::string("content\0", 8))));
  SimDisk disk = DiskWith("/c/m", "content");
  disk.directories.insert("/c");
  EXPECT_NE(hash, CrashStateHash(disk));
  disk = DiskWith("/c/m", "content");
  disk.links["/c/l"] = "/c/m";
  EXPECT_NE(hash, CrashStateHash(disk));
}

// Else the same crash of two runs would count as two states.
TEST(CrashStates, TheSameCrashOfTwoRunsIsOneState) {
  CrashStates states("twice");
  for (int run = 0; run < 2; ++run) {
    CrashRig rig({.ids_by_step = true});
    SimFileSystem fs(TestSeed());
    rig.Save(fs, 1, {.prefix = "/ckpt/m"});
    rig.Save(fs, 2, {.prefix = "/ckpt/m"});
    states.Add(fs.DisksAfterPowerCut(1).front());
  }
  EXPECT_EQ(states.disks(), 2U);
  EXPECT_EQ(states.distinct(), 1U);
}

}  // namespace
}  // namespace waypost
