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
  class File final : public DataFile {
   public:
    File(GatedFileSystem& fs, std::unique_ptr<DataFile> base) : fs_(fs), base_(std::move(base)) {}
    const std::string& path() const noexcept override { return base_->path(); }
    std::uint64_t size() const override { return base_->size(); }
    void Reserve(std::uint64_t size_bytes) override { base_->Reserve(size_bytes); }
    void DataSync() override {
      fs_.data_syncs.Pass();
      base_->DataSync();
    }
    std::optional<std::uint64_t> CachedBytes(std::uint64_t begin,
                                             std::uint64_t end) const override {
      return base_->CachedBytes(begin, end);
    }
    std::unique_ptr<MappedFile> Map() const override { return base_->Map(); }
    DataFile& base() noexcept { return *base_; }

   private:
    GatedFileSystem& fs_;
    std::unique_ptr<DataFile> base_;
  };

  class Backend final : public IoBackend {
   public:
    Backend(GatedFileSystem& fs, std::unique_ptr<IoBackend> base)
        : fs_(fs), base_(std::move(base)) {}
    void Submit(const IoRequest& request) override {
      if (request.kind == IoRequest::Kind::kWrite) fs_.writes.Pass();
      IoRequest passed = request;
      passed.file = &dynamic_cast<File&>(*request.file).base();
      base_->Submit(passed);
    }
    std::size_t Wait(std::span<IoCompletion> completions) override {
      return base_->Wait(completions);
    }
    std::size_t Poll(std::span<IoCompletion> completions) override {
      return base_->Poll(completions);
    }
    std::size_t depth() const noexcept override { return base_->depth(); }
    std::string_view name() const noexcept override { return base_->name(); }

   private:
    GatedFileSystem& fs_;
    std::unique_ptr<IoBackend> base_;
  };
};

}  // namespace waypost
