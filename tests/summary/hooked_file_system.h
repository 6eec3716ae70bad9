// HookedFileSystem: the system's files, but a test is called before each append and each sync of a
// written file, on the thread that does it, and may wait or throw there.
#pragma once

#include <functional>
#include <utility>

#include "io/file_system.h"

namespace waypost {

class HookedFileSystem final : public FileSystem {
 public:
  std::function<void()> before_append = [] {};
  std::function<void()> before_sync = [] {};

  std::unique_ptr<WritableFile> Create(const std::string& path, CreateMode mode) override {
    return std::make_unique<File>(*this, base_.Create(path, mode));
  }
  std::unique_ptr<DataFile> CreateData(const std::string& path) override {
    return base_.CreateData(path);
  }
  std::unique_ptr<DataFile> OpenData(const std::string& path) override {
    return base_.OpenData(path);
  }
  std::unique_ptr<MappedFile> Map(const std::string& path) override { return base_.Map(path); }
  std::unique_ptr<IoBackend> MakeIoBackend() override { return base_.MakeIoBackend(); }
  std::optional<FileStat> Stat(const std::string& path) override { return base_.Stat(path); }
  std::vector<std::string> List(const std::string& directory) override {
    return base_.List(directory);
  }
  void CreateDirectory(const std::string& path) override { base_.CreateDirectory(path); }
  void Rename(const std::string& from, const std::string& to) override { base_.Rename(from, to); }
  void Remove(const std::string& path) override { base_.Remove(path); }
  void SyncDirectory(const std::string& path) override { base_.SyncDirectory(path); }
  LockResult Lock(const std::string& path) override { return base_.Lock(path); }
  LockResult TryLock(const std::string& path) override { return base_.TryLock(path); }

 private:
  class File final : public WritableFile {
   public:
    File(HookedFileSystem& fs, std::unique_ptr<WritableFile> base)
        : fs_(fs), base_(std::move(base)) {}
    void Append(std::span<const std::byte> bytes) override {
      fs_.before_append();
      base_->Append(bytes);
    }
    void Sync() override {
      fs_.before_sync();
      base_->Sync();
    }
    void Close() override { base_->Close(); }
    LockOutcome TryLock() override { return base_->TryLock(); }
    const std::string& path() const noexcept override { return base_->path(); }

   private:
    HookedFileSystem& fs_;
    std::unique_ptr<WritableFile> base_;
  };

  FileSystem& base_ = PosixFileSystem();
};

}  // namespace waypost
