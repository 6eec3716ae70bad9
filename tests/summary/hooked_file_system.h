// HookedFileSystem: the system's files, but a test is called before each append and each sync of a
// written file, on the thread that does it, and may wait or throw there.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "support/wrapped_file_system.h"

namespace waypost {

class HookedFileSystem final : public WrappedFileSystem {
 public:
  HookedFileSystem() : WrappedFileSystem(PosixFileSystem()) {}

  std::function<void()> before_append = [] {};
  std::function<void()> before_sync = [] {};

  std::unique_ptr<WritableFile> Create(const std::string& path, CreateMode mode) override {
    return std::make_unique<File>(*this, base_.Create(path, mode));
  }

 private:
  class File final : public WrappedWritableFile {
   public:
    File(HookedFileSystem& fs, std::unique_ptr<WritableFile> base)
        : WrappedWritableFile(std::move(base)), fs_(fs) {}
    void Append(std::span<const std::byte> bytes) override {
      fs_.before_append();
      base_->Append(bytes);
    }
    void Sync() override {
      fs_.before_sync();
      base_->Sync();
    }

   private:
    HookedFileSystem& fs_;
  };
};

}  // namespace waypost
