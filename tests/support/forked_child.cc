#include "support/forked_child.h"

#include <gtest/gtest.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdio>
#include <exception>
#include <vector>

#include "base/check.h"
#include "base/unique_fd.h"

namespace waypost {
namespace {

[[noreturn]] void BeChild(const std::function<void()>& body, int error_fd) {
  ::dup2(error_fd, STDERR_FILENO);
  try {
    body();
  } catch (const std::exception& error) {
    ADD_FAILURE() << error.what();
  }
  std::fflush(nullptr);
  // The parent's objects are the parent's to destroy.
  ::_exit(::testing::Test::HasFailure() ? 1 : 0);
}

std::string ReadToEnd(int fd) {
  std::string text;
  char buffer[4096];
  while (true) {
    const ssize_t size = ::read(fd, buffer, sizeof(buffer));
    if (size < 0 && errno == EINTR) continue;
    if (size <= 0) return text;
    text.append(buffer, static_cast<std::size_t>(size));
  }
}

sock_filter Load(std::size_t offset) {
  return BPF_STMT(BPF_LD | BPF_W | BPF_ABS, static_cast<unsigned>(offset));
}

}  // namespace

ChildResult RunInChild(const std::function<void()>& body) {
  int ends[2];
  WAYPOST_CHECK(::pipe(ends) == 0);
  std::fflush(nullptr);
  const pid_t child = ::fork();
  WAYPOST_CHECK(child >= 0);
  if (child == 0) BeChild(body, ends[1]);
  const UniqueFd reading(ends[0]);
  ::close(ends[1]);
  ChildResult result;
  result.error = ReadToEnd(reading.get());
  int status = 0;
  while (::waitpid(child, &status, 0) < 0) WAYPOST_CHECK(errno == EINTR);
  result.passed = WIFEXITED(status) && WEXITSTATUS(status) == 0;
  return result;
}

bool ForbidCalls(std::initializer_list<ForbiddenCall> calls) {
  std::vector<sock_filter> filter;
  for (const ForbiddenCall& call : calls) {
    const auto number = static_cast<unsigned>(call.number);
    const auto refusal =
        SECCOMP_RET_ERRNO | (static_cast<unsigned>(call.errno_value) & SECCOMP_RET_DATA);
    const bool any = call.third_argument_bits == 0;
    filter.push_back(Load(offsetof(seccomp_data, nr)));
    filter.push_back(
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, static_cast<unsigned char>(any ? 1 : 3)));
    if (!any) {
      filter.push_back(Load(offsetof(seccomp_data, args[2])));  // its low half
      filter.push_back(BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, call.third_argument_bits, 0, 1));
    }
    filter.push_back(BPF_STMT(BPF_RET | BPF_K, refusal));
  }
  filter.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
  const sock_fprog program = {static_cast<unsigned short>(filter.size()), filter.data()};
  return ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
         ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

std::size_t CountOf(const std::string& text, const std::string& part) {
  std::size_t count = 0;
  for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) {
    ++count;
  }
  return count;
}

}  // namespace waypost
