// RunTool starts the built program `waypost`, as a user does.
#pragma once

#include <sys/types.h>

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "support/golden.h"
#include "support/temp_dir.h"

namespace waypost {

struct ToolResult {
  int status = -1;  // exit status; 128 + signal when a signal ended it
  std::string out;
  std::string error;

  nlohmann::json Json() const { return nlohmann::json::parse(out); }
};

ToolResult RunTool(const std::vector<std::string>& arguments);

// The same while it runs.
class StartedTool {
 public:
  explicit StartedTool(const std::vector<std::string>& arguments);

  void Signal(int signal) const;
  // Until it has ended.  Call once.
  ToolResult Wait();

 private:
  TempDir temp_;  // for its output
  pid_t process_ = 0;
};

// Whether `text` is exactly one line that begins with "waypost: ".
bool IsOneErrorLine(const std::string& text);

std::string ReadAll(const std::string& path);
void WriteAll(const std::string& path, const std::string& content);
// Copies PREFIX.* of a golden checkpoint into `directory` and returns the prefix there.
std::string CopyGolden(const std::string& name, const std::string& directory);

}  // namespace waypost
