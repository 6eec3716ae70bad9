#include "bench/figures.h"

#include <algorithm>
#include <map>
#include <utility>

#include "base/units.h"

namespace waypost::tool {
namespace {

std::vector<double> RatesOf(const std::vector<Timed>& all) {
  std::vector<double> rates;
  rates.reserve(all.size());
  for (const Timed& timed : all) rates.push_back(timed.rate());
  return rates;
}

template <typename Function>
std::vector<Timed> TimedOf(const std::vector<Round>& rounds, Function&& function) {
  std::vector<Timed> timed;
  timed.reserve(rounds.size());
  for (const Round& round : rounds) timed.push_back(function(round));
  return timed;
}

OperationFigures::Limit PlainLimit(const char* title, std::vector<Timed> timed) {
  std::vector<double> rates = RatesOf(timed);
  return {.key = "io_uring", .title = title, .rates = std::move(rates), .timed = std::move(timed)};
}

// A limit that not every machine or state has.
void AddLimit(OperationFigures& operation, const char* key, const char* title,
              const std::vector<Round>& rounds, std::optional<double> Round::*member) {
  if (auto rates = EachIfAny(rounds, member)) {
    operation.limits.push_back(
        {.key = key, .title = title, .rates = std::move(*rates), .timed = {}});
  }
}

}  // namespace

std::vector<double> OperationFigures::rates() const { return RatesOf(timed); }

std::vector<OperationFigures> OperationsOf(const std::vector<Round>& rounds) {
  OperationFigures save{.key = "save",
                        .title = "save, until durable",
                        .timed = TimedOf(rounds, [](const Round& r) { return r.save.whole; }),
                        .limits = {}};
  save.limits.push_back(PlainLimit("plain io_uring write",
                                   TimedOf(rounds, [](const Round& r) { return r.write_limit; })));
  AddLimit(save, "fio", "fio write", rounds, &Round::fio_write_rate);
  AddLimit(save, "pinned_copy", "pinned copy to the host", rounds, &Round::to_host_rate);
  OperationFigures cold{.key = "restore_cold",
                        .title = "restore, page cache empty",
                        .timed = TimedOf(rounds, [](const Round& r) { return r.restore_cold; }),
                        .limits = {}};
  cold.limits.push_back(PlainLimit("plain io_uring read",
                                   TimedOf(rounds, [](const Round& r) { return r.read_limit; })));
  AddLimit(cold, "fio", "fio read", rounds, &Round::fio_read_rate);
  AddLimit(cold, "pinned_copy", "pinned copy from the host", rounds, &Round::from_host_rate);
  OperationFigures cached{.key = "restore_cached",
                          .title = "restore, cached",
                          .timed = TimedOf(rounds, [](const Round& r) { return r.restore_cached; }),
                          .limits = {}};
  AddLimit(cached, "pinned_copy", "pinned copy from the host", rounds, &Round::from_host_rate);
  if (cached.limits.empty()) {
    cached.limits.push_back({.key = "memcpy",
                             .title = "memcpy",
                             .rates = Each(rounds, &Round::memcpy_rate),
                             .timed = {}});
  }
  return {std::move(save), std::move(cold), std::move(cached)};
}

double CpuSecondsPerGib(const std::vector<Timed>& all) {
  std::vector<double> values;
  values.reserve(all.size());
  for (const Timed& timed : all) {
    values.push_back(timed.cpu_seconds * static_cast<double>(kGiB) /
                     static_cast<double>(timed.bytes));
  }
  return SpreadOf(std::move(values)).median;
}

std::uint64_t MemoryBytesMax(const std::vector<Timed>& all) {
  std::uint64_t bytes = 0;
  for (const Timed& timed : all) bytes = std::max(bytes, timed.memory_bytes);
  return bytes;
}

SaveLimit UsualLimit(const std::vector<Round>& rounds) {
  std::map<SaveLimit, int> counts;
  for (const Round& round : rounds) ++counts[round.save.stats.limit];
  return std::ranges::max_element(counts, {}, [](const auto& entry) { return entry.second; })
      ->first;
}

}  // namespace waypost::tool
