#include "bench/fio.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <utility>

#include "bench/work_dir.h"

namespace waypost::tool {
namespace {

constexpr int kNotFoundStatus = 127;  // of env, as of a shell

std::string Content(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

// The exit status; 128 and more for a signal; kNotFoundStatus when there is no such program.
int RunProgram(std::vector<std::string> words, const std::string& out_path,
               const std::string& error_path) {
  std::vector<char*> pointers;
  pointers.reserve(words.size() + 1);
  for (std::string& word : words) pointers.push_back(word.data());
  pointers.push_back(nullptr);
  posix_spawn_file_actions_t files;
  ::posix_spawn_file_actions_init(&files);
  constexpr int kFlags = O_WRONLY | O_CREAT | O_TRUNC;
  ::posix_spawn_file_actions_addopen(&files, STDOUT_FILENO, out_path.c_str(), kFlags, 0600);
  ::posix_spawn_file_actions_addopen(&files, STDERR_FILENO, error_path.c_str(), kFlags, 0600);
  // The signals that WorkDirs waits for are not to be blocked there.
  posix_spawnattr_t attributes;
  ::posix_spawnattr_init(&attributes);
  sigset_t none;
  ::sigemptyset(&none);
  ::posix_spawnattr_setsigmask(&attributes, &none);
  ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
  pid_t child = 0;
  const int error =
      ::posix_spawnp(&child, pointers[0], &files, &attributes, pointers.data(), environ);
  ::posix_spawn_file_actions_destroy(&files);
  ::posix_spawnattr_destroy(&attributes);
  if (error != 0) return kNotFoundStatus;
  WorkDirs::SetChild(child);
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  WorkDirs::SetChild(0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

// bw_bytes of the only job; nullopt when that is not what fio printed.
std::optional<double> RateIn(const std::string& text, const char* direction) {
  const std::size_t begin = text.find('{');  // warnings may stand before
  if (begin == text.npos) return std::nullopt;
  try {
    const nlohmann::json json = nlohmann::json::parse(text.substr(begin));
    const double rate = json.at("jobs").at(0).at(direction).at("bw_bytes").get<double>();
    if (rate > 0) return rate;
  } catch (const nlohmann::json::exception&) {
  }
  return std::nullopt;
}

}  // namespace

Fio::Fio(std::string directory) : directory_(std::move(directory)) {}

std::optional<double> Fio::Write(const std::string& path, std::uint64_t size_bytes) {
  return Run({"--name=write", "--filename=" + path, "--rw=write",
              fmt::format("--size={}", size_bytes), "--end_fsync=1", "--fallocate=posix"},
             "write", write_command_);
}

std::optional<double> Fio::Read(const std::string& path, std::uint64_t size_bytes) {
  return Run({"--name=read", "--filename=" + path, "--rw=read",
              fmt::format("--size={}", size_bytes), "--readonly"},
             "read", read_command_);
}

std::optional<double> Fio::Run(const std::vector<std::string>& job, const char* direction,
                               std::string& command) {
  while (works_) {
    std::vector<std::string> words = {"fio", "--ioengine=io_uring", "--direct=1", "--bs=4m",
                                      "--iodepth=8"};
    if (huge_pages_reserved_) {
      words.emplace_back("--mem=mmaphuge");
    } else {
      words.insert(words.begin(), {"env", "GLIBC_TUNABLES=glibc.malloc.hugetlb=1"});
      words.emplace_back("--mem=malloc");
    }
    words.insert(words.end(), job.begin(), job.end());
    command = fmt::format("{}", fmt::join(words, " "));
    words.emplace_back("--output-format=json");
    const std::string out = directory_ + "/fio.out", error = directory_ + "/fio.err";
    const int status = RunProgram(words, out, error);
    if (status == 0) {
      if (const std::optional<double> rate = RateIn(Content(out), direction)) return rate;
    }
    if (status != kNotFoundStatus && huge_pages_reserved_) {
      huge_pages_reserved_ = false;
      note_ =
          "no huge pages are reserved for fio's buffers (sysctl vm.nr_hugepages=32 does it); it "
          "has "
          "transparent ones";
      continue;
    }
    works_ = false;
    command.clear();
    const std::string text = Content(error);
    note_ = status == kNotFoundStatus
                ? "fio is not installed"
                : fmt::format("fio does not work here: {}", text.substr(0, text.find('\n')));
  }
  return std::nullopt;
}

}  // namespace waypost::tool
