#include "bench/report.h"

#include <fmt/format.h>

#include <string_view>
#include <thread>

#include "bench/chart.h"
#include "bench/figures.h"
#include "inspect/size_text.h"
#include "inspect/table.h"
#include "inspect/terminal.h"

namespace waypost::tool {
namespace {

constexpr double kGiga = 1e9;
constexpr double kMilli = 1e-3;

// What a save says of itself, in the order of its stages.
struct StatFigure {
  const char* key;
  const char* title;
  double SaveStats::*member;
};
constexpr StatFigure kStages[] = {
    {"plan_seconds", "plan", &SaveStats::plan_seconds},
    {"stage_seconds", "stage", &SaveStats::stage_seconds},
    {"drain_seconds", "drain", &SaveStats::drain_seconds},
    {"commit_seconds", "commit", &SaveStats::commit_seconds},
    {"finish_seconds", "finish", &SaveStats::finish_seconds},
};
constexpr StatFigure kIoThreads[] = {
    {"fill_seconds", "copying and summing", &SaveStats::fill_seconds},
    {"drive_seconds", "waiting for the drive", &SaveStats::drive_seconds},
    {"throttle_seconds", "kept back by a rate cap", &SaveStats::throttle_seconds},
};

Spread StatOf(const BenchReport& report, double SaveStats::*member) {
  return SpreadOf(Each(report.rounds, [member](const Round& r) { return r.save.stats.*member; }));
}

std::string Milliseconds(double seconds) { return fmt::format("{:.1f} ms", seconds / kMilli); }

// Of the whole state.
double MemcpySeconds(const BenchReport& report) {
  return static_cast<double>(report.state_bytes) /
         SpreadOf(Each(report.rounds, &Round::memcpy_rate)).median;
}

// ---- Tables -------------------------------------------------------------------------------------

void PrintHead(const BenchReport& report) {
  PrintLine(fmt::format("state   {}, {} data file{}", SubjectText(report), report.shards,
                        report.shards == 1 ? "" : "s"));
  PrintLine(fmt::format("path    {}, {}", report.file_system, report.path));
  if (report.limit_path != report.path) PrintLine("limits  " + report.limit_path);
  PrintLine(
      fmt::format("save    ring of {}, staging {}; {} run{} of fresh files, its limits beside each",
                  SizeText(report.ring_bytes), report.staging, report.rounds.size(),
                  report.rounds.size() == 1 ? "" : "s"));
  PrintLine(report.cache_was_emptied
                ? "cold    files are removed from the page cache (posix_fadvise) before reading"
                : "cold    the page cache could not be emptied here: \"empty\" is not true below");
  PrintOtherLoad(report);
  for (const std::string& command : {report.fio_write_command, report.fio_read_command}) {
    if (!command.empty()) PrintLine("fio     " + command);
  }
  if (!report.fio_note.empty()) PrintLine("        " + report.fio_note);
  Print("\n");
}

void PrintRates(const std::vector<OperationFigures>& operations) {
  Table table({{"", false},
               {"GB/s", true},
               {"quartiles", true},
               {"CPU s/GiB", true},
               {"extra memory", true}});
  const auto add = [&](const std::string& title, const std::vector<double>& rates,
                       const std::vector<Timed>& timed, bool is_limit) {
    const Spread spread = SpreadOf(rates);
    std::vector<std::string> cells = {
        title, fmt::format("{:.2f}", spread.median / kGiga),
        fmt::format("{:.2f} - {:.2f}", spread.lower / kGiga, spread.upper / kGiga)};
    if (!timed.empty()) cells.push_back(fmt::format("{:.3f}", CpuSecondsPerGib(timed)));
    if (!is_limit) cells.push_back(SizeText(MemoryBytesMax(timed)));
    table.Add(std::move(cells));
  };
  for (const OperationFigures& operation : operations) {
    add(operation.title, operation.rates(), operation.timed, false);
    for (const OperationFigures::Limit& limit : operation.limits) {
      add(std::string("  limit: ") + limit.title, limit.rates, limit.timed, true);
    }
  }
  table.Print();
  Print("\n");
}

void PrintRatios(const std::vector<OperationFigures>& operations) {
  Table table({{"ratio in the same run", false}, {"median", true}, {"quartiles", true}});
  for (const OperationFigures& operation : operations) {
    for (const OperationFigures::Limit& limit : operation.limits) {
      const Spread ratio = SpreadOf(PairedRatios(operation.rates(), limit.rates));
      table.Add({fmt::format("{} / {}", operation.title, limit.title),
                 fmt::format("{:.2f}", ratio.median),
                 fmt::format("{:.2f} - {:.2f}", ratio.lower, ratio.upper)});
    }
  }
  table.Print();
  Print("\n");
}

void PrintSave(const BenchReport& report) {
  const Spread stall = StatOf(report, &SaveStats::stall_seconds);
  const double call =
      SpreadOf(Each(report.rounds, [](const Round& r) { return r.save.call_seconds; })).median;
  PrintLine(
      fmt::format("stall       {} [{} - {}]: SaveAsync {}, the rest in WaitStaged right after",
                  Milliseconds(stall.median), Milliseconds(stall.lower), Milliseconds(stall.upper),
                  Milliseconds(call)));
  PrintLine(fmt::format("            one {} of the state takes {}",
                        report.device == "host" ? "memcpy" : "copy within the device",
                        Milliseconds(MemcpySeconds(report))));
  std::string stages, threads;
  for (const StatFigure& stage : kStages) {
    stages += fmt::format("{}{} {}", stages.empty() ? "" : ", ", stage.title,
                          Milliseconds(StatOf(report, stage.member).median));
  }
  for (const StatFigure& figure : kIoThreads) {
    threads += fmt::format("{}{} {}", threads.empty() ? "" : ", ", figure.title,
                           Milliseconds(StatOf(report, figure.member).median));
  }
  PrintLine("stages      " + stages);
  PrintLine("I/O threads " + threads);
  PrintLine(fmt::format("limit       {}", SaveLimitName(UsualLimit(report.rounds))));
}

// ---- JSON ---------------------------------------------------------------------------------------

Json OperationJson(const OperationFigures& operation) {
  Json limits = Json::object(), ratios = Json::object();
  for (const OperationFigures::Limit& limit : operation.limits) {
    limits[limit.key] = SpreadJson(limit.rates);
    ratios[limit.key] = SpreadJson(PairedRatios(operation.rates(), limit.rates));
  }
  return {{"bytes_per_second", SpreadJson(operation.rates())},
          {"limits", std::move(limits)},
          {"ratios", std::move(ratios)},
          {"cpu_seconds_per_gib", JsonNumber(CpuSecondsPerGib(operation.timed))},
          {"extra_memory_bytes", MemoryBytesMax(operation.timed)}};
}

void AddSaveFigures(const BenchReport& report, Json& save) {
  save["stall_seconds"] =
      SpreadJson(Each(report.rounds, [](const Round& r) { return r.save.stats.stall_seconds; }));
  save["call_seconds"] =
      SpreadJson(Each(report.rounds, [](const Round& r) { return r.save.call_seconds; }));
  save["staged_seconds"] =
      SpreadJson(Each(report.rounds, [](const Round& r) { return r.save.staged_seconds; }));
  save["durable_seconds"] =
      SpreadJson(Each(report.rounds, [](const Round& r) { return r.save.whole.seconds; }));
  for (const StatFigure& figure : kStages) {
    save[figure.key] = JsonNumber(StatOf(report, figure.member).median);
  }
  for (const StatFigure& figure : kIoThreads) {
    save[figure.key] = JsonNumber(StatOf(report, figure.member).median);
  }
  save["limit"] = SaveLimitName(UsualLimit(report.rounds));
}

Json PlotJson(const PlotData& plot) {
  Json sizes = Json::array(), rings = Json::array();
  for (const SizePoint& point : plot.sizes) {
    sizes.push_back({{"bytes", point.bytes},
                     {"save", JsonNumber(point.save)},
                     {"io_uring_write", JsonNumber(point.write_limit)},
                     {"restore_cold", JsonNumber(point.restore)},
                     {"io_uring_read", JsonNumber(point.read_limit)}});
  }
  for (const RingPoint& point : plot.rings) {
    rings.push_back(
        {{"ring_bytes", point.ring_bytes}, {"stall_seconds", JsonNumber(point.stall_seconds)}});
  }
  return {{"rate_over_size", std::move(sizes)},
          {"stall_over_ring", std::move(rings)},
          {"stall_state_bytes", plot.rings_state_bytes},
          {"full_copy_stall_seconds", JsonNumber(plot.full_copy_stall_seconds)},
          {"memcpy_seconds", JsonNumber(plot.memcpy_seconds)}};
}

}  // namespace

void PrintOtherLoad(const BenchSubject& subject) {
  if (!subject.other_cores) return;
  PrintLine(fmt::format("others  {:.2f} of {} cores were busy with something else meanwhile",
                        *subject.other_cores, std::thread::hardware_concurrency()));
}

std::string SubjectText(const BenchSubject& subject) {
  return fmt::format(
      "{}: {} in {} {}{}", subject.directory, SizeText(subject.state_bytes), subject.tensors,
      subject.likeness == "equal" ? "equal tensors" : "tensors like " + subject.likeness,
      subject.device == "host" ? "" : " on " + subject.device);
}

Json SubjectJson(const BenchSubject& subject) {
  return {
      {"directory", JsonText(subject.directory)},
      {"file_system", subject.file_system},
      {"path", JsonText(subject.path)},
      {"state",
       {{"like", subject.likeness}, {"tensors", subject.tensors}, {"bytes", subject.state_bytes}}},
      {"ring_bytes", subject.ring_bytes},
      {"staging", subject.staging},
      {"other_cores", subject.other_cores ? JsonNumber(*subject.other_cores) : Json()}};
}

Json SpreadJson(const std::vector<double>& values) {
  const Spread spread = SpreadOf(values);
  Json all = Json::array();
  for (const double value : values) all.push_back(JsonNumber(value));
  return {{"median", JsonNumber(spread.median)},
          {"lower_quartile", JsonNumber(spread.lower)},
          {"upper_quartile", JsonNumber(spread.upper)},
          {"values", std::move(all)}};
}

void PrintReport(const BenchReport& report) {
  const std::vector<OperationFigures> operations = OperationsOf(report.rounds);
  PrintHead(report);
  PrintRates(operations);
  PrintRatios(operations);
  PrintSave(report);
}

Json ReportJson(const BenchReport& report) {
  Json json = SubjectJson(report);
  json["device"] = report.device;
  json["limit_path"] = JsonText(report.limit_path);
  json["state"]["shards"] = report.shards;
  json["runs"] = report.rounds.size();
  json["page_cache_was_emptied"] = report.cache_was_emptied;
  json["fio"] = {{"write_command", JsonText(report.fio_write_command)},
                 {"read_command", JsonText(report.fio_read_command)},
                 {"note", JsonText(report.fio_note)}};
  json["memcpy_seconds"] = JsonNumber(MemcpySeconds(report));
  for (const OperationFigures& operation : OperationsOf(report.rounds)) {
    json[operation.key] = OperationJson(operation);
  }
  AddSaveFigures(report, json["save"]);
  if (report.plot) json["plot"] = PlotJson(*report.plot);
  return json;
}

std::string ReportSvg(const BenchReport& report) {
  const PlotData& plot = *report.plot;
  ChartSeries save{"save", "#1f6fb4", false, {}},
      write{"plain io_uring write", "#1f6fb4", true, {}};
  ChartSeries restore{"restore, cache empty", "#d9651d", false, {}};
  ChartSeries read{"plain io_uring read", "#d9651d", true, {}};
  for (const SizePoint& point : plot.sizes) {
    const auto x = static_cast<double>(point.bytes);
    save.points.push_back({x, point.save / kGiga});
    write.points.push_back({x, point.write_limit / kGiga});
    restore.points.push_back({x, point.restore / kGiga});
    read.points.push_back({x, point.read_limit / kGiga});
  }
  ChartSeries lazy{"stall, lazy", "#1f6fb4", false, {}};
  ChartSeries full{"stall, full copy", "#3a923a", true, {}};
  ChartSeries memcpy{"one memcpy", "#777777", true, {}};
  for (const RingPoint& point : plot.rings) {
    const auto x = static_cast<double>(point.ring_bytes);
    lazy.points.push_back({x, point.stall_seconds / kMilli});
    full.points.push_back({x, plot.full_copy_stall_seconds / kMilli});
    memcpy.points.push_back({x, plot.memcpy_seconds / kMilli});
  }
  return ChartsSvg({{.title = "Rate over the state's size",
                     .x_title = "bytes of the state",
                     .y_title = "GB/s (median)",
                     .series = {save, write, restore, read}},
                    {.title = fmt::format("Stall over the ring's size, state of {}",
                                          SizeText(plot.rings_state_bytes)),
                     .x_title = "bytes of the staging ring",
                     .y_title = "stall in ms (median)",
                     .series = {lazy, full, memcpy}}},
                   fmt::format("waypost bench: tensors like {}, {}, {}", report.likeness,
                               report.file_system, report.path));
}

}  // namespace waypost::tool
