// What `waypost bench --interference` found, as tables, as JSON and as a picture.
#pragma once

#include <string>

#include "bench/cores.h"
#include "bench/interference.h"
#include "bench/report.h"

namespace waypost::tool {

struct InterferenceReport : BenchSubject {
  unsigned core_count = 1;
  CoreLayout cores = {};
  Interference found = {};
};

// At least one pair of each.
void PrintInterference(const InterferenceReport& report);
Json InterferenceJson(const InterferenceReport& report);
// Requires: a cap was measured.
std::string InterferenceSvg(const InterferenceReport& report);

}  // namespace waypost::tool
