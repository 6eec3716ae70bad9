#include "support/temp_dir.h"

#include <stdlib.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <system_error>

#include "base/errno_error.h"

namespace waypost {

namespace {

std::string DefaultBase() {
  const char* const base = std::getenv("TMPDIR");
  return base != nullptr ? base : "/tmp";
}

}  // namespace

TempDir::TempDir() : TempDir(DefaultBase()) {}

TempDir::TempDir(const std::string& base) : path_(base + "/waypost-test-XXXXXX") {
  if (::mkdtemp(path_.data()) == nullptr) {
    throw ErrnoError("mkdtemp", path_, errno, IoDirection::kWrite);
  }
}

TempDir::~TempDir() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

}  // namespace waypost
