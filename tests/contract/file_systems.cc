#include "contract/file_systems.h"

#include "support/faulty_file_system.h"
#include "support/seed.h"
#include "support/sim_file_system.h"
#include "support/temp_dir.h"

namespace waypost {
namespace {

class Posix final : public FileSystemUnderTest {
 public:
  FileSystem& fs() override { return PosixFileSystem(); }
  std::string directory() const override { return directory_.path(); }

 private:
  TempDir directory_;
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
template <typename Base>
class Faulty final : public FileSystemUnderTest {
 public:
  Faulty() : fs_(base_.fs()) { fs_.LimitTransfers(1001); }
  FileSystem& fs() override { return fs_; }
  std::string directory() const override { return base_.directory(); }

 private:
  Base base_;
  FaultyFileSystem fs_;
};

template <typename T>
std::unique_ptr<FileSystemUnderTest> Make() {
  return std::make_unique<T>();
}

}  // namespace

std::vector<FileSystemKind> AllFileSystems() {
  return {{"Posix", Make<Posix>},
          {"Sim", Make<Sim>},
          {"FaultyPosix", Make<Faulty<Posix>>},
          {"FaultySim", Make<Faulty<Sim>>}};
}

}  // namespace waypost
