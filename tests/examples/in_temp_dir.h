// InTempDir: the working directory is a temporary one while it lives, as the examples use relative
// paths.
#pragma once

#include <filesystem>

#include "support/temp_dir.h"

class InTempDir {
 public:
  InTempDir() : before_(std::filesystem::current_path()) {
    std::filesystem::current_path(dir_.path());
  }
  ~InTempDir() { std::filesystem::current_path(before_); }
  InTempDir(const InTempDir&) = delete;
  InTempDir& operator=(const InTempDir&) = delete;

 private:
  waypost::TempDir dir_;
  std::filesystem::path before_;
};
