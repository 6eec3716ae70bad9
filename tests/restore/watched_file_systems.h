// Two file systems that change one thing each: OpeningHookFileSystem calls a hook before a data
// file is opened, CountingFileSystem counts the bytes read.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>

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
  std::uint64_t TakeBytesAsked() { return std::exchange(bytes_asked_, 0); }
  std::uint64_t TakeReads() { return std::exchange(reads_, 0); }

 private:
  class Backend final : public IoBackend {
   public:
    Backend(std::unique_ptr<IoBackend> base, std::uint64_t& bytes_asked, std::uint64_t& reads)
        : base_(std::move(base)), bytes_asked_(bytes_asked), reads_(reads) {}
    void Submit(const IoRequest& request) override {
      if (request.kind == IoRequest::Kind::kRead) {
        bytes_asked_ += request.size;
        ++reads_;
      }
      base_->Submit(request);
    }
    std::size_t Wait(std::span<IoCompletion> completions) override {
      return base_->Wait(completions);
    }
    std::size_t Poll(std::span<IoCompletion> completions) override {
      return base_->Poll(completions);
    }
    std::size_t depth() const noexcept override { return base_->depth(); }
    std::string_view name() const noexcept override { return "counting"; }

   private:
    std::unique_ptr<IoBackend> base_;
    std::uint64_t& bytes_asked_;
    std::uint64_t& reads_;
  };

  std::uint64_t bytes_asked_ = 0;
  std::uint64_t reads_ = 0;
};

}  // namespace waypost
