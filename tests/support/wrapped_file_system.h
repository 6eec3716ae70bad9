// WrappedFileSystem passes everything on to another FileSystem, and WrappedWritableFile,
// WrappedDataFile and WrappedBackend to what that has made; a test says only what it changes.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "io/file_system.h"

namespace waypost {

class WrappedWritableFile : public WritableFile {
 public:
  explicit WrappedWritableFile(std::unique_ptr<WritableFile> base) : base_(std::move(base)) {}

  void Append(std::span<const std::byte> bytes) override { base_->Append(bytes); }
  void Sync() override { base_->Sync(); }
  void Close() override { base_->Close(); }
  LockOutcome TryLock() override { return base_->TryLock(); }
  const std::string& path() const noexcept override { return base_->path(); }

 protected:
  const std::unique_ptr<WritableFile> base_;
};

// The FileSystem that makes it also makes a WrappedBackend, whose Submit passes Unwrapped(request).
class WrappedDataFile : public DataFile {
 public:
  explicit WrappedDataFile(std::unique_ptr<DataFile> base) : base_(std::move(base)) {}

  const std::string& path() const noexcept override { return base_->path(); }
  std::uint64_t size() const override { return base_->size(); }
  void Reserve(std::uint64_t size_bytes) override { base_->Reserve(size_bytes); }
  void DataSync() override { base_->DataSync(); }
  std::optional<std::uint64_t> CachedBytes(std::uint64_t begin, std::uint64_t end) const override {
    return base_->CachedBytes(begin, end);
  }
  std::unique_ptr<MappedFile> Map() const override { return base_->Map(); }
  void DropCached() const noexcept override { base_->DropCached(); }
  std::string access() const override { return base_->access(); }

  // The same request of the file behind.  Requires: request.file is a WrappedDataFile.
  static IoRequest Unwrapped(IoRequest request) {
    request.file = dynamic_cast<WrappedDataFile&>(*request.file).base_.get();
    return request;
  }

 protected:
  const std::unique_ptr<DataFile> base_;
};

class WrappedBackend : public IoBackend {
 public:
  explicit WrappedBackend(std::unique_ptr<IoBackend> base) : base_(std::move(base)) {}

  void Submit(const IoRequest& request) override { base_->Submit(request); }
  std::size_t Wait(std::span<IoCompletion> completions) override {
    return base_->Wait(completions);
  }
  std::size_t Poll(std::span<IoCompletion> completions) override {
    return base_->Poll(completions);
  }
  std::size_t depth() const noexcept override { return base_->depth(); }
  std::string_view name() const noexcept override { return base_->name(); }
  std::string reason() const override { return base_->reason(); }

 protected:
  const std::unique_ptr<IoBackend> base_;
};

class WrappedFileSystem : public FileSystem {
 public:
  // `base` is borrowed.
  explicit WrappedFileSystem(FileSystem& base) : base_(base) {}

  std::unique_ptr<WritableFile> Create(const std::string& path, CreateMode mode) override {
    return base_.Create(path, mode);
  }
  std::unique_ptr<DataFile> CreateData(const std::string& path) override {
    return base_.CreateData(path);
  }
  std::unique_ptr<DataFile> OpenData(const std::string& path) override {
    return base_.OpenData(path);
  }
  std::unique_ptr<DataFile> OpenDataToWrite(const std::string& path) override {
    return base_.OpenDataToWrite(path);
  }
  std::unique_ptr<MappedFile> Map(const std::string& path) override { return base_.Map(path); }
  using FileSystem::MakeIoBackend;
  std::unique_ptr<IoBackend> MakeIoBackend(const IoBackendOptions& options) override {
    return base_.MakeIoBackend(options);
  }
  std::optional<FileStat> Stat(const std::string& path) override { return base_.Stat(path); }
  std::vector<std::string> List(const std::string& directory) override {
    return base_.List(directory);
  }
  void CreateDirectory(const std::string& path) override { base_.CreateDirectory(path); }
  void Rename(const std::string& from, const std::string& to) override { base_.Rename(from, to); }
  void Remove(const std::string& path) override { base_.Remove(path); }
  void CreateLink(const std::string& target, const std::string& path) override {
    base_.CreateLink(target, path);
  }
  void CreateHardLink(const std::string& existing, const std::string& path) override {
    base_.CreateHardLink(existing, path);
  }
  std::optional<std::string> ReadLink(const std::string& path) override {
    return base_.ReadLink(path);
  }
  void SyncDirectory(const std::string& path) override { base_.SyncDirectory(path); }
  LockResult Lock(const std::string& path) override { return base_.Lock(path); }
  LockResult TryLock(const std::string& path) override { return base_.TryLock(path); }

 protected:
  FileSystem& base_;
};

}  // namespace waypost
