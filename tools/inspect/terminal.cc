#include "inspect/terminal.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstdio>

#include "base/errno_error.h"
#include "base/escape.h"
#include "inspect/size_text.h"

namespace waypost::tool {
namespace {

constexpr std::chrono::milliseconds kFirstProgress{1000};
constexpr std::chrono::milliseconds kProgressInterval{200};
constexpr std::size_t kBarWidth = 30;

std::string RateText(std::uint64_t bytes, double seconds) {
  const double rate = seconds > 0 ? static_cast<double>(bytes) / seconds : 0;
  return SizeText(static_cast<std::uint64_t>(rate)) + "/s";
}

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

std::string ProgressText(std::uint64_t bytes_done, std::uint64_t bytes_total, double seconds) {
  const std::uint64_t done = std::min(bytes_done, bytes_total);
  const double part =
      bytes_total == 0 ? 1 : static_cast<double>(done) / static_cast<double>(bytes_total);
  const auto filled = static_cast<std::size_t>(part * static_cast<double>(kBarWidth));
  const std::string left =
      done == 0 ? "" : fmt::format(", {:.0f} s left", std::ceil(seconds * (1 - part) / part));
  return fmt::format("[{}{}] {:3.0f} %, {} of {}, {}{}", std::string(filled, '#'),
                     std::string(kBarWidth - filled, '.'), 100 * part, SizeText(done),
                     SizeText(bytes_total), RateText(bytes_done, seconds), left);
}

Progress::Progress(std::uint64_t bytes_total, ProgressOutput output)
    : bytes_total_(bytes_total),
      output_(std::move(output)),
      is_terminal_(output_.on_terminal && ::isatty(STDERR_FILENO) != 0),
      next_(begin_ + kFirstProgress) {}

Progress::~Progress() { Hide(); }

void Progress::Advance(std::uint64_t bytes) {
  bytes_done_ += bytes;
  if (output_.teller) output_.teller(bytes_done_, bytes_total_);
  if (!is_terminal_ || Clock::now() < next_) return;
  next_ = Clock::now() + kProgressInterval;
  is_shown_ = was_shown_ = true;
  fmt::print(stderr, "\r{}\x1b[K", ProgressText(bytes_done_, bytes_total_, Seconds()));
}

void Progress::Hide() {
  if (!is_shown_) return;
  is_shown_ = false;
  std::fputs("\r\x1b[K", stderr);
}

std::string Progress::Rate() const {
  return was_shown_ ? RateText(bytes_done_, Seconds()) : std::string();
}

double Progress::Seconds() const {
  return std::chrono::duration<double>(Clock::now() - begin_).count();
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
