#include "support/temp_dir.h"

#include <stdlib.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <system_error>

#include "base/errno_error.h"

namespace waypost {

TempDir::TempDir() {
  const char* const base = std::getenv("TMPDIR");
  path_ = std::string(base != nullptr ? base : "/tmp") + "/waypost-test-XXXXXX";
  if (::mkdtemp(path_.data()) == nullptr) {
    throw ErrnoError("mkdtemp", path_, errno, IoDirection::kWrite);
  }
}

TempDir::~TempDir() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

}  // namespace waypost
