#include "kill/child.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <utility>

#include "base/check.h"
#include "base/errno_error.h"

namespace waypost {
namespace {

using Clock = std::chrono::steady_clock;

// Copies of the strings, in the form that posix_spawn takes.
class Arguments {
 public:
  explicit Arguments(std::vector<std::string> texts) : texts_(std::move(texts)) {
    for (std::string& text : texts_) pointers_.push_back(text.data());
    pointers_.push_back(nullptr);
  }
  char* const* get() const noexcept { return pointers_.data(); }

 private:
  std::vector<std::string> texts_;
  std::vector<char*> pointers_;
};

timespec ToTimespec(std::chrono::nanoseconds time) {
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(time);
  return {.tv_sec = seconds.count(), .tv_nsec = (time - seconds).count()};
}

}  // namespace

Child::Child(const std::vector<std::string>& command) {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) throw ErrnoError("pipe", "", errno, IoDirection::kRead);
  pipe_ = UniqueFd(ends[0]);
  const UniqueFd write_end(ends[1]);
  posix_spawn_file_actions_t actions;
  WAYPOST_CHECK(::posix_spawn_file_actions_init(&actions) == 0);
  WAYPOST_CHECK(::posix_spawn_file_actions_adddup2(&actions, write_end.get(), STDOUT_FILENO) == 0);
  const Arguments arguments(command);
  const int failure =
      ::posix_spawn(&pid_, command.front().c_str(), &actions, nullptr, arguments.get(), environ);
  ::posix_spawn_file_actions_destroy(&actions);
  if (failure != 0) throw ErrnoError("spawn", command.front(), failure, IoDirection::kRead);
}

Child::~Child() {
  if (pid_ > 0) Kill();
}

bool Child::WaitForLines(std::size_t count, std::chrono::nanoseconds timeout) {
  const Clock::time_point deadline = Clock::now() + timeout;
  while (lines_.size() < count) {
    const Clock::duration left = deadline - Clock::now();
    if (left <= Clock::duration::zero()) return false;
    pollfd waited = {.fd = pipe_.get(), .events = POLLIN, .revents = 0};
    const timespec limit = ToTimespec(left);
    if (::ppoll(&waited, 1, &limit, nullptr) > 0 && !ReadSome()) return false;
  }
  return true;
}

bool Child::Kill() {
  ::kill(pid_, SIGKILL);
  return WIFSIGNALED(Reap());
}

int Child::Wait() { return Reap(); }

bool Child::ReadSome() {
  std::array<char, 256> buffer{};
  const ssize_t size = ::read(pipe_.get(), buffer.data(), buffer.size());
  if (size < 0 && errno == EINTR) return true;
  for (ssize_t i = 0; i < size; ++i) {
    const char character = buffer[static_cast<std::size_t>(i)];
    if (character != '\n') {
      line_ += character;
    } else {
      lines_.push_back(std::exchange(line_, {}));
    }
  }
  return size > 0;
}

// The pipe ends when the child does: it is the only one who has the other end.
int Child::Reap() {
  while (ReadSome()) {
  }
  int status = 0;
  pid_t ended = -1;
  do {
    ended = ::waitpid(pid_, &status, 0);
  } while (ended < 0 && errno == EINTR);
  WAYPOST_CHECK(ended == std::exchange(pid_, -1));
  return status;
}

}  // namespace waypost
