#include "bench/other_load.h"

#include <sys/resource.h>
#include <sys/time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <fstream>
#include <string>
#include <utility>

namespace waypost::tool {
namespace {

double Seconds(const timeval& time) {
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) * 1e-6;
}

double OwnSeconds(int who) {
  struct rusage usage = {};
  ::getrusage(who, &usage);
  return Seconds(usage.ru_utime) + Seconds(usage.ru_stime);
}

// The first line of /proc/stat, "cpu user nice system idle iowait irq softirq steal ...", counts
// ticks of all cores.
std::optional<double> BusySeconds(const std::string& stat_path) {
  std::ifstream file(stat_path);
  std::string name;
  std::array<double, 8> ticks = {};
  file >> name;
  for (double& count : ticks) file >> count;
  if (!file || name != "cpu") return std::nullopt;
  const auto [user, nice, system, idle, iowait, irq, softirq, steal] = ticks;
  return (user + nice + system + irq + softirq + steal) / static_cast<double>(sysconf(_SC_CLK_TCK));
}

}  // namespace

OtherLoad::OtherLoad(std::string stat_path) : stat_path_(std::move(stat_path)), begin_(Now()) {}

std::optional<double> OtherLoad::cores() const {
  const std::optional<Times> end = Now();
  if (!begin_ || !end) return std::nullopt;
  const double others = (end->busy - begin_->busy) - (end->own - begin_->own);
  // Ticks are coarse, and may be fewer than what the process was charged.
  return std::max(0.0, others / (end->wall - begin_->wall));
}

std::optional<OtherLoad::Times> OtherLoad::Now() const {
  const std::optional<double> busy = BusySeconds(stat_path_);
  if (!busy) return std::nullopt;
  const auto now = std::chrono::steady_clock::now().time_since_epoch();
  return Times{.busy = *busy,
               .own = OwnSeconds(RUSAGE_SELF) + OwnSeconds(RUSAGE_CHILDREN),
               .wall = std::chrono::duration<double>(now).count()};
}

}  // namespace waypost::tool
