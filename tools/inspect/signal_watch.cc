#include "inspect/signal_watch.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <cerrno>
#include <iterator>
#include <stop_token>
#include <utility>

#include "base/errno_error.h"

namespace waypost::tool {
namespace {

constexpr int kSignals[] = {SIGHUP, SIGINT, SIGTERM};

// Waits for a signal, or until it is stopped.
void Watch(const std::stop_token& stop, int signals, int end,
           const std::function<void(int)>& on_signal) {
  const std::stop_callback on_stop(stop, [end] { ::eventfd_write(end, 1); });
  pollfd ready[] = {{signals, POLLIN, 0}, {end, POLLIN, 0}};
  while (::poll(ready, std::size(ready), -1) < 0) {
  }
  signalfd_siginfo signal = {};
  if ((ready[0].revents & POLLIN) == 0) return;
  if (::read(signals, &signal, sizeof signal) != sizeof signal) return;
  on_signal(static_cast<int>(signal.ssi_signo));
}

UniqueFd Opened(int fd, const char* operation) {
  if (fd < 0) throw ErrnoError(operation, "", errno, IoDirection::kRead);
  return UniqueFd(fd);
}

}  // namespace

SignalWatch::BlockedSignals::BlockedSignals() {
  ::sigemptyset(&set_);
  for (const int signal : kSignals) {
    struct sigaction action = {};
    ::sigaction(signal, nullptr, &action);
    if (action.sa_handler != SIG_IGN) ::sigaddset(&set_, signal);
  }
  ::pthread_sigmask(SIG_BLOCK, &set_, &mask_before_);
}

SignalWatch::BlockedSignals::~BlockedSignals() {
  ::pthread_sigmask(SIG_SETMASK, &mask_before_, nullptr);
}

SignalWatch::SignalWatch()
    : signals_(Opened(::signalfd(-1, &blocked_.set(), SFD_CLOEXEC), "signalfd")),
      end_(Opened(::eventfd(0, EFD_CLOEXEC), "eventfd")) {}

void SignalWatch::Start(std::function<void(int signal)> on_signal) {
  watcher_ = std::jthread([signals = signals_.get(), end = end_.get(), call = std::move(on_signal)](
                              const std::stop_token& stop) { Watch(stop, signals, end, call); });
}

}  // namespace waypost::tool
