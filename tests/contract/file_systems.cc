#include "contract/file_systems.h"

#include "io/uring_backend.h"
#include "support/faulty_file_system.h"
#include "support/seed.h"
#include "support/sim_file_system.h"
#include "support/temp_dir.h"

namespace waypost {
namespace {

constexpr char kMemoryDirectory[] = "/dev/shm";

class Posix final : public FileSystemUnderTest {
 public:
  FileSystem& fs() override { return PosixFileSystem(); }
  std::string directory() const override { return directory_.path(); }

 private:
  TempDir directory_;
};

// The operating system's files, held to one way of transfers.
class PosixPath final : public FileSystemUnderTest {
 public:
  PosixPath(const PosixFileSystemOptions& options, const std::string& base)
      : fs_(MakePosixFileSystem(options)) {
    try {
      directory_ = base.empty() ? std::make_unique<TempDir>() : std::make_unique<TempDir>(base);
      fs_->MakeIoBackend();
    } catch (const Error& error) {
      missing_ = error.what();
    }
  }
  FileSystem& fs() override { return *fs_; }
  std::string directory() const override { return directory_->path(); }
  std::string missing() override { return missing_; }

 private:
  std::unique_ptr<FileSystem> fs_;
  std::unique_ptr<TempDir> directory_;
  std::string missing_;
};

class Sim final : public FileSystemUnderTest {
 public:
  Sim() : fs_(TestSeed()) { fs_.CreateDirectory(directory()); }
  FileSystem& fs() override { return fs_; }
  std::string directory() const override { return "/contract"; }

 private:
  SimFileSystem fs_;
};

// Transfers of at most an odd number of bytes: the backend's contract holds with short ones too.
class Faulty final : public FileSystemUnderTest {
 public:
  explicit Faulty(std::unique_ptr<FileSystemUnderTest> base)
      : base_(std::move(base)), fs_(base_->fs()) {
    fs_.LimitTransfers(1001);
  }
  FileSystem& fs() override { return fs_; }
  std::string directory() const override { return base_->directory(); }
  std::string missing() override { return base_->missing(); }

 private:
  std::unique_ptr<FileSystemUnderTest> base_;
  FaultyFileSystem fs_;
};

FileSystemKind FaultyOver(const FileSystemKind& base) {
  return {"Faulty" + base.name, [make = base.make] { return std::make_unique<Faulty>(make()); }};
}

FileSystemKind PathKind(const std::string& name, const PosixFileSystemOptions& options,
                        const std::string& base) {
  return {name, [options, base] { return std::make_unique<PosixPath>(options, base); }};
}

}  // namespace

std::vector<FileSystemKind> AllFileSystems() {
  const FileSystemKind posix = {"Posix", [] { return std::make_unique<Posix>(); }};
  const FileSystemKind sim = {"Sim", [] { return std::make_unique<Sim>(); }};
  return {posix, sim, FaultyOver(posix), FaultyOver(sim)};
}

std::vector<FileSystemKind> AllDataPaths() {
  const std::vector<std::pair<std::string, IoBackendKind>> backends = {
      {"Uring", IoBackendKind::kUring},
      {"Threads", IoBackendKind::kThreads},
      {"Synchronous", IoBackendKind::kSynchronous}};
  const std::vector<std::pair<std::string, FileAccess>> accesses = {
      {"Direct", FileAccess::kDirect},
      {"DontCache", FileAccess::kDontCache},
      {"WriteBack", FileAccess::kWriteBack},
      {"Plain", FileAccess::kPlain}};
  std::vector<FileSystemKind> kinds = AllFileSystems();
  for (const auto& [backend_name, backend] : backends) {
    if (backend == IoBackendKind::kUring && !IsUringBuiltIn()) continue;
    for (const auto& [access_name, access] : accesses) {
      kinds.push_back(PathKind(backend_name + access_name, {backend, access}, ""));
    }
    kinds.push_back(
        PathKind(backend_name + "InMemory", {backend, FileAccess::kDirect}, kMemoryDirectory));
    kinds.push_back(FaultyOver(PathKind(backend_name, {backend, FileAccess::kDirect}, "")));
  }
  return kinds;
}

}  // namespace waypost
