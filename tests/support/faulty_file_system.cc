#include "support/faulty_file_system.h"

#include <fmt/format.h>

#include <algorithm>
#include <deque>

#include "base/check.h"
#include "base/errno_error.h"

namespace waypost {
namespace {

// The word that stands in the real error, and which of EIO's two meanings it has.
struct OperationWord {
  std::string_view word;
  IoDirection direction;
};

OperationWord WordOf(FsOperation operation) {
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
    case FsOperation::kStat: return {"stat", IoDirection::kRead};
    case FsOperation::kList: return {"list", IoDirection::kRead};
    case FsOperation::kCreateDirectory: return {"mkdir", IoDirection::kWrite};
    case FsOperation::kRename: return {"rename", IoDirection::kWrite};
    case FsOperation::kRemove: return {"remove", IoDirection::kWrite};
    case FsOperation::kLink: return {"link", IoDirection::kWrite};
    case FsOperation::kSyncDirectory: return {"sync directory", IoDirection::kWrite};
    case FsOperation::kLock: return {"lock", IoDirection::kWrite};
  }
  WAYPOST_CHECK(false);
}

class FaultyWritableFile final : public WritableFile {
 public:
  FaultyWritableFile(FaultPlan& plan, std::unique_ptr<WritableFile> base)
      : plan_(plan), base_(std::move(base)) {}

  void Append(std::span<const std::byte> bytes) override {
    const int errno_value = plan_.Next(FsOperation::kAppend, path());
    if (errno_value == 0) return base_->Append(bytes);
    base_->Append(bytes.first(bytes.size() / 2));
    throw ErrnoError("write", path(), errno_value, IoDirection::kWrite);
  }
  void Sync() override {
    plan_.ThrowIfNext(FsOperation::kSync, path());
    base_->Sync();
  }
  void Close() override {
    base_->Close();
    plan_.ThrowIfNext(FsOperation::kClose, path());
  }
  LockOutcome TryLock() override {
    plan_.ThrowIfNext(FsOperation::kLock, path());
    return base_->TryLock();
  }
  const std::string& path() const noexcept override { return base_->path(); }

 private:
  FaultPlan& plan_;
  std::unique_ptr<WritableFile> base_;
};

class FaultyDataFile final : public DataFile {
 public:
  FaultyDataFile(FaultPlan& plan, std::unique_ptr<DataFile> base)
      : plan_(plan), base_(std::move(base)) {}

  const std::string& path() const noexcept override { return base_->path(); }
  std::uint64_t size() const override {
    plan_.ThrowIfNext(FsOperation::kStat, path());
    return base_->size();
  }
  void Reserve(std::uint64_t size_bytes) override {
    plan_.ThrowIfNext(FsOperation::kReserve, path());
    base_->Reserve(size_bytes);
  }
  void DataSync() override {
    plan_.ThrowIfNext(FsOperation::kDataSync, path());
    base_->DataSync();
  }
  std::optional<std::uint64_t> CachedBytes(std::uint64_t begin, std::uint64_t end) const override {
    return base_->CachedBytes(begin, end);
  }
  std::unique_ptr<MappedFile> Map() const override {
    plan_.ThrowIfNext(FsOperation::kMap, path());
    return base_->Map();
  }
  std::string access() const override { return base_->access(); }
  DataFile& base() noexcept { return *base_; }

 private:
  FaultPlan& plan_;
  std::unique_ptr<DataFile> base_;
};

class FaultyBackend final : public IoBackend {
 public:
  FaultyBackend(FaultPlan& plan, std::unique_ptr<IoBackend> base)
      : plan_(plan), base_(std::move(base)) {}

  void Submit(const IoRequest& request) override {
    auto* const file = dynamic_cast<FaultyDataFile*>(request.file);
    WAYPOST_CHECK(file != nullptr);
    const bool is_read = request.kind == IoRequest::Kind::kRead;
    const int errno_value =
        plan_.Next(is_read ? FsOperation::kRead : FsOperation::kWrite, file->path());
    if (errno_value != 0) {
      failed_.push_back({request.tag, -std::int64_t{errno_value}});
      return;
    }
    IoRequest passed = request;
    passed.file = &file->base();
    passed.size = std::min(request.size, plan_.transfer_size_max());
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

  std::size_t depth() const noexcept override { return base_->depth(); }
  std::string_view name() const noexcept override { return base_->name(); }
  std::string reason() const override { return base_->reason(); }

 private:
  std::size_t TakeFailed(std::span<IoCompletion> completions) {
    completions[0] = failed_.front();
    failed_.pop_front();
    return 1;
  }

  FaultPlan& plan_;
  std::unique_ptr<IoBackend> base_;
  std::deque<IoCompletion> failed_;
};

}  // namespace

int FaultPlan::Next(FsOperation operation, const std::string& path) {
  const std::lock_guard lock(mutex_);
  int errno_value = 0;
  for (Armed& armed : faults_) {
    const Fault& fault = armed.fault;
    if (fault.operation && *fault.operation != operation) continue;
    if (path.find(fault.path_part) == std::string::npos) continue;
    const std::uint64_t number = armed.matched++;
    const bool applies = number == fault.at || (fault.and_all_later && number > fault.at);
    if (applies && errno_value == 0) errno_value = fault.errno_value;
  }
  if (errno_value != 0) ++faults_given_;
  log_.push_back({operation, path, errno_value != 0});
  return errno_value;
}

void FaultPlan::ThrowIfNext(FsOperation operation, const std::string& path) {
  const int errno_value = Next(operation, path);
  if (errno_value == 0) return;
  const auto [word, direction] = WordOf(operation);
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

void FaultPlan::LimitTransfers(std::size_t size_max) {
  const std::lock_guard lock(mutex_);
  transfer_size_max_ = size_max;
}

std::size_t FaultPlan::transfer_size_max() const {
  const std::lock_guard lock(mutex_);
  return transfer_size_max_;
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
  plan_.ThrowIfNext(FsOperation::kCreate, path);
  return std::make_unique<FaultyWritableFile>(plan_, base_.Create(path, mode));
}

std::unique_ptr<DataFile> FaultyFileSystem::CreateData(const std::string& path) {
  plan_.ThrowIfNext(FsOperation::kCreate, path);
  return std::make_unique<FaultyDataFile>(plan_, base_.CreateData(path));
}

std::unique_ptr<DataFile> FaultyFileSystem::OpenData(const std::string& path) {
  plan_.ThrowIfNext(FsOperation::kOpen, path);
  return std::make_unique<FaultyDataFile>(plan_, base_.OpenData(path));
}

std::unique_ptr<MappedFile> FaultyFileSystem::Map(const std::string& path) {
  plan_.ThrowIfNext(FsOperation::kMap, path);
  return base_.Map(path);
}

std::unique_ptr<IoBackend> FaultyFileSystem::MakeIoBackend(const IoBackendOptions& options) {
  return std::make_unique<FaultyBackend>(plan_, base_.MakeIoBackend(options));
}

std::optional<FileStat> FaultyFileSystem::Stat(const std::string& path) {
  plan_.ThrowIfNext(FsOperation::kStat, path);
  return base_.Stat(path);
}

std::vector<std::string> FaultyFileSystem::List(const std::string& directory) {
  plan_.ThrowIfNext(FsOperation::kList, directory);
  return base_.List(directory);
}

void FaultyFileSystem::CreateDirectory(const std::string& path) {
  plan_.ThrowIfNext(FsOperation::kCreateDirectory, path);
  base_.CreateDirectory(path);
}

void FaultyFileSystem::Rename(const std::string& from, const std::string& to) {
  plan_.ThrowIfNext(FsOperation::kRename, fmt::format("{} to {}", from, to));
  base_.Rename(from, to);
}

void FaultyFileSystem::Remove(const std::string& path) {
  plan_.ThrowIfNext(FsOperation::kRemove, path);
  base_.Remove(path);
}

void FaultyFileSystem::CreateLink(const std::string& target, const std::string& path) {
  plan_.ThrowIfNext(FsOperation::kLink, path);
  base_.CreateLink(target, path);
}

std::optional<std::string> FaultyFileSystem::ReadLink(const std::string& path) {
  plan_.ThrowIfNext(FsOperation::kStat, path);
  return base_.ReadLink(path);
}

void FaultyFileSystem::SyncDirectory(const std::string& path) {
  plan_.ThrowIfNext(FsOperation::kSyncDirectory, path);
  base_.SyncDirectory(path);
}

LockResult FaultyFileSystem::Lock(const std::string& path) {
  plan_.ThrowIfNext(FsOperation::kLock, path);
  return base_.Lock(path);
}

LockResult FaultyFileSystem::TryLock(const std::string& path) {
  plan_.ThrowIfNext(FsOperation::kLock, path);
  return base_.TryLock(path);
}

}  // namespace waypost
