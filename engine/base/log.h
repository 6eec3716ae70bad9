// What Waypost tells beside its errors: a line on stderr, through spdlog, or what the embedding
// program sets instead.
//
// A log line never replaces an error: it is for what went on all the same (a fall-back, a sweep, an
// error that nobody collected).
#pragma once

#include <functional>
#include <string>
#include <string_view>

namespace waypost {

enum class LogLevel { kInfo, kWarning, kNothing };
// Lines below this level are dropped; at first all are written.
void SetLogLevel(LogLevel level);

// Where lines go instead of stderr; any thread calls it, and it must not throw.  Set before
// anything is logged.
using LogSink = std::function<void(LogLevel level, std::string_view message)>;
void SetLogSink(LogSink sink);

void LogInfo(std::string_view message);
void LogWarning(std::string_view message);
// The first line of each `subject` in this process; later ones are dropped, whatever they say.
void LogInfoOnce(const std::string& subject, std::string_view message);

}  // namespace waypost
