// WrappedFileSystem passes everything on to another FileSystem; a test changes what it needs.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "io/file_system.h"

namespace waypost {

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
