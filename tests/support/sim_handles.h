// Files, locks and backends of the simulated disk.
#pragma once

#include <memory>
#include <string>

#include "io/file_system.h"
#include "support/sim_state.h"

namespace waypost {

class SimLock final : public FileLock {
 public:
  // Requires: nobody holds it, and the mutex of `state` is held.
  SimLock(SimState& state, SimNodePtr node);
  ~SimLock() override;
  SimLock(const SimLock&) = delete;
  SimLock& operator=(const SimLock&) = delete;

 private:
  SimState& state_;
  SimNodePtr node_;
};

class SimWritableFile final : public WritableFile {
 public:
  SimWritableFile(SimState& state, SimNodePtr node, std::string path)
      : state_(state), node_(std::move(node)), path_(std::move(path)) {}

  void Append(std::span<const std::byte> bytes) override;
  void Sync() override;
  void Close() override;
  LockOutcome TryLock() override;
  const std::string& path() const noexcept override { return path_; }

 private:
  SimState& state_;
  SimNodePtr node_;
  std::string path_;
  std::uint64_t position_ = 0;
  std::unique_ptr<SimLock> lock_;
};

class SimDataFile final : public DataFile {
 public:
  SimDataFile(SimState& state, SimNodePtr node, std::string path, bool is_writable)
      : state_(state), node_(std::move(node)), path_(std::move(path)), is_writable_(is_writable) {}

  const std::string& path() const noexcept override { return path_; }
  std::uint64_t size() const override;
  void Reserve(std::uint64_t size_bytes) override;
  void DataSync() override;
  // The simulated disk has no cache of its own.
  std::optional<std::uint64_t> CachedBytes(std::uint64_t /*begin*/,
                                           std::uint64_t /*end*/) const override {
    return std::nullopt;
  }
  std::unique_ptr<MappedFile> Map() const override;

  // For the backend; requires the mutex to be held.  Bytes transferred or -errno.
  std::int64_t Transfer(const IoRequest& request, std::size_t size);
  // For the backend, of a write that was in flight when the power went: so much may be on the disk.
  void LeaveUnfinished(const IoRequest& request, std::size_t size);

 private:
  SimState& state_;
  SimNodePtr node_;
  std::string path_;
  bool is_writable_;
};

class SimMappedFile final : public MappedFile {
 public:
  explicit SimMappedFile(std::string content) : content_(std::move(content)) {}
  std::span<const std::byte> bytes() const noexcept override {
    return std::as_bytes(std::span(content_));
  }

 private:
  std::string content_;
};

// Transfers happen when they are waited for, in random order and not always whole: a buffer that is
// used again too early shows as wrong bytes.
std::unique_ptr<IoBackend> MakeSimBackend(SimState& state, std::size_t depth);

}  // namespace waypost
