// What Waypost tells beside its errors: a line on stderr, through spdlog.
//
// A log line never replaces an error: it is for what went on all the same (a fall-back, a sweep, an
// error that nobody collected).
#pragma once

#include <string>
#include <string_view>

namespace waypost {

enum class LogLevel { kInfo, kWarning, kNothing };
// Lines below this level are dropped; at first all are written.
void SetLogLevel(LogLevel level);

void LogInfo(std::string_view message);
void LogWarning(std::string_view message);
// The first line of each `subject` in this process; later ones are dropped, whatever they say.
void LogInfoOnce(const std::string& subject, std::string_view message);

}  // namespace waypost
