// What the tool prints: checked output, one-line errors, progress; nothing that could steer a
// terminal.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
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

// "[######........]  43 %, 1.3 GiB of 3.0 GiB, 1.1 GiB/s, 2 s left"; pure.
std::string ProgressText(std::uint64_t bytes_done, std::uint64_t bytes_total, double seconds);

// Where progress is told.
struct ProgressOutput {
  bool on_terminal = true;  // a line on standard error, where that is a terminal
  // Called by the reading's thread for each piece.  What it throws ends the reading.
  std::function<void(std::uint64_t bytes_done, std::uint64_t bytes_total)> teller = {};
};

// Says how far a long reading is; on a terminal nothing within the first second.  One thread.
class Progress {
 public:
  explicit Progress(std::uint64_t bytes_total, ProgressOutput output = {});
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  void Advance(std::uint64_t bytes);
  // Clears the line, so that other output can be printed.
  void Hide();
  // "1.1 GiB/s" until now; "" where nothing was ever shown.
  std::string Rate() const;

 private:
  using Clock = std::chrono::steady_clock;

  double Seconds() const;

  std::uint64_t bytes_total_;
  std::uint64_t bytes_done_ = 0;
  const ProgressOutput output_;
  bool is_terminal_;
  bool is_shown_ = false;
  bool was_shown_ = false;
  Clock::time_point begin_ = Clock::now();
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
