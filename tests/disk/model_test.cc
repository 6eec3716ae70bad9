// A real ext4 on a real block device leaves nothing that the simulated disk (support/sim_model.h)
// does not know, so what tests/crash proves there holds here.
//
// The same saves are done twice, call by call in the same order and with the same bytes: on an ext4
// whose drive is recorded, with O_DIRECT and io_uring, each changing call marked in the record; and
// on a SimFileSystem.  Then the record is cut at its moments, with the drive's unflushed writes
// kept, lost, or some of them kept, and ext4 mounts what is left and recovers its journal.  What is
// compared: all of the checkpoint's directories, with each name, the bytes of each file, the target
// of each link, must be a disk that the simulation may leave (SimVerdict) at the call that was
// under way, or at the next.  And the latest checkpoint is whole, and not older than the last that
// was committed before the cut.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <set>

#include "crash/crash_rig.h"
#include "disk/mount_space.h"
#include "disk/recorded_disks.h"
#include "disk/replay.h"
#include "manage/checkpoint_state_files.h"
#include "support/full_run.h"
#include "support/seed.h"
#include "support/sim_file_system.h"
#include "support/temp_dir.h"
#include "support/watched_file_system.h"
#include "support/wrapped_file_system.h"

namespace waypost {
namespace {

constexpr std::size_t kDiskBytes = std::size_t{16} << 20;
constexpr std::size_t kBigTensorBytes = 150'000;  // several blocks
constexpr int kSteps = 3;
constexpr std::uint64_t kFirstSaveId = 0x1000;

struct Scenario {
  std::string name;
  bool same_prefix = false;
  bool sharded = false;
  std::size_t disks = 1;  // two: the data files are in two directories of the second one
};

// Directories are known by their paths, so that lock files and indexes, which hold a mark of their
// directory (io/directory_mark.h), have the same bytes on both sides.
class SameDirectories final : public WrappedFileSystem {
 public:
  using WrappedFileSystem::WrappedFileSystem;

  std::optional<FileStat> Stat(const std::string& path) override {
    std::optional<FileStat> stat = WrappedFileSystem::Stat(path);
    if (stat && stat->is_directory) {
      stat->device = 1;
      stat->inode = std::hash<std::string>()(path);
    }
    return stat;
  }
};

void PrintTo(const Scenario& scenario, std::ostream* stream) { *stream << scenario.name; }

class Ext4Model : public testing::TestWithParam<Scenario> {
 protected:
  void SetUp() override {
    WAYPOST_SKIP_WITHOUT_MOUNTS();
    disks_.emplace(dir_.File("disks"), GetParam().disks, kDiskBytes);
    checkpoints_ = disks_->path(0) + "/ckpt";
    if (GetParam().disks > 1) storage_dirs_ = {disks_->path(1) + "/a", disks_->path(1) + "/b"};
  }

  StepOptions OptionsOf(int step) const {
    StepOptions options = {.prefix = checkpoints_ + "/m",
                           .sharded = GetParam().sharded,
                           .storage_dirs = storage_dirs_,
                           .save_id = kFirstSaveId + static_cast<std::uint64_t>(step)};
    if (GetParam().same_prefix) return options;
    options.prefix += fmt::format("-{}", step);
    if (step > 1) options.retired = {fmt::format("{}/m-{}", checkpoints_, step - 1)};
    return options;
  }

  void SaveSteps(FileSystem& fs, const WatchedFileSystem::Watch& watch,
                 const std::function<void(int step)>& committed) {
    SameDirectories same(fs);
    WatchedFileSystem watched(same, watch);
    for (int step = 1; step <= kSteps; ++step) {
      rig_.Save(watched, step, OptionsOf(step));
      committed(step);
    }
  }

  void Record() {
    for (const std::string& directory : storage_dirs_)
      CreateDirectories(PosixFileSystem(), directory);
    disks_->Mark("begin");
    SaveSteps(
        PosixFileSystem(),
        [&](const std::string& call) {
          disks_->Mark("call " + call);
          calls_.push_back(call);
        },
        [&](int step) { disks_->Mark(fmt::format("committed {}", step)); });
    disks_->Unmount();
  }

  // A disk with the directories that stand before the first save.
  SimDisk EmptyDisk() const {
    SimDisk disk;
    std::vector<std::string> directories = {disks_->path(0)};
    directories.insert(directories.end(), storage_dirs_.begin(), storage_dirs_.end());
    for (const std::string& directory : directories) {
      for (std::filesystem::path path = directory; path != "/"; path = path.parent_path()) {
        disk.directories.insert(path);
      }
    }
    return disk;
  }

  // What stands in the real directories now.
  SimDisk ReadDisks() const {
    SimDisk disk = EmptyDisk();
    if (std::filesystem::exists(checkpoints_)) disk.directories.insert(checkpoints_);
    std::vector<std::string> directories = {checkpoints_};
    directories.insert(directories.end(), storage_dirs_.begin(), storage_dirs_.end());
    FileSystem& fs = PosixFileSystem();
    for (const std::string& directory : directories) {
      if (!fs.Stat(directory)) continue;
      for (const std::string& name : fs.List(directory)) {
        const std::string path = JoinPath(directory, name);
        if (const auto target = fs.ReadLink(path)) {
          disk.links[path] = *target;
        } else {
          disk.files[path] =
              std::make_shared<const std::string>(ReadFile(fs, path, std::size_t{1} << 20));
        }
      }
    }
    return disk;
  }

  // What was left when so many calls had begun.
  struct Seen {
    std::string where;
    std::size_t calls = 0;
    SimDisk disk;
    bool is_known = false;  // to the simulation
  };

  void LookAt(const ReplayedState& state, Replay& replay) {
    Seen seen = {.where = state.Name(), .calls = 0, .disk = {}};
    int promised = 0;
    for (const std::string& mark : MarksUpTo(replay.log(), state.done)) {
      if (mark.starts_with("call ")) {
        ++seen.calls;
        seen.where = fmt::format("{}, in {}", state.Name(), mark);
      } else if (mark.starts_with("committed ")) {
        ++promised;
      }
    }
    SCOPED_TRACE(seen.where);
    replay.Look(state, [&] {
      seen.disk = ReadDisks();
      ASSERT_NO_FATAL_FAILURE(ExpectLatestStands(promised));
    });
    seen_.push_back(std::move(seen));
  }

  void ExpectLatestStands(int promised) {
    FileSystem& fs = PosixFileSystem();
    const std::optional<CheckpointState> state = GetCheckpointState(fs, checkpoints_);
    if (!state) {
      ASSERT_EQ(promised, 0) << "the state file is gone";
      return;
    }
    std::optional<int> step;
    ASSERT_NO_THROW(step = rig_.StepOf(fs, state->model_checkpoint_path));
    ASSERT_TRUE(step) << "a mixture";
    EXPECT_TRUE(*step == promised || *step == promised + 1) << *step << ", not " << promised;
  }

  // Runs the saves on the simulated disk and asks it for all that was seen.
  void ExpectSimulationKnowsAll() {
    SimFileSystem sim(EmptyDisk(), TestSeed());
    // The real ones are, and what is written later would be no call of its own here.
    sim.TransferAtOnce();
    std::vector<std::string> calls;
    const auto compare = [&] {
      for (Seen& seen : seen_) {
        // The call that was under way may have been done or not.
        if (seen.is_known || (seen.calls != calls.size() && seen.calls != calls.size() + 1)) {
          continue;
        }
        seen.is_known = sim.MayBeLeft(seen.disk);
      }
    };
    SaveSteps(
        sim,
        [&](const std::string& call) {
          compare();
          calls.push_back(call);
        },
        [](int) {});
    compare();
    const auto [in_sim, on_disk] =
        std::mismatch(calls.begin(), calls.end(), calls_.begin(), calls_.end());
    ASSERT_TRUE(in_sim == calls.end() && on_disk == calls_.end())
        << "call " << in_sim - calls.begin() << " is "
        << (in_sim == calls.end() ? "no more" : *in_sim) << " in the simulation, "
        << (on_disk == calls_.end() ? "no more" : *on_disk) << " on ext4";
    for (const Seen& seen : seen_) {
      EXPECT_TRUE(seen.is_known) << seen.where << ": ext4 left what the simulation does not know: "
                                 << Describe(seen.disk);
    }
  }

  static std::string Describe(const SimDisk& disk) {
    std::string text;
    for (const auto& [path, content] : disk.files) {
      text += fmt::format("\n  {}, {} bytes", path, content->size());
    }
    for (const auto& [path, target] : disk.links) text += fmt::format("\n  {} -> {}", path, target);
    return text;
  }

  std::size_t DifferentDisks() const {
    std::vector<const SimDisk*> different;
    for (const Seen& seen : seen_) {
      const bool known = std::any_of(different.begin(), different.end(),
                                     [&](const SimDisk* other) { return *other == seen.disk; });
      if (!known) different.push_back(&seen.disk);
    }
    return different.size();
  }

  TempDir dir_;
  CrashRig rig_{{.big_bytes = kBigTensorBytes}};
  std::string checkpoints_;
  std::vector<std::string> storage_dirs_;
  std::optional<RecordedDisks> disks_;
  std::vector<std::string> calls_;
  std::vector<Seen> seen_;
};

TEST_P(Ext4Model, LeavesNothingThatTheSimulatedDiskDoesNotKnow) {
  Record();
  Replay replay(*disks_, TestSeed());
  const auto is_promise = [](const std::string& mark) { return mark.starts_with("committed "); };
  const std::size_t count = InFullRun<std::size_t>(1500, 9);
  for (const ReplayedState& state : replay.Choose(count, is_promise)) {
    LookAt(state, replay);
    if (HasFailure()) return;
  }
  ExpectSimulationKnowsAll();
  std::printf("%s: %s; %zu different disks, all known to the simulation; lost: 0\n",
              GetParam().name.c_str(), replay.Counts().c_str(), DifferentDisks());
}

INSTANTIATE_TEST_SUITE_P(
    Saves, Ext4Model,
    testing::Values(Scenario{.name = "following"}, Scenario{.name = "over", .same_prefix = true},
                    Scenario{.name = "over_sharded", .same_prefix = true, .sharded = true},
                    Scenario{.name = "over_stored", .same_prefix = true, .disks = 2}),
    [](const auto& scenario) { return scenario.param.name; });

}  // namespace
}  // namespace waypost
