// GatedFileSystem: another FileSystem whose calls wait at gates that a test closes, to hold a save
// at a chosen place without sleeping.
//
// Threads: any.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <memory>
#include <mutex>
#include <string>
#include <utility>

#include "support/wrapped_file_system.h"

namespace waypost {

class Gate {
 public:
  void Close() {
    const std::scoped_lock lock(mutex_);
    is_closed_ = true;
  }
  void Open() {
    {
      const std::scoped_lock lock(mutex_);
      is_closed_ = false;
    }
    changed_.notify_all();
  }
  // Waits while the gate is closed.
  void Pass() {
    std::unique_lock lock(mutex_);
    ++arrived_;
    changed_.notify_all();
    changed_.wait(lock, [&] { return !is_closed_; });
  }
  // Waits until that many have come to the gate, since its beginning.
  void WaitForArrivals(std::size_t count) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return arrived_ >= count; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool is_closed_ = false;   // Guarded by mutex_.
  std::size_t arrived_ = 0;  // Guarded by mutex_.
};

class GatedFileSystem final : public WrappedFileSystem {
 public:
  using WrappedFileSystem::WrappedFileSystem;

  Gate writes;             // of data files, when submitted
  Gate data_syncs;         // fdatasync
  Gate creates;            // of small files: index, .meta, state file, lock file
  std::string creates_of;  // only of paths that hold this; set before the gate is closed
  Gate renames;
  Gate removes;

  std::unique_ptr<WritableFile> Create(const std::string& path, CreateMode mode) override {
    if (path.find(creates_of) != std::string::npos) creates.Pass();
    return base_.Create(path, mode);
  }
  std::unique_ptr<DataFile> CreateData(const std::string& path) override {
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
  void Rename(const std::string& from, const std::string& to) override {
    renames.Pass();
    base_.Rename(from, to);
  }
  void Remove(const std::string& path) override {
    removes.Pass();
    base_.Remove(path);
  }

 private:
  class File final : public WrappedDataFile {
   public:
    File(GatedFileSystem& fs, std::unique_ptr<DataFile> base)
        : WrappedDataFile(std::move(base)), fs_(fs) {}
    void DataSync() override {
      fs_.data_syncs.Pass();
      base_->DataSync();
    }

   private:
    GatedFileSystem& fs_;
  };

  class Backend final : public WrappedBackend {
   public:
    Backend(GatedFileSystem& fs, std::unique_ptr<IoBackend> base)
        : WrappedBackend(std::move(base)), fs_(fs) {}
    void Submit(const IoRequest& request) override {
      if (request.kind == IoRequest::Kind::kWrite) fs_.writes.Pass();
      base_->Submit(WrappedDataFile::Unwrapped(request));
    }

   private:
    GatedFileSystem& fs_;
  };
};

}  // namespace waypost
