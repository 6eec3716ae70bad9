// The figures of a report: what the tables and the JSON have in common.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "bench/rounds.h"
#include "bench/statistics.h"

namespace waypost::tool {

// One value of each round.
template <typename Function>
std::vector<double> Each(const std::vector<Round>& rounds, Function&& function) {
  std::vector<double> values;
  values.reserve(rounds.size());
  for (const Round& round : rounds) values.push_back(std::invoke(function, round));
  return values;
}

// nullopt when a round has none.
inline std::optional<std::vector<double>> EachIfAny(const std::vector<Round>& rounds,
                                                    std::optional<double> Round::*member) {
  std::vector<double> values;
  values.reserve(rounds.size());
  for (const Round& round : rounds) {
    if (!(round.*member)) return std::nullopt;
    values.push_back(*(round.*member));
  }
  return values;
}

// An operation of the engine, beside its limits.
struct OperationFigures {
  const char* key;    // in JSON
  const char* title;  // in tables
  std::vector<Timed> timed;
  // Rates of the same rounds.
  struct Limit {
    const char* key;
    const char* title;
    std::vector<double> rates;
    std::vector<Timed> timed;  // empty where only the rate is known
  };
  std::vector<Limit> limits;

  std::vector<double> rates() const;
};

// Save, restore with the page cache empty, restore cached.
std::vector<OperationFigures> OperationsOf(const std::vector<Round>& rounds);

double CpuSecondsPerGib(const std::vector<Timed>& timed);  // median
std::uint64_t MemoryBytesMax(const std::vector<Timed>& timed);

// What most saves waited for.
SaveLimit UsualLimit(const std::vector<Round>& rounds);

}  // namespace waypost::tool
