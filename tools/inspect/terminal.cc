#include "inspect/terminal.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>

#include "base/errno_error.h"
#include "base/escape.h"
#include "base/units.h"

namespace waypost::tool {
namespace {

constexpr std::chrono::milliseconds kFirstProgress{1000};
constexpr std::chrono::milliseconds kProgressInterval{200};
constexpr std::size_t kBarWidth = 30;

}  // namespace

std::string OneLine(std::string_view message) {
  std::string line;
  while (true) {
    const std::size_t backslash = message.find('\\');
    line += Printable(message.substr(0, backslash));
    if (backslash == message.npos) return line;
    line += '\\';
    message.remove_prefix(backslash + 1);
  }
}

void Print(std::string_view text) {
  if (std::fwrite(text.data(), 1, text.size(), stdout) != text.size()) {
    throw ErrnoError("write", "standard output", errno, IoDirection::kWrite);
  }
}

void PrintLine(std::string_view text) { Print(OneLine(text) + "\n"); }

void FinishOutput() {
  if (std::fflush(stdout) != 0) {
    throw ErrnoError("write", "standard output", errno, IoDirection::kWrite);
  }
}

void PrintError(std::string_view message) {
  // In the order in which things happened, where both go to one place.  A failure of this flush
  // shows in the next write.
  std::fflush(stdout);
  const std::string line = fmt::format("waypost: {}\n", OneLine(message));
  std::fwrite(line.data(), 1, line.size(), stderr);
}

Progress::Progress(std::uint64_t bytes_total)
    : bytes_total_(bytes_total),
      is_terminal_(::isatty(STDERR_FILENO) != 0),
      next_(Clock::now() + kFirstProgress) {}

Progress::~Progress() { Hide(); }

void Progress::Advance(std::uint64_t bytes) {
  bytes_done_ += bytes;
  if (!is_terminal_ || Clock::now() < next_) return;
  next_ = Clock::now() + kProgressInterval;
  is_shown_ = true;
  const double percent = bytes_total_ == 0 ? 100
                                           : 100 * static_cast<double>(bytes_done_) /
                                                 static_cast<double>(bytes_total_);
  fmt::print(stderr, "\r{:3.0f} % of {} MiB\x1b[K", percent, bytes_total_ / kMiB);
}

void Progress::Hide() {
  if (!is_shown_) return;
  is_shown_ = false;
  std::fputs("\r\x1b[K", stderr);
}

ProgressBar::ProgressBar(std::size_t steps_total)
    : steps_total_(steps_total), is_terminal_(::isatty(STDERR_FILENO) != 0) {}

ProgressBar::~ProgressBar() { Hide(); }

void ProgressBar::BeginStep(std::string_view what) {
  const std::size_t done = std::min(steps_begun_++, steps_total_);
  if (!is_terminal_) return;
  is_shown_ = true;
  const std::size_t filled = steps_total_ == 0 ? 0 : kBarWidth * done / steps_total_;
  fmt::print(stderr, "\r[{}{}] {}/{}  {}\x1b[K", std::string(filled, '#'),
             std::string(kBarWidth - filled, '.'), done, steps_total_, what);
  std::fflush(stderr);
}

void ProgressBar::Hide() {
  if (!is_shown_) return;
  is_shown_ = false;
  std::fputs("\r\x1b[K", stderr);
}

}  // namespace waypost::tool
