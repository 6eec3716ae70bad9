// Every call of the C library and of liburing behind a save and a restore of real files fails, each
// in every way that it can.  Either the error reaches whoever waits, with path and reason, or
// another way is taken and the checkpoint is whole; what is to be tried again is; the same Engine
// saves and restores afterwards.
//
// The program's own versions of those calls come before the library's (support/system_calls.h),
// which a sanitizer's would have to do as well: so it is not built with one.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <map>
#include <span>
#include <system_error>

#include "base/clock.h"
#include "base/log.h"
#include "crash/fault_rig.h"
#include "memory/buffer_pool.h"
#include "restore/bundle_reader.h"
#include "restore/tensor_mapper.h"
#include "support/expect_error.h"
#include "support/full_run.h"
#include "support/system_calls.h"
#include "support/temp_dir.h"
#include "support/test_engine.h"
#include "support/watchdog.h"

namespace waypost {
namespace {

using testing::HasSubstr;

// Transfers that move no more: nothing, whole pages and what leaves a rest that is none.
constexpr std::array<std::size_t, 6> kCutSizes = {0, 1, 511, 4095, 4096, 20481};

std::string Reason(int errno_value) { return std::generic_category().message(errno_value); }

// A call, the errors that it is given, and whether a save or restore may do without it.
struct CallCase {
  std::string call;
  std::vector<int> errnos;  // of the first two on every run
  bool may_do_without = false;
};

// What is asked, advised or wished, and where it is refused another way is taken.
const std::vector<CallCase>& Calls() {
  static const std::vector<CallCase> calls = {
      {"open", {EMFILE, EINTR, EIO, ENFILE, ENOMEM, EACCES, ENOSPC, EDQUOT, EROFS}},
      {"open_direct", {EINVAL, EMFILE, ENOMEM, EIO}, true},
      {"close", {EIO, EINTR, ENOSPC, EDQUOT}, true},
      {"write", {ENOSPC, EINTR, EIO, EDQUOT, EFBIG}},
      {"pwrite", {EIO, EAGAIN, ENOSPC, EDQUOT, EINTR}},
      {"pread", {EIO, EINTR, ENOMEM, EAGAIN}},
      {"uring_write", {EIO, EAGAIN, ENOSPC, EDQUOT, ENOMEM, EINTR}},
      {"uring_read", {EIO, EAGAIN, ENOMEM, EINTR}},
      {"pwritev2", {EIO, EOPNOTSUPP, ENOSPC, EINTR, EAGAIN}},
      {"preadv2", {EIO, EOPNOTSUPP, EAGAIN}, true},
      {"fsync", {EIO, EINTR, ENOSPC, EDQUOT}},
      {"fdatasync", {EIO, EINTR, ENOSPC, EDQUOT}},
      {"fallocate", {ENOSPC, EOPNOTSUPP, EIO, EDQUOT, EFBIG, EINTR}},
      {"ftruncate", {EIO, EINTR, EFBIG}},
      {"sync_file_range", {EIO, ENOSPC, EINVAL, EINTR}},
      {"rename", {EIO, ENOSPC, EDQUOT, EACCES, EROFS}},
      {"unlink", {EIO, EACCES, EROFS, EBUSY}},
      {"mkdir", {EIO, ENOSPC, EDQUOT, EACCES, EMLINK}},
      {"symlink", {EIO, ENOSPC, EDQUOT}},
      {"readlink", {EIO, EACCES}},
      {"stat", {EIO, ENOMEM, EACCES}},
      {"fstat", {EIO, ENOMEM}, true},
      {"statx", {ENOSYS, EINVAL, EIO}, true},
      {"statfs", {EIO, ENOSYS}, true},
      {"fstatfs", {EIO, ENOSYS}, true},
      {"opendir", {EIO, EMFILE, ENOMEM, EACCES}},
      {"readdir", {EIO}},
      {"flock", {EIO, EINTR, ENOMEM}},
      {"fcntl", {EIO, EMFILE, EINVAL}, true},
      {"mmap", {ENOMEM, EACCES, EAGAIN}},
      {"madvise_read", {EFAULT, EINVAL, EHWPOISON, ENOSYS}, true},
      {"pthread_create", {EAGAIN, ENOMEM}, true},
      {"io_uring_queue_init", {ENOMEM, EMFILE, EPERM, ENOSYS}, true},
      {"io_uring_get_probe_ring", {EOPNOTSUPP}, true},
      {"io_uring_register_buffers", {ENOMEM, EPERM, EOPNOTSUPP}, true},
      {"io_uring_submit_and_wait", {EAGAIN, EBUSY, EINTR}, true},
      {"io_uring_get_events", {EAGAIN, EBUSY, EINTR}, true},
      {"io_uring_wait", {EAGAIN, EINTR}, true},
  };
  return calls;
}

struct PathCase {
  std::string name;
  PosixFileSystemOptions options;
  FaultScenario scenario;
};

// Memory on every run, where a sync costs nothing; in a full one the disk, with direct transfers.
std::string Base() {
  constexpr const char* kMemory = "/dev/shm";
  if (!IsFullRun() && std::filesystem::is_directory(kMemory)) return kMemory;
  return std::filesystem::temp_directory_path();
}

class SystemCallFaults : public testing::TestWithParam<PathCase> {
 protected:
  void SetUp() override { MakeRig(); }
  void TearDown() override { SystemCalls::Clear(); }

  void MakeRig() {
    rig_.reset();
    dir_.emplace(Base());
    files_ = MakePosixFileSystem(GetParam().options);
    rig_.emplace(GetParam().scenario, *files_, dir_->path());
  }

  // Calls `with_fault` once for each call that may fail, each error it may have, and each time it
  // is called.
  template <typename WithFault>
  void ForEachFault(WithFault&& with_fault) {
    for (const CallCase& call : Calls()) {
      const auto errnos = std::span(call.errnos);
      for (const int errno_value :
           errnos.first(InFullRun(errnos.size(), std::min<std::size_t>(errnos.size(), 2)))) {
        for (std::uint64_t n = 0;; ++n) {
          const std::string what =
              fmt::format("{} number {}: {}", call.call, n, Reason(errno_value));
          watchdog_.Begin(GetParam().name + ": " + what);
          SCOPED_TRACE(what);
          if (!with_fault(call, CallFault{.call = call.call,
                                          .at = n,
                                          .errno_value = errno_value,
                                          .path_part = dir_->path()})) {
            break;
          }
          if (testing::Test::HasFailure()) return;
          ++faults_[call.call];
        }
      }
    }
  }

  // Whether the fault was told of, or may be passed over.
  void ExpectTold(const CallCase& call, const FailedCall& failed, const std::string& text) {
    const bool is_told =
        text.find(Reason(failed.errno_value)) != std::string::npos && NamesFile(text, failed.path);
    if (is_told || (call.call == "madvise_read" && text.find(Reason(EIO)) != std::string::npos)) {
      ++told_;
      return;
    }
    EXPECT_EQ(text, "") << "the message does not name " << failed.path;
    const bool is_again = failed.errno_value == EINTR || failed.errno_value == EAGAIN;
    const bool is_unsupported = failed.errno_value == EINVAL || failed.errno_value == ENOSYS ||
                                failed.errno_value == EOPNOTSUPP;
    EXPECT_TRUE(call.may_do_without || is_again || is_unsupported) << "the error was swallowed";
  }

  // A data file in a storage directory may be named as the link that leads there.
  static bool NamesFile(const std::string& text, const std::string& path) {
    if (text.find(path) != std::string::npos) return true;
    return path.find(".data-") != std::string::npos && text.find(".data-") != std::string::npos;
  }

  void PrintCounts(const std::string& what) {
    std::size_t total = 0;
    std::string counts;
    for (const auto& [call, count] : faults_) {
      total += count;
      counts += fmt::format(" {} {},", count, call);
    }
    if (!counts.empty()) counts.pop_back();
    std::printf("%s: %s: %zu faults, %zu of them told:%s\n", GetParam().name.c_str(), what.c_str(),
                total, told_, counts.c_str());
  }

  Watchdog watchdog_{std::chrono::seconds(120)};
  std::optional<TempDir> dir_;
  std::unique_ptr<FileSystem> files_;
  std::optional<FaultRig> rig_;
  std::map<std::string, std::size_t> faults_;
  std::size_t told_ = 0;
};

TEST_P(SystemCallFaults, OfASaveAreToldOrDoneWithout) {
  int round = 0;
  ForEachFault([&](const CallCase& call, const CallFault& fault) {
    rig_->BeginRound();
    SystemCalls::Inject(fault);
    const SaveOutcome outcome =
        rig_->Save(FaultRig::kNew, static_cast<WaitFor>(round++ % kWaitForCount));
    const std::vector<FailedCall> failed = SystemCalls::Clear();
    SCOPED_TRACE(outcome.Text());
    rig_->CheckAfter(outcome);
    if (failed.empty()) return false;
    ExpectTold(call, failed.front(), outcome.Text());
    return true;
  });
  PrintCounts("a call of a save fails");
}

TEST_P(SystemCallFaults, OfTheFirstSaveOfAnEngineAreToldOrDoneWithout) {
  if (GetParam().scenario.is_v1) GTEST_SKIP() << "a V1 save has neither threads nor a ring";
  for (const std::string call : {"pthread_create", "io_uring_queue_init", "io_uring_get_probe_ring",
                                 "io_uring_register_buffers"}) {
    for (std::uint64_t n = 0;; ++n) {
      watchdog_.Begin(GetParam().name + ": " + call);
      MakeRig();
      SystemCalls::Inject({.call = call, .at = n, .errno_value = EAGAIN});
      const std::optional<Error> error = [&]() -> std::optional<Error> {
        rig_->SetValues(FaultRig::kNew);
        try {
          rig_->saver().Save(rig_->session(), dir_->File("first"));
        } catch (const Error& failure) {
          return failure;
        }
        return std::nullopt;
      }();
      const bool met = !SystemCalls::Clear().empty();
      const std::string text = error ? error->what() : Reason(EAGAIN);
      EXPECT_THAT(text, testing::AnyOf(HasSubstr(Reason(EAGAIN)), HasSubstr("set up io_uring: ")));
      rig_->SetValues(FaultRig::kNew);
      EXPECT_NO_THROW(rig_->saver().Save(rig_->session(), dir_->File("second")));
      EXPECT_EQ(rig_->StepAt(dir_->File("second")), FaultRig::kNew);
      EXPECT_TRUE(error || rig_->StepAt(dir_->File("first")) == FaultRig::kNew);
      if (!met) break;
      ++faults_[call];
      told_ += error ? 1U : 0U;
    }
  }
  PrintCounts("a call of an engine's first save fails");
}

TEST_P(SystemCallFaults, OfARestoreAreToldOrDoneWithout) {
  rig_->BeginRound();
  EXPECT_EQ(rig_->Save(FaultRig::kNew, WaitFor::kFinished).Text(), "");
  const std::string prefix = rig_->PrefixOf(FaultRig::kNew);
  ForEachFault([&](const CallCase& call, const CallFault& fault) {
    SystemCalls::Inject(fault);
    std::string text;
    std::optional<int> step;
    try {
      step = rig_->StepAt(prefix);
    } catch (const Error& error) {
      text = error.what();
    }
    const std::vector<FailedCall> failed = SystemCalls::Clear();
    EXPECT_TRUE(!text.empty() || step == FaultRig::kNew);
    EXPECT_EQ(rig_->StepAt(prefix), FaultRig::kNew);
    if (failed.empty()) {
      EXPECT_EQ(text, "");
      return false;
    }
    ExpectTold(call, failed.front(), text);
    return true;
  });
  PrintCounts("a call of a restore fails");
}

// Every length: nothing, less than a page, whole pages and a rest.
TEST_P(SystemCallFaults, OfWritesAndReadsCutShortAreResumed) {
  for (const std::string call : {"write", "pwrite", "uring_write", "pread", "uring_read"}) {
    for (const std::size_t size : kCutSizes) {
      for (std::uint64_t n = 0;; ++n) {
        const std::string what = fmt::format("{} number {} moves {} bytes", call, n, size);
        watchdog_.Begin(GetParam().name + ": " + what);
        SCOPED_TRACE(what);
        rig_->BeginRound();
        SystemCalls::Inject({.call = call, .at = n, .short_to = size, .path_part = dir_->path()});
        const SaveOutcome outcome = rig_->Save(FaultRig::kNew, WaitFor::kFinished);
        std::string restored;
        if (!outcome.error) {
          restored = MessageOf([&] { rig_->StepAt(rig_->PrefixOf(FaultRig::kNew)); });
        }
        const std::vector<FailedCall> failed = SystemCalls::Clear();
        SCOPED_TRACE(outcome.Text() + restored);
        rig_->CheckAfter(outcome);
        if (failed.empty()) break;
        if (size == 0) {
          EXPECT_TRUE(NamesFile(outcome.Text() + restored, failed.front().path));
        } else {
          EXPECT_EQ(outcome.Text() + restored, "");
        }
        if (HasFailure()) return;
        ++faults_[call];
      }
    }
  }
  PrintCounts("a transfer is cut short");
}

INSTANTIATE_TEST_SUITE_P(
    Posix, SystemCallFaults,
    testing::Values(PathCase{"uring", {.backend = IoBackendKind::kUring}, {.sharded = true}},
                    PathCase{"best_striped",
                             {},
                             {.is_over = true, .with_events = true, .storage_dir_count = 1}},
                    PathCase{"threads_direct", {.backend = IoBackendKind::kThreads}, {}},
                    PathCase{"threads_write_back",
                             {.backend = IoBackendKind::kThreads, .access = FileAccess::kWriteBack},
                             {.is_first = true}},
                    PathCase{"threads_dont_cache",
                             {.backend = IoBackendKind::kThreads, .access = FileAccess::kDontCache},
                             {}},
                    PathCase{"v1", {}, {.sharded = true, .is_v1 = true}}),
    [](const auto& path_case) { return path_case.param.name; });

// ---- What an engine is made of ----

TEST(EngineMemory, ThatCannotBeMappedIsOneClearError) {
  SystemCalls::Inject({.call = "mmap_memory", .errno_value = ENOMEM});
  std::string text;
  std::optional<Code> code;
  try {
    BufferPool pool(4);
  } catch (const Error& error) {
    code = error.code();
    text = error.what();
  }
  EXPECT_EQ(SystemCalls::Clear().size(), 1U);
  EXPECT_EQ(code, Code::kResourceExhausted);
  EXPECT_THAT(text, HasSubstr("staging memory: Cannot allocate memory"));
}

// Huge pages, no copy in children, populated memory: an engine works without each of them.
TEST(EngineMemory, IsUsedAlsoWhereAllAdviceIsRefused) {
  for (const int errno_value : {EINVAL, ENOMEM, EAGAIN, EFAULT}) {
    TempDir dir(Base());
    SystemCalls::Inject({.call = "madvise", .errno_value = errno_value, .times = 3});
    FaultRig rig({.name = "no advice"}, PosixFileSystem(), dir.path());
    EXPECT_EQ(SystemCalls::Clear().size(), 3U);
    rig.BeginRound();
    EXPECT_EQ(rig.StepAt(rig.PrefixOf(FaultRig::kOld)), FaultRig::kOld);
  }
}

TEST(EventWriterThread, ThatCannotBeStartedIsOneClearError) {
  TempDir dir(Base());
  SystemCalls::Inject({.call = "pthread_create", .errno_value = EAGAIN});
  const std::string text = MessageOf(
      [&] { EventWriter writer(PosixFileSystem(), SystemClock(), {.logdir = dir.path()}); });
  EXPECT_EQ(SystemCalls::Clear().size(), 1U);
  EXPECT_THAT(text, HasSubstr(dir.path()));
  EXPECT_THAT(text, HasSubstr(Reason(EAGAIN)));
}

// The view of a tensor: each call of opening, mapping and checking it fails.
TEST(MappedTensor, OfWhichACallFailsIsAnErrorAndTheNextOneWorks) {
  TempDir dir(Base());
  FaultRig rig({.name = "mapped"}, PosixFileSystem(), dir.path());
  rig.BeginRound();
  std::size_t faults = 0;
  for (const CallCase& call : Calls()) {
    for (const int errno_value : call.errnos) {
      for (std::uint64_t n = 0;; ++n) {
        SystemCalls::Inject(
            {.call = call.call, .at = n, .errno_value = errno_value, .path_part = dir.path()});
        const std::string text = MessageOf([&] {
          const BundleReader reader(PosixFileSystem(), rig.PrefixOf(FaultRig::kOld));
          TensorMapper mapper(reader);
          EXPECT_EQ(mapper.Map(*reader.index().Find("dense/table"), true).bytes.size(), 70001U);
        });
        const std::vector<FailedCall> failed = SystemCalls::Clear();
        if (failed.empty()) break;
        ++faults;
        const bool is_told = text.find(dir.path()) != std::string::npos &&
                             (text.find(Reason(errno_value)) != std::string::npos ||
                              text.find(Reason(EIO)) != std::string::npos);
        EXPECT_TRUE(is_told || (text.empty() && (call.may_do_without || errno_value == EINTR ||
                                                 errno_value == EINVAL || errno_value == ENOSYS)))
            << call.call << " " << n << " " << Reason(errno_value) << ": " << text;
      }
    }
  }
  std::printf("views of a mapped tensor: %zu faults\n", faults);
}

}  // namespace
}  // namespace waypost
