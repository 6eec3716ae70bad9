// WatchedFileSystem: another FileSystem; before each call that changes the disk a test is told.
//
// Threads: as the FileSystem behind; `watch` is called by the caller's thread.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "support/wrapped_file_system.h"

namespace waypost {

class WatchedFileSystem final : public WrappedFileSystem {
 public:
  // Called with "rename /ckpt/a to /ckpt/b" and the like.
  using Watch = std::function<void(const std::string& operation)>;

  // `base` is borrowed.
  WatchedFileSystem(FileSystem& base, Watch watch)
      : WrappedFileSystem(base), watch_(std::move(watch)) {}

  std::unique_ptr<WritableFile> Create(const std::string& path, CreateMode mode) override {
    watch_("create " + path);
    return std::make_unique<SmallFile>(*this, base_.Create(path, mode));
  }
  std::unique_ptr<DataFile> CreateData(const std::string& path) override {
    watch_("create " + path);
    return std::make_unique<File>(*this, base_.CreateData(path));
  }
  std::unique_ptr<DataFile> OpenData(const std::string& path) override {
    return std::make_unique<File>(*this, base_.OpenData(path));
  }
  std::unique_ptr<DataFile> OpenDataToWrite(const std::string& path) override {
    return std::make_unique<File>(*this, base_.OpenDataToWrite(path));
  }
  using FileSystem::MakeIoBackend;
  std::unique_ptr<IoBackend> MakeIoBackend(const IoBackendOptions& options) override {
    return std::make_unique<Backend>(*this, base_.MakeIoBackend(options));
  }
  void CreateDirectory(const std::string& path) override {
    watch_("mkdir " + path);
    base_.CreateDirectory(path);
  }
  void Rename(const std::string& from, const std::string& to) override {
    watch_("rename " + from + " to " + to);
    base_.Rename(from, to);
  }
  void Remove(const std::string& path) override {
    watch_("remove " + path);
    base_.Remove(path);
  }
  void CreateLink(const std::string& target, const std::string& path) override {
    watch_("link " + path);
    base_.CreateLink(target, path);
  }
  void CreateHardLink(const std::string& existing, const std::string& path) override {
    watch_("link " + path);
    base_.CreateHardLink(existing, path);
  }
  void SyncDirectory(const std::string& path) override {
    watch_("sync directory " + path);
    base_.SyncDirectory(path);
  }

 private:
  class SmallFile final : public WrappedWritableFile {
   public:
    SmallFile(WatchedFileSystem& fs, std::unique_ptr<WritableFile> base)
        : WrappedWritableFile(std::move(base)), fs_(fs) {}
    void Append(std::span<const std::byte> bytes) override {
      fs_.watch_("write " + path());
      base_->Append(bytes);
    }
    void Sync() override {
      fs_.watch_("fsync " + path());
      base_->Sync();
    }

   private:
    WatchedFileSystem& fs_;
  };

  class File final : public WrappedDataFile {
   public:
    File(WatchedFileSystem& fs, std::unique_ptr<DataFile> base)
        : WrappedDataFile(std::move(base)), fs_(fs) {}
    void Reserve(std::uint64_t size_bytes) override {
      fs_.watch_("reserve " + path());
      base_->Reserve(size_bytes);
    }
    void DataSync() override {
      fs_.watch_("fdatasync " + path());
      base_->DataSync();
    }

   private:
    WatchedFileSystem& fs_;
  };

  class Backend final : public WrappedBackend {
   public:
    Backend(WatchedFileSystem& fs, std::unique_ptr<IoBackend> base)
        : WrappedBackend(std::move(base)), fs_(fs) {}
    void Submit(const IoRequest& request) override {
      if (request.kind == IoRequest::Kind::kWrite) fs_.watch_("write " + request.file->path());
      base_->Submit(WrappedDataFile::Unwrapped(request));
    }

   private:
    WatchedFileSystem& fs_;
  };

  Watch watch_;
};

}  // namespace waypost
