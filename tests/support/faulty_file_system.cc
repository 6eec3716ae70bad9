#include "support/faulty_file_system.h"

#include <fmt/format.h>

#include <algorithm>
#include <deque>

#include "base/check.h"
#include "base/errno_error.h"
#include "support/wrapped_file_system.h"

namespace waypost {
namespace {

// The word that stands in the real error, and which of EIO's two meanings it has.
struct OperationWord {
  std::string_view word;
  IoDirection direction;
};

OperationWord DescriptionOf(FsOperation operation) {
  switch (operation) {
    case FsOperation::kCreate: return {"create", IoDirection::kWrite};
    case FsOperation::kOpen: return {"open", IoDirection::kRead};
    case FsOperation::kAppend: return {"write", IoDirection::kWrite};
    case FsOperation::kSync: return {"fsync", IoDirection::kWrite};
    case FsOperation::kClose: return {"close", IoDirection::kWrite};
    case FsOperation::kReserve: return {"reserve", IoDirection::kWrite};
    case FsOperation::kDataSync: return {"fdatasync", IoDirection::kWrite};
    case FsOperation::kRead: return {"read", IoDirection::kRead};
    case FsOperation::kWrite: return {"write", IoDirection::kWrite};
    case FsOperation::kMap: return {"map", IoDirection::kRead};
    case FsOperation::kPopulate: return {"read", IoDirection::kRead};
    case FsOperation::kStat: return {"stat", IoDirection::kRead};
    case FsOperation::kReadLink: return {"read link", IoDirection::kRead};
    case FsOperation::kList: return {"list", IoDirection::kRead};
    case FsOperation::kCreateDirectory: return {"mkdir", IoDirection::kWrite};
    case FsOperation::kRename: return {"rename", IoDirection::kWrite};
    case FsOperation::kRemove: return {"remove", IoDirection::kWrite};
    case FsOperation::kLink: return {"link", IoDirection::kWrite};
    case FsOperation::kHardLink: return {"link", IoDirection::kWrite};
    case FsOperation::kSyncDirectory: return {"sync directory", IoDirection::kWrite};
    case FsOperation::kLock: return {"lock", IoDirection::kWrite};
    case FsOperation::kMakeBackend: return {"set up", IoDirection::kWrite};
  }
  WAYPOST_CHECK(false);
}

class FaultyWritableFile final : public WrappedWritableFile {
 public:
  FaultyWritableFile(FaultPlan& plan, std::unique_ptr<WritableFile> base)
      : WrappedWritableFile(std::move(base)), plan_(plan) {}

  void Append(std::span<const std::byte> bytes) override {
    const int errno_value = plan_.Next(FsOperation::kAppend, path());
    if (errno_value == 0) return base_->Append(bytes);
    base_->Append(bytes.first(bytes.size() / 2));
    throw ErrnoError("write", path(), errno_value, IoDirection::kWrite);
  }
  void Sync() override {
    plan_.Run(FsOperation::kSync, path(), [&] { base_->Sync(); });
  }
  void Close() override {
    base_->Close();
    plan_.Run(FsOperation::kClose, path(), [] {});
  }
  LockOutcome TryLock() override {
    return plan_.Run(FsOperation::kLock, path(), [&] { return base_->TryLock(); });
  }

 private:
  FaultPlan& plan_;
};

class FaultyMappedFile final : public MappedFile {
 public:
  FaultyMappedFile(FaultPlan& plan, std::string path, std::unique_ptr<MappedFile> base)
      : plan_(plan), path_(std::move(path)), base_(std::move(base)) {}

  std::span<const std::byte> bytes() const noexcept override { return base_->bytes(); }
  int Populate(std::uint64_t begin, std::uint64_t end) const noexcept override {
    const int errno_value = plan_.Next(FsOperation::kPopulate, path_);
    return errno_value != 0 ? errno_value : base_->Populate(begin, end);
  }

 private:
  FaultPlan& plan_;
  const std::string path_;
  const std::unique_ptr<MappedFile> base_;
};

class FaultyDataFile final : public WrappedDataFile {
 public:
  FaultyDataFile(FaultPlan& plan, std::unique_ptr<DataFile> base)
      : WrappedDataFile(std::move(base)), plan_(plan) {}

  std::uint64_t size() const override {
    return plan_.Run(FsOperation::kStat, path(), [&] { return base_->size(); });
  }
  void Reserve(std::uint64_t size_bytes) override {
    plan_.Run(FsOperation::kReserve, path(), [&] { base_->Reserve(size_bytes); });
  }
  void DataSync() override {
    plan_.Run(FsOperation::kDataSync, path(), [&] { base_->DataSync(); });
  }
  std::unique_ptr<MappedFile> Map() const override {
    return std::make_unique<FaultyMappedFile>(
        plan_, path(), plan_.Run(FsOperation::kMap, path(), [&] { return base_->Map(); }));
  }

 private:
  FaultPlan& plan_;
};

class FaultyBackend final : public WrappedBackend {
 public:
  FaultyBackend(FaultPlan& plan, std::unique_ptr<IoBackend> base)
      : WrappedBackend(std::move(base)), plan_(plan) {}

  void Submit(const IoRequest& request) override {
    const bool is_read = request.kind == IoRequest::Kind::kRead;
    const FaultPlan::Verdict verdict =
        plan_.Judge(is_read ? FsOperation::kRead : FsOperation::kWrite, request.file->path());
    if (verdict.errno_value != 0 || verdict.size_max == 0) {
      failed_.push_back({request.tag, -std::int64_t{verdict.errno_value}});
      return;
    }
    IoRequest passed = WrappedDataFile::Unwrapped(request);
    passed.size = std::min(request.size, verdict.size_max);
    base_->Submit(passed);
  }

  std::size_t Wait(std::span<IoCompletion> completions) override {
    if (failed_.empty()) return base_->Wait(completions);
    return TakeFailed(completions);
  }

  std::size_t Poll(std::span<IoCompletion> completions) override {
    if (failed_.empty()) return base_->Poll(completions);
    return TakeFailed(completions);
  }

 private:
  std::size_t TakeFailed(std::span<IoCompletion> completions) {
    completions[0] = failed_.front();
    failed_.pop_front();
    return 1;
  }

  FaultPlan& plan_;
  std::deque<IoCompletion> failed_;
};

}  // namespace

std::string_view WordOf(FsOperation operation) { return DescriptionOf(operation).word; }

FaultPlan::Verdict FaultPlan::Judge(FsOperation operation, const std::string& path) {
  const bool is_transfer = operation == FsOperation::kRead || operation == FsOperation::kWrite;
  const std::lock_guard lock(mutex_);
  Verdict verdict{.size_max = transfer_size_max_};
  bool is_given = false;
  for (Armed& armed : faults_) {
    const Fault& fault = armed.fault;
    if (fault.operation && *fault.operation != operation) continue;
    if (fault.short_to && !is_transfer) continue;
    if (path.find(fault.path_part) == std::string::npos) continue;
    const std::uint64_t number = armed.matched++;
    const bool applies = number == fault.at || (fault.and_all_later && number > fault.at);
    if (!applies || is_given) continue;
    is_given = true;
    verdict.has_effect = fault.has_effect;
    if (fault.short_to) {
      verdict.size_max = std::min(verdict.size_max, *fault.short_to);
    } else {
      verdict.errno_value = fault.errno_value;
    }
  }
  if (is_given) ++faults_given_;
  log_.push_back({operation, path, verdict.errno_value});
  return verdict;
}

void FaultPlan::Throw(FsOperation operation, const std::string& path, int errno_value) {
  const auto [word, direction] = DescriptionOf(operation);
  throw ErrnoError(word, path, errno_value, direction);
}

void FaultPlan::Inject(const Fault& fault) {
  const std::lock_guard lock(mutex_);
  faults_.push_back({fault, 0});
}

void FaultPlan::Clear() {
  const std::lock_guard lock(mutex_);
  faults_.clear();
}

void FaultPlan::Forget() {
  const std::lock_guard lock(mutex_);
  faults_.clear();
  log_.clear();
  faults_given_ = 0;
}

void FaultPlan::LimitTransfers(std::size_t size_max) {
  const std::lock_guard lock(mutex_);
  transfer_size_max_ = size_max;
}

std::uint64_t FaultPlan::faults_given() const {
  const std::lock_guard lock(mutex_);
  return faults_given_;
}

std::vector<OperationRecord> FaultPlan::log() const {
  const std::lock_guard lock(mutex_);
  return log_;
}

std::unique_ptr<WritableFile> FaultyFileSystem::Create(const std::string& path, CreateMode mode) {
  return std::make_unique<FaultyWritableFile>(
      plan_, plan_.Run(FsOperation::kCreate, path, [&] { return base_.Create(path, mode); }));
}

std::unique_ptr<DataFile> FaultyFileSystem::CreateData(const std::string& path) {
  return std::make_unique<FaultyDataFile>(
      plan_, plan_.Run(FsOperation::kCreate, path, [&] { return base_.CreateData(path); }));
}

std::unique_ptr<DataFile> FaultyFileSystem::OpenData(const std::string& path) {
  return std::make_unique<FaultyDataFile>(
      plan_, plan_.Run(FsOperation::kOpen, path, [&] { return base_.OpenData(path); }));
}

std::unique_ptr<DataFile> FaultyFileSystem::OpenDataToWrite(const std::string& path) {
  return std::make_unique<FaultyDataFile>(
      plan_, plan_.Run(FsOperation::kOpen, path, [&] { return base_.OpenDataToWrite(path); }));
}

std::unique_ptr<MappedFile> FaultyFileSystem::Map(const std::string& path) {
  return std::make_unique<FaultyMappedFile>(
      plan_, path, plan_.Run(FsOperation::kMap, path, [&] { return base_.Map(path); }));
}

std::unique_ptr<IoBackend> FaultyFileSystem::MakeIoBackend(const IoBackendOptions& options) {
  const auto make = [&] { return base_.MakeIoBackend(options); };
  // A synchronous one needs nothing that could be refused.
  return std::make_unique<FaultyBackend>(
      plan_, options.kind == IoBackendKind::kSynchronous
                 ? make()
                 : plan_.Run(FsOperation::kMakeBackend, "io_uring", make));
}

std::optional<FileStat> FaultyFileSystem::Stat(const std::string& path) {
  return plan_.Run(FsOperation::kStat, path, [&] { return base_.Stat(path); });
}

std::vector<std::string> FaultyFileSystem::List(const std::string& directory) {
  return plan_.Run(FsOperation::kList, directory, [&] { return base_.List(directory); });
}

void FaultyFileSystem::CreateDirectory(const std::string& path) {
  plan_.Run(FsOperation::kCreateDirectory, path, [&] { base_.CreateDirectory(path); });
}

void FaultyFileSystem::Rename(const std::string& from, const std::string& to) {
  plan_.Run(FsOperation::kRename, fmt::format("{} to {}", from, to),
            [&] { base_.Rename(from, to); });
}

void FaultyFileSystem::Remove(const std::string& path) {
  plan_.Run(FsOperation::kRemove, path, [&] { base_.Remove(path); });
}

void FaultyFileSystem::CreateLink(const std::string& target, const std::string& path) {
  plan_.Run(FsOperation::kLink, path, [&] { base_.CreateLink(target, path); });
}

void FaultyFileSystem::CreateHardLink(const std::string& existing, const std::string& path) {
  plan_.Run(FsOperation::kHardLink, fmt::format("{} to {}", path, existing),
            [&] { base_.CreateHardLink(existing, path); });
}

std::optional<std::string> FaultyFileSystem::ReadLink(const std::string& path) {
  return plan_.Run(FsOperation::kReadLink, path, [&] { return base_.ReadLink(path); });
}

void FaultyFileSystem::SyncDirectory(const std::string& path) {
  plan_.Run(FsOperation::kSyncDirectory, path, [&] { base_.SyncDirectory(path); });
}

LockResult FaultyFileSystem::Lock(const std::string& path) {
  return plan_.Run(FsOperation::kLock, path, [&] { return base_.Lock(path); });
}

LockResult FaultyFileSystem::TryLock(const std::string& path) {
  return plan_.Run(FsOperation::kLock, path, [&] { return base_.TryLock(path); });
}

}  // namespace waypost
