// File systems that change one thing each: OpeningHookFileSystem calls a hook before a data file is
// opened, CountingFileSystem counts the bytes read, CacheFileSystem says what the page cache holds
// and keeps account of how each byte is read.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "support/wrapped_file_system.h"

namespace waypost {

class OpeningHookFileSystem final : public WrappedFileSystem {
 public:
  // The hook is given the number of the call, from 0.
  OpeningHookFileSystem(FileSystem& base, std::function<void(int)> hook)
      : WrappedFileSystem(base), hook_(std::move(hook)) {}

  std::unique_ptr<DataFile> OpenData(const std::string& path) override {
    hook_(calls_++);
    return base_.OpenData(path);
  }

 private:
  std::function<void(int)> hook_;
  int calls_ = 0;
};

class CountingFileSystem final : public WrappedFileSystem {
 public:
  using WrappedFileSystem::WrappedFileSystem;

  using FileSystem::MakeIoBackend;
  std::unique_ptr<IoBackend> MakeIoBackend(const IoBackendOptions& options) override {
    return std::make_unique<Backend>(base_.MakeIoBackend(options), bytes_asked_, reads_);
  }
  // Bytes that reads have asked for since the last call.
  std::uint64_t TakeBytesAsked() { return bytes_asked_.exchange(0); }
  std::uint64_t TakeReads() { return reads_.exchange(0); }

 private:
  class Backend final : public WrappedBackend {
   public:
    Backend(std::unique_ptr<IoBackend> base, std::atomic<std::uint64_t>& bytes_asked,
            std::atomic<std::uint64_t>& reads)
        : WrappedBackend(std::move(base)), bytes_asked_(bytes_asked), reads_(reads) {}
    void Submit(const IoRequest& request) override {
      if (request.kind == IoRequest::Kind::kRead) {
        bytes_asked_ += request.size;
        ++reads_;
      }
      base_->Submit(request);
    }

   private:
    std::atomic<std::uint64_t>& bytes_asked_;
    std::atomic<std::uint64_t>& reads_;
  };

  std::atomic<std::uint64_t> bytes_asked_ = 0;
  std::atomic<std::uint64_t> reads_ = 0;
};

class CacheFileSystem final : public WrappedFileSystem {
 public:
  using WrappedFileSystem::WrappedFileSystem;

  struct Read {
    std::string path;
    std::uint64_t offset = 0;
    std::size_t size = 0;
    bool through_cache = false;
  };

  // How much of any range the page cache holds; nullopt: nobody can tell.
  std::optional<std::uint64_t> cached_percent = std::nullopt;
  // Mappings are only so long; touching these bytes of one would be a SIGBUS.
  std::optional<std::size_t> mapped_size_max = std::nullopt;
  std::optional<std::uint64_t> unreadable_at = std::nullopt;
  // Called before each read, also by several threads at once.
  std::function<void(const Read&)> on_read = {};

  std::vector<Read> reads() const {
    const std::lock_guard lock(mutex_);
    return reads_;
  }
  int mappings() const { return mappings_; }
  std::size_t in_flight_max() const { return in_flight_max_; }

  std::unique_ptr<DataFile> OpenData(const std::string& path) override {
    return std::make_unique<File>(*this, base_.OpenData(path));
  }
  std::unique_ptr<DataFile> CreateData(const std::string& path) override {
    return std::make_unique<File>(*this, base_.CreateData(path));
  }
  std::unique_ptr<DataFile> OpenDataToWrite(const std::string& path) override {
    return std::make_unique<File>(*this, base_.OpenDataToWrite(path));
  }
  using FileSystem::MakeIoBackend;
  std::unique_ptr<IoBackend> MakeIoBackend(const IoBackendOptions& options) override {
    return std::make_unique<Backend>(*this, base_.MakeIoBackend(options));
  }

 private:
  class Mapping final : public MappedFile {
   public:
    Mapping(const CacheFileSystem& fs, std::unique_ptr<MappedFile> base)
        : fs_(fs), base_(std::move(base)) {}
    std::span<const std::byte> bytes() const noexcept override {
      const auto bytes = base_->bytes();
      return bytes.first(std::min(bytes.size(), fs_.mapped_size_max.value_or(bytes.size())));
    }
    int Populate(std::uint64_t begin, std::uint64_t end) const noexcept override {
      return begin <= fs_.unreadable_at && fs_.unreadable_at < end ? EIO : 0;
    }

   private:
    const CacheFileSystem& fs_;
    std::unique_ptr<MappedFile> base_;
  };

  class File final : public WrappedDataFile {
   public:
    File(CacheFileSystem& fs, std::unique_ptr<DataFile> base)
        : WrappedDataFile(std::move(base)), fs_(fs) {}
    std::optional<std::uint64_t> CachedBytes(std::uint64_t begin,
                                             std::uint64_t end) const override {
      if (!fs_.cached_percent) return std::nullopt;
      return (end - begin) * *fs_.cached_percent / 100;
    }
    std::unique_ptr<MappedFile> Map() const override {
      auto mapping = std::make_unique<Mapping>(fs_, base_->Map());
      ++fs_.mappings_;
      return mapping;
    }

   private:
    CacheFileSystem& fs_;
  };

  class Backend final : public WrappedBackend {
   public:
    Backend(CacheFileSystem& fs, std::unique_ptr<IoBackend> base)
        : WrappedBackend(std::move(base)), fs_(fs) {}
    void Submit(const IoRequest& request) override {
      fs_.Record({request.file->path(), request.offset, request.size, request.through_cache});
      base_->Submit(WrappedDataFile::Unwrapped(request));
    }
    std::size_t Wait(std::span<IoCompletion> completions) override {
      return Ended(base_->Wait(completions));
    }
    std::size_t Poll(std::span<IoCompletion> completions) override {
      return Ended(base_->Poll(completions));
    }

   private:
    std::size_t Ended(std::size_t count) {
      fs_.in_flight_ -= count;
      return count;
    }

    CacheFileSystem& fs_;
  };

  void Record(Read read) {
    if (on_read) on_read(read);
    const std::size_t in_flight = ++in_flight_;
    const std::lock_guard lock(mutex_);
    in_flight_max_ = std::max<std::size_t>(in_flight_max_, in_flight);
    reads_.push_back(std::move(read));
  }

  std::atomic<int> mappings_ = 0;
  std::atomic<std::size_t> in_flight_ = 0;
  std::atomic<std::size_t> in_flight_max_ = 0;
  mutable std::mutex mutex_;
  std::vector<Read> reads_;  // Guarded by mutex_.
};

}  // namespace waypost
