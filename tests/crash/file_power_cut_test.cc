// The power is cut at every operation of ReplaceFile, which writes state files and graphs outside
// of a save: the name leads to the old or the new content, whole, and to the new one once the call
// has returned.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/bytes.h"
#include "crash/crash_states.h"
#include "support/full_run.h"
#include "support/seed.h"
#include "support/sim_file_system.h"

namespace waypost {
namespace {

const std::string kPath = "/d/checkpoint";
// Beyond a page, so that a part of it may be on the drive.
const std::string kOld(5000, 'o');
const std::string kNew(9000, 'n');

// Of a file that is there durably, or not there.
class FilePowerCut : public testing::TestWithParam<bool> {
 protected:
  bool IsThereBefore() const { return GetParam(); }
  std::string Before() const { return IsThereBefore() ? kOld : ""; }

  void Prepare(SimFileSystem& fs) const {
    CreateDirectories(fs, "/d");
    if (IsThereBefore()) ReplaceFile(fs, kPath, kPath + ".first", AsBytes(kOld));
  }
  static std::string Content(SimFileSystem& fs) {
    return fs.Stat(kPath) ? ReadFile(fs, kPath, 1 << 20) : "";
  }
};

TEST_P(FilePowerCut, LeavesTheOldOrTheNewContentAtEveryOperation) {
  CrashStates states(IsThereBefore() ? "file replaced" : "file made");
  bool finished = false;
  for (std::uint64_t operation = 0; !finished; ++operation) {
    SimFileSystem fs(TestSeed() + operation);
    Prepare(fs);
    fs.CutPowerAt(operation);
    try {
      ReplaceFile(fs, kPath, kPath + ".tmp", AsBytes(kNew));
      finished = true;
    } catch (const Error& error) {
      EXPECT_TRUE(fs.power_is_off()) << error.what();
    }
    states.AddCut();
    for (const SimDisk& disk : fs.DisksAfterPowerCut(InFullRun<std::size_t>(512, 64))) {
      states.Add(disk);
      SimFileSystem after(disk, TestSeed());
      const std::string content = Content(after);
      EXPECT_TRUE(content == kNew || (!finished && content == Before()))
          << "operation " << operation << ": " << content.size() << " bytes";
    }
  }
  states.Print();
  EXPECT_GE(states.cuts(), 5U);  // create, append, sync, rename, sync of the directory
}

INSTANTIATE_TEST_SUITE_P(Where, FilePowerCut, testing::Bool(),
                         [](const auto& param) { return param.param ? "there" : "not_there"; });

}  // namespace
}  // namespace waypost
