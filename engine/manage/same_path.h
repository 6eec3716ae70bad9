#pragma once

#include <filesystem>
#include <string>

namespace waypost {

// Whether two spellings name one path, links not followed: "a/./b" and "a/b".
inline bool IsSamePath(const std::string& a, const std::string& b) {
  const auto normal = [](const std::string& path) {
    return std::filesystem::absolute(path).lexically_normal();
  };
  return normal(a) == normal(b);
}

}  // namespace waypost
