#include "base/log.h"

#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <mutex>
#include <set>

namespace waypost {
namespace {

// A logger of our own, not spdlog's default one: the embedding program may have configured that.
spdlog::logger& Logger() {
  static spdlog::logger logger("waypost", std::make_shared<spdlog::sinks::stderr_sink_mt>());
  return logger;
}

}  // namespace

void SetLogLevel(LogLevel level) {
  Logger().set_level(level == LogLevel::kInfo      ? spdlog::level::info
                     : level == LogLevel::kWarning ? spdlog::level::warn
                                                   : spdlog::level::off);
}

void LogInfo(std::string_view message) { Logger().info("{}", message); }
void LogWarning(std::string_view message) { Logger().warn("{}", message); }

void LogInfoOnce(const std::string& subject, std::string_view message) {
  static std::mutex mutex;
  static std::set<std::string> subjects;  // Guarded by mutex.
  {
    const std::lock_guard lock(mutex);
    if (!subjects.insert(subject).second) return;
  }
  LogInfo(message);
}

}  // namespace waypost
