#include "bench/interference_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>

#include "bench/chart.h"
#include "bench/statistics.h"
#include "inspect/size_text.h"
#include "inspect/table.h"
#include "inspect/terminal.h"

namespace waypost::tool {
namespace {

constexpr double kGiga = 1e9;
constexpr double kPercent = 1e-2;

template <typename Function>
std::vector<double> Each(const LoopCost& cost, Function&& function) {
  std::vector<double> values;
  values.reserve(cost.pairs.size());
  for (const WorkPair& pair : cost.pairs) values.push_back(std::invoke(function, pair));
  return values;
}

std::string Percent(double part) { return fmt::format("{:.1f} %", part / kPercent); }

std::string CapText(std::uint64_t cap) { return SizeText(cap) + "/s"; }

// Whether every core has something to do without the saves.
bool TakesAllCores(const LoopCost& cost, unsigned core_count) {
  return static_cast<unsigned>(cost.threads) >= core_count;
}

void PrintCosts(const std::string& title, const std::vector<LoopCost>& costs,
                const std::function<std::string(const LoopCost&)>& name) {
  Table table({{title, false},
               {"slow-down", true},
               {"quartiles", true},
               {"written GB/s", true},
               {"alone", true}});
  for (const LoopCost& cost : costs) {
    const Spread slow_down = SpreadOf(Each(cost, &WorkPair::slow_down));
    table.Add({name(cost), Percent(slow_down.median),
               fmt::format("{} to {}", Percent(slow_down.lower), Percent(slow_down.upper)),
               fmt::format("{:.2f}", SpreadOf(Each(cost, &WorkPair::write_rate)).median / kGiga),
               fmt::format("{:.2f} s", SpreadOf(Each(cost, &WorkPair::alone_seconds)).median)});
  }
  table.Print();
  Print("\n");
}

Json CostJson(const LoopCost& cost, unsigned core_count) {
  return {{"work", cost.kind == WorkKind::kCompute ? "compute" : "memory"},
          {"threads", cost.threads},
          {"takes_all_cores", TakesAllCores(cost, core_count)},
          {"write_bytes_per_second_max", cost.cap},
          {"slow_down", SpreadJson(Each(cost, &WorkPair::slow_down))},
          {"written_bytes_per_second", SpreadJson(Each(cost, &WorkPair::write_rate))},
          {"alone_seconds", SpreadJson(Each(cost, &WorkPair::alone_seconds))}};
}

}  // namespace

void PrintInterference(const InterferenceReport& report) {
  const std::vector<LoopCost>& loops = report.found.loops;
  PrintLine("state   " + SubjectText(report));
  PrintLine(fmt::format("path    {}, {}", report.file_system, report.path));
  PrintLine(fmt::format("save    ring of {}, staging {}; one save after the other",
                        SizeText(report.ring_bytes), report.staging));
  PrintLine(fmt::format("cores   {}", CoresText(report.core_count, report.cores)));
  PrintOtherLoad(report);
  PrintLine(
      fmt::format("work    {} pairs, by itself and beside saves in turns", loops[0].pairs.size()));
  Print("\n");
  PrintCosts("loop", loops, [&](const LoopCost& cost) {
    return WorkName(cost.kind, cost.threads) +
           (TakesAllCores(cost, report.core_count) ? " (no core is free)" : "");
  });
  if (report.found.caps.empty()) return;
  PrintCosts(fmt::format("cap; {}", WorkName(WorkKind::kCompute, 1)), report.found.caps,
             [](const LoopCost& cost) { return CapText(cost.cap); });
  const std::optional<std::uint64_t> cap = HighestGentleCap(report.found.caps);
  PrintLine(fmt::format("highest cap with {} or less: {}", Percent(kSlowDownMax),
                        cap ? CapText(*cap) : "none of these"));
}

Json InterferenceJson(const InterferenceReport& report) {
  const auto all = [&](const std::vector<LoopCost>& costs) {
    Json list = Json::array();
    for (const LoopCost& cost : costs) list.push_back(CostJson(cost, report.core_count));
    return list;
  };
  Json json = SubjectJson(report);
  json["pairs"] = report.found.loops.front().pairs.size();
  json["cores"] = {{"count", report.core_count},
                   {"sharing", report.cores.sharing},
                   {"virtual", report.cores.is_virtual}};
  json["loops"] = all(report.found.loops);
  json["caps"] = all(report.found.caps);
  const std::optional<std::uint64_t> cap = HighestGentleCap(report.found.caps);
  json["highest_gentle_cap"] = cap ? Json(*cap) : Json();
  return json;
}

std::string InterferenceSvg(const InterferenceReport& report) {
  ChartSeries measured{"compute, 1 thread", "#1f6fb4", false, {}};
  ChartSeries goal{"goal of the cap", "#777777", true, {}};
  for (const LoopCost& cost : report.found.caps) {
    const auto x = static_cast<double>(cost.cap);
    // Noise may have made it quicker; the axis begins at none.
    measured.points.push_back({x, std::max(0.0, cost.slow_down()) / kPercent});
    goal.points.push_back({x, kSlowDownMax / kPercent});
  }
  return ChartsSvg(
      {{.title = "Slow-down over the cap on a save's rate",
        .x_title = "most bytes a second that saves write",
        .y_title = "slow-down in % (median)",
        .series = {measured, goal}}},
      fmt::format("waypost bench: {}, {}, {}", CoresText(report.core_count, report.cores),
                  report.file_system, report.path));
}

}  // namespace waypost::tool
