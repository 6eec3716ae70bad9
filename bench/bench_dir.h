// BenchDir: a directory of its own for the files of a benchmark, in $WAYPOST_BENCH_DIR (else in the
// present one), which says which disk is measured; removed with all it holds.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <string>

#include "base/errno_error.h"

namespace waypost {

class BenchDir {
 public:
  BenchDir() {
    const char* const base = std::getenv("WAYPOST_BENCH_DIR");
    path_ = std::string(base != nullptr ? base : ".") + "/waypost-bench-XXXXXX";
    if (::mkdtemp(path_.data()) == nullptr) {
      throw ErrnoError("create a directory", path_, errno, IoDirection::kWrite);
    }
  }
  ~BenchDir() {
    std::error_code error;
    std::filesystem::remove_all(path_, error);
  }
  BenchDir(const BenchDir&) = delete;
  BenchDir& operator=(const BenchDir&) = delete;

  std::string File(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

}  // namespace waypost
