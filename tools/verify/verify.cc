#include "verify/verify.h"

#include <fmt/format.h>

#include <algorithm>
#include <exception>
#include <functional>
#include <vector>

#include "format/bundle_names.h"
#include "manage/checkpoint_state_files.h"
#include "verify/checkpoint_damage.h"
#include "verify/file_damage.h"
#include "verify/target.h"
#include "waypost/error.h"

namespace waypost::tool {
namespace {

class Verification {
 public:
  Verification(FileSystem& fs, const ProgressOutput& progress,
               const std::function<void(const Findings&)>& sink)
      : fs_(fs), progress_(progress), sink_(sink) {}

  void Checkpoint(const std::string& prefix) {
    if (CheckpointExists(fs_, prefix)) {
      sink_(FindCheckpointDamage(fs_, prefix, progress_));
    } else {
      Missing(prefix, "it is missing, and data files of the checkpoint are there");
    }
  }

  // Whether it can be read.
  bool StateFile(const std::string& path) {
    std::vector<std::string> prefixes;
    sink_(FindStateFileDamage(fs_, path, prefixes));
    for (const std::string& prefix : prefixes) {
      Try([&] {
        if (CheckpointExists(fs_, prefix)) {
          sink_(FindCheckpointDamage(fs_, prefix, progress_));
        } else if (StillNames(path, prefix)) {
          Missing(prefix, fmt::format("it is missing, and {} names the checkpoint", path));
        }
      });
    }
    return !prefixes.empty();
  }

  void Directory(const std::string& directory) {
    const std::string state = StateFilePath(directory);
    const std::optional<FileStat> stat = fs_.Stat(state);
    const bool has_state = stat && !stat->is_directory;
    bool has_any = has_state;
    if (!has_state || !StateFile(state)) {
      for (const std::string& prefix : CheckpointsIn(fs_, directory)) {
        Try([&] { Checkpoint(prefix); });
        has_any = true;
      }
    }
    for (const std::string& path : EventFilesIn(fs_, directory)) {
      Try([&] { sink_(FindEventFileDamage(fs_, path)); });
      has_any = true;
    }
    if (has_any) return;
    throw Error(Code::kNotFound,
                fmt::format("verify {}: neither {} nor a checkpoint or event file is there",
                            directory, state));
  }

  // Of what could not be looked at, the first error; all else was looked at.
  void ThrowFirstError() const {
    if (first_error_ != nullptr) std::rethrow_exception(first_error_);
  }

 private:
  void Try(const std::function<void()>& look) {
    try {
      look();
    } catch (const Error&) {
      if (first_error_ == nullptr) first_error_ = std::current_exception();
    }
  }

  // A job that goes on may have deleted the checkpoint since the state file was read.
  bool StillNames(const std::string& state_path, const std::string& prefix) {
    std::vector<std::string> prefixes;
    FindStateFileDamage(fs_, state_path, prefixes);
    return std::ranges::count(prefixes, prefix) > 0;
  }

  void Missing(const std::string& prefix, const std::string& reason) {
    Findings findings = {.kind = Findings::Kind::kCheckpoint, .path = prefix};
    findings.damage.Add(fmt::format("{}: {}", IndexPath(prefix), reason));
    sink_(findings);
  }

  FileSystem& fs_;
  const ProgressOutput& progress_;
  const std::function<void(const Findings&)>& sink_;
  std::exception_ptr first_error_;
};

}  // namespace

void Verify(FileSystem& fs, const std::string& path, const ProgressOutput& progress,
            const std::function<void(const Findings&)>& sink) {
  Verification verification(fs, progress, sink);
  const VerifyTarget target = FindVerifyTarget(fs, path);
  switch (target.kind) {
    case VerifyTarget::Kind::kCheckpoint: return verification.Checkpoint(target.path);
    case VerifyTarget::Kind::kDirectory: verification.Directory(target.path); break;
    case VerifyTarget::Kind::kStateFile: verification.StateFile(target.path); break;
    case VerifyTarget::Kind::kEventFile: return sink(FindEventFileDamage(fs, target.path));
  }
  verification.ThrowFirstError();
}

}  // namespace waypost::tool
