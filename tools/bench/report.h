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

// What is measured.
struct BenchSubject {
  std::string directory;
  std::string file_system;
  std::string path;             // TransferWay of the engine
  std::string device = "host";  // whose memory the state is in
  std::string likeness;
  std::uint64_t tensors = 0;
  std::uint64_t state_bytes = 0;
  std::uint64_t ring_bytes = 0;
  std::string staging;
  std::optional<double> other_cores;  // OtherLoad::cores during the measurement
};

// "others  0.1 of 2 cores were busy with something else"; only when that is known.
void PrintOtherLoad(const BenchSubject& subject);

// "DIR: 1 GiB in 291 tensors like llm", and where they are when that is not the host
std::string SubjectText(const BenchSubject& subject);
Json SubjectJson(const BenchSubject& subject);

// Median, quartiles and the values themselves.
Json SpreadJson(const std::vector<double>& values);

struct BenchReport : BenchSubject {
  std::string limit_path = {};  // TransferWay of the limits
  int shards = 0;
  bool cache_was_emptied = true;
  std::string fio_write_command = {};  // empty when fio does not take part
  std::string fio_read_command = {};
  std::string fio_note = {};
  std::vector<Round> rounds = {};
  std::optional<PlotData> plot = {};
};

// At least one round.
void PrintReport(const BenchReport& report);
Json ReportJson(const BenchReport& report);
// Requires: report.plot.
std::string ReportSvg(const BenchReport& report);

}  // namespace waypost::tool
