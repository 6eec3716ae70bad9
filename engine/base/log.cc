#include "base/log.h"

#include <spdlog/sinks/base_sink.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <mutex>
#include <set>

namespace waypost {
namespace {

class CallingSink : public spdlog::sinks::base_sink<std::mutex> {
 public:
  explicit CallingSink(LogSink call) : call_(std::move(call)) {}

 private:
  void sink_it_(const spdlog::details::log_msg& message) override {
    call_(message.level == spdlog::level::info ? LogLevel::kInfo : LogLevel::kWarning,
          std::string_view(message.payload.data(), message.payload.size()));
  }
  void flush_() override {}

  const LogSink call_;
};

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

void SetLogSink(LogSink sink) {
  Logger().sinks() = {std::make_shared<CallingSink>(std::move(sink))};
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
