// What `waypost bench` found, as tables, as JSON and as a picture.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "bench/rounds.h"
#include "inspect/text.h"

namespace waypost::tool {

// Rates are bytes a second, medians.
struct SizePoint {
  std::uint64_t bytes = 0;
  double save = 0;
  double write_limit = 0;
  double restore = 0;  // page cache empty
  double read_limit = 0;
};

struct RingPoint {
  std::uint64_t ring_bytes = 0;
  double stall_seconds = 0;  // median
};

struct PlotData {
  std::vector<SizePoint> sizes;  // ascending
  std::vector<RingPoint> rings;  // ascending
  std::uint64_t rings_state_bytes = 0;
  double full_copy_stall_seconds = 0;
  double memcpy_seconds = 0;  // of that state
};

struct BenchReport {
  std::string directory;
  std::string file_system;
  std::string path;  // Rounds::path
  std::string likeness;
  std::uint64_t tensors = 0;
  std::uint64_t state_bytes = 0;
  int shards = 0;
  std::uint64_t ring_bytes = 0;
  std::string staging;
  bool cache_was_emptied = true;
  std::string fio_write_command;  // empty when fio does not take part
  std::string fio_read_command;
  std::string fio_note;
  std::vector<Round> rounds;
  std::optional<PlotData> plot;
};

// At least one round.
void PrintReport(const BenchReport& report);
Json ReportJson(const BenchReport& report);
// Requires: report.plot.
std::string ReportSvg(const BenchReport& report);

}  // namespace waypost::tool
