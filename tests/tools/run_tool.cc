#include "tools/run_tool.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "support/test_paths.h"

namespace waypost {
namespace {

int WaitFor(pid_t process) {
  int status = 0;
  EXPECT_EQ(::waitpid(process, &status, 0), process);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

}  // namespace

StartedTool::StartedTool(const std::vector<std::string>& arguments) {
  std::vector<std::string> words = {BuildDir() + "/bin/waypost"};
  words.insert(words.end(), arguments.begin(), arguments.end());
  std::vector<char*> pointers;
  for (std::string& word : words) pointers.push_back(word.data());
  pointers.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  constexpr int kFlags = O_WRONLY | O_CREAT | O_TRUNC;
  posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, temp_.File("out").c_str(), kFlags,
                                   0600);
  posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, temp_.File("error").c_str(), kFlags,
                                   0600);
  EXPECT_EQ(::posix_spawn(&process_, pointers[0], &actions, nullptr, pointers.data(), environ), 0);
  posix_spawn_file_actions_destroy(&actions);
}

void StartedTool::Signal(int signal) const { EXPECT_EQ(::kill(process_, signal), 0); }

ToolResult StartedTool::Wait() {
  const int status = WaitFor(process_);
  return {
      .status = status, .out = ReadAll(temp_.File("out")), .error = ReadAll(temp_.File("error"))};
}

ToolResult RunTool(const std::vector<std::string>& arguments) {
  return StartedTool(arguments).Wait();
}

bool IsOneErrorLine(const std::string& text) {
  return text.starts_with("waypost: ") && std::ranges::count(text, '\n') == 1 &&
         text.ends_with('\n');
}

std::string ReadAll(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  EXPECT_TRUE(file) << path;
  return {std::istreambuf_iterator<char>(file), {}};
}

void WriteAll(const std::string& path, const std::string& content) {
  std::ofstream file(path, std::ios::binary);
  file << content;
  EXPECT_TRUE(file.flush()) << path;
}

std::string CopyGolden(const std::string& name, const std::string& directory) {
  const std::filesystem::path prefix = GoldenPath(name);
  for (const auto& entry : std::filesystem::directory_iterator(prefix.parent_path())) {
    const std::string file = entry.path().filename();
    if (!file.starts_with(prefix.filename().string() + ".")) continue;
    std::filesystem::copy_file(entry.path(), std::filesystem::path(directory) / file);
  }
  return std::filesystem::path(directory) / prefix.filename();
}

}  // namespace waypost
