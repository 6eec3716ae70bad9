// RunTool starts the built program `waypost`, as a user does.
#pragma once

#include <string>
#include <vector>

#include <nlohmann/json.hpp>

namespace waypost {

struct ToolResult {
  int status = -1;  // exit status; 128 + signal when a signal ended it
  std::string out;
  std::string error;

  nlohmann::json Json() const { return nlohmann::json::parse(out); }
};

ToolResult RunTool(const std::vector<std::string>& arguments);

// Whether `text` is exactly one line that begins with "waypost: ".
bool IsOneErrorLine(const std::string& text);

std::string GoldenPath(const std::string& name);
std::string ReadAll(const std::string& path);
void WriteAll(const std::string& path, const std::string& content);
// Copies PREFIX.* of a golden checkpoint into `directory` and returns the prefix there.
std::string CopyGolden(const std::string& name, const std::string& directory);

}  // namespace waypost
