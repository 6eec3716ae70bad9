// OtherLoad: how much of the processor other programs took while it lived, the kernel's own work
// and what the host of a virtual machine kept back among it.  A measurement beside a busy neighbour
// is of little worth, and should say so.
#pragma once

#include <optional>
#include <string>

namespace waypost::tool {

class OtherLoad {
 public:
  // The kernel's counters are read from `stat_path`.
  explicit OtherLoad(std::string stat_path = "/proc/stat");

  // Cores' worth, on average since the construction; nullopt where nobody can tell.
  std::optional<double> cores() const;

 private:
  // Seconds of the processor, of all cores.
  struct Times {
    double busy = 0;
    double own = 0;  // of this process and its children that have ended
    double wall = 0;
  };
  std::optional<Times> Now() const;

  const std::string stat_path_;
  const std::optional<Times> begin_;
};

}  // namespace waypost::tool
