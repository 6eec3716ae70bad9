// Log lines of the engine's threads, kept until Python fetches them for its own `logging`: a thread
// of the engine must not wait for the GIL.
#include "base/log.h"

#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include <pthread.h>

#include <chrono>
#include <mutex>
#include <string>
#include <tuple>
#include <vector>

#include "bindings/bindings.h"

namespace waypost::python {
namespace {

// Whether it is a warning, seconds since 1970, and the line.
using Line = std::tuple<bool, double, std::string>;

class Lines {
 public:
  void Add(LogLevel level, std::string_view message) {
    const double now =
        std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
    const std::lock_guard lock(mutex_);
    // Nobody fetches: later lines would only repeat what the first ones say.
    if (lines_.size() < kLinesMax) lines_.emplace_back(level == LogLevel::kWarning, now, message);
  }
  // Around a fork, so that the child finds the mutex free.
  void Lock() { mutex_.lock(); }
  void Unlock() { mutex_.unlock(); }
  std::vector<Line> Take() {
    const std::lock_guard lock(mutex_);
    return std::exchange(lines_, {});
  }

 private:
  static constexpr std::size_t kLinesMax = 1000;

  std::mutex mutex_;
  std::vector<Line> lines_;  // Guarded by mutex_.
};

// Threads of an engine that nobody has closed may log to the very end of the process.
Lines& AllLines() {
  static Lines& lines = *new Lines;
  return lines;
}

}  // namespace

void BindLog(nb::module_& module) {
  SetLogSink([](LogLevel level, std::string_view message) { AllLines().Add(level, message); });
  ::pthread_atfork([] { AllLines().Lock(); }, [] { AllLines().Unlock(); },
                   [] { AllLines().Unlock(); });
  module.def(
      "take_log_lines", [] { return AllLines().Take(); },
      "What was logged since the last call: whether it is a warning, seconds since 1970, the "
      "line.");
}

}  // namespace waypost::python
