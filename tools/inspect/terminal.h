// What the tool prints: checked output, one-line errors, progress; nothing that could steer a
// terminal.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace waypost::tool {

// `message` with its control bytes, line ends among them, and what is no UTF-8 escaped. Backslashes
// stay: names in messages are escaped already.
std::string OneLine(std::string_view message);

// Writes to standard output as it is.  Throws when that fails (a full disk, a closed pipe).
void Print(std::string_view text);
// OneLine() and a line end.
void PrintLine(std::string_view text);
// Must be called at the end: what is still buffered may fail as well.
void FinishOutput();

// "waypost: MESSAGE" on standard error.
void PrintError(std::string_view message);

// A line on a terminal's standard error that says how far a long reading is; nothing elsewhere, and
// nothing within the first second.  One thread.
class Progress {
 public:
  explicit Progress(std::uint64_t bytes_total);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  void Advance(std::uint64_t bytes);
  // Clears the line, so that other output can be printed.
  void Hide();

 private:
  using Clock = std::chrono::steady_clock;

  std::uint64_t bytes_total_;
  std::uint64_t bytes_done_ = 0;
  bool is_terminal_;
  bool is_shown_ = false;
  Clock::time_point next_;
};

// The same for a measurement in steps that take about as long each: a bar, and what is being done.
class ProgressBar {
 public:
  explicit ProgressBar(std::size_t steps_total);
  ~ProgressBar();
  ProgressBar(const ProgressBar&) = delete;
  ProgressBar& operator=(const ProgressBar&) = delete;

  // The step before has ended.  Shown at once.
  void BeginStep(std::string_view what);
  // More steps than was said at first.
  void AddSteps(std::size_t count) { steps_total_ += count; }
  // Clears the line, so that other output can be printed.
  void Hide();

 private:
  std::size_t steps_total_;
  std::size_t steps_begun_ = 0;
  bool is_terminal_;
  bool is_shown_ = false;
};

}  // namespace waypost::tool
