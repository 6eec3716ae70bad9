// TempDir: a directory of its own for one test, under $TMPDIR or /tmp or where the test says;
// removed with all it holds.
#pragma once

#include <string>

namespace waypost {

class TempDir {
 public:
  TempDir();
  explicit TempDir(const std::string& base);
  ~TempDir();
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;

  const std::string& path() const noexcept { return path_; }
  // The path of `name` in it.
  std::string File(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

}  // namespace waypost
