#include "base/background.h"

#include <pthread.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <initializer_list>

namespace waypost {
namespace {

constexpr int kNice = 10;

}  // namespace

void EnterBackground(const char* name) noexcept {
  // The job's signals are for the job's threads; a fault of this one stays its own.
  sigset_t signals;
  sigfillset(&signals);
  for (const int fault : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT}) sigdelset(&signals, fault);
  static_cast<void>(::pthread_sigmask(SIG_BLOCK, &signals, nullptr));
  static_cast<void>(::pthread_setname_np(::pthread_self(), name));
  const auto thread = static_cast<id_t>(::gettid());
  errno = 0;
  const int now = ::getpriority(PRIO_PROCESS, thread);
  if (errno == 0 && now < kNice) static_cast<void>(::setpriority(PRIO_PROCESS, thread, kNice));
}

}  // namespace waypost
