#include "bench/chart.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <set>
#include <string_view>

#include "inspect/size_text.h"

namespace waypost::tool {
namespace {

constexpr double kWidth = 760, kHeight = 380;  // of one chart
constexpr double kLeft = 76, kRight = 210, kTop = 48, kBottom = 56;
constexpr double kPlotWidth = kWidth - kLeft - kRight, kPlotHeight = kHeight - kTop - kBottom;
constexpr double kCaptionHeight = 34;
constexpr double kLegendLine = 22;

std::string Escaped(std::string_view text) {
  std::string escaped;
  for (const char c : text) {
    switch (c) {
      case '&': escaped += "&amp;"; break;
      case '<': escaped += "&lt;"; break;
      case '>': escaped += "&gt;"; break;
      case '"': escaped += "&quot;"; break;
      default: escaped += c;
    }
  }
  return escaped;
}

struct Label {
  double x = 0, y = 0;
  std::string_view anchor = "start";  // "middle", "end"
  int size = 12;
  bool is_bold = false;
  bool is_upright = false;  // read from below
};

std::string Text(const Label& label, std::string_view text) {
  return fmt::format(
      "<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"{}\" font-size=\"{}\"{}{}>{}</text>\n",
      label.x, label.y, label.anchor, label.size, label.is_bold ? " font-weight=\"bold\"" : "",
      label.is_upright ? fmt::format(" transform=\"rotate(-90 {:.1f} {:.1f})\"", label.x, label.y)
                       : std::string(),
      Escaped(text));
}

std::string Line(const ChartPoint& from, const ChartPoint& to, std::string_view style) {
  return fmt::format("<line x1=\"{:.1f}\" y1=\"{:.1f}\" x2=\"{:.1f}\" y2=\"{:.1f}\" {}/>\n", from.x,
                     from.y, to.x, to.y, style);
}

// 1, 2 or 5 times a power of ten, so that about five of it reach `greatest`.
double NiceStep(double greatest) {
  const double rough = greatest / 5;
  const double power = std::pow(10, std::floor(std::log10(rough)));
  for (const double factor : {1.0, 2.0, 5.0}) {
    if (rough <= factor * power) return factor * power;
  }
  return 10 * power;
}

// From values to places within the picture of one chart.
class Axes {
 public:
  explicit Axes(const Chart& chart) {
    double greatest = 0;
    for (const ChartSeries& series : chart.series) {
      for (const ChartPoint& point : series.points) {
        positions_.insert(point.x);
        greatest = std::max(greatest, point.y);
      }
    }
    step_ = greatest > 0 ? NiceStep(greatest) : 1;
    y_max_ = step_ * std::max(1.0, std::ceil(greatest / step_ - 1e-9));
    if (!positions_.empty()) {
      x_min_ = std::log2(*positions_.begin());
      x_max_ = std::log2(*positions_.rbegin());
    }
    if (x_max_ <= x_min_) {  // a single size: in the middle
      x_min_ -= 1;
      x_max_ += 1;
    }
  }

  double X(double value) const {
    return kLeft + kPlotWidth * (std::log2(value) - x_min_) / (x_max_ - x_min_);
  }
  double Y(double value) const { return kTop + kPlotHeight * (1 - value / y_max_); }

  std::string Render() const {
    constexpr double kNearest = 48;  // labels closer than this would touch
    constexpr std::string_view kGrid = "stroke=\"#e2e2e2\"", kAxis = "stroke=\"#333333\"";
    std::string svg;
    const int steps = static_cast<int>(std::lround(y_max_ / step_));
    for (int i = 0; i <= steps; ++i) {
      const double y = Y(i * step_);
      svg += Line({kLeft, y}, {kLeft + kPlotWidth, y}, i == 0 ? kAxis : kGrid);
      svg += Text({.x = kLeft - 8, .y = y + 4, .anchor = "end"}, fmt::format("{:g}", i * step_));
    }
    double last = -kNearest;
    for (const double position : positions_) {
      const double x = X(position);
      svg += Line({x, kTop + kPlotHeight}, {x, kTop + kPlotHeight + 5}, kAxis);
      if (x - last < kNearest) continue;
      last = x;
      svg += Text({.x = x, .y = kTop + kPlotHeight + 19, .anchor = "middle"},
                  SizeText(static_cast<std::uint64_t>(position)));
    }
    return svg + Line({kLeft, kTop}, {kLeft, kTop + kPlotHeight}, kAxis);
  }

 private:
  std::set<double> positions_;
  double x_min_ = 0, x_max_ = 0;  // logarithms
  double y_max_ = 1, step_ = 1;
};

std::string RenderSeries(const ChartSeries& series, const Axes& axes) {
  std::string points, circles;
  for (const ChartPoint& point : series.points) {
    const double x = axes.X(point.x), y = axes.Y(point.y);
    points += fmt::format("{}{:.1f},{:.1f}", points.empty() ? "" : " ", x, y);
    if (series.is_limit) continue;
    circles += fmt::format("<circle cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"3.5\" fill=\"{}\"/>\n", x, y,
                           series.color);
  }
  return fmt::format("<polyline points=\"{}\" fill=\"none\" stroke=\"{}\" stroke-width=\"2\"{}/>\n",
                     points, series.color, series.is_limit ? " stroke-dasharray=\"6 4\"" : "") +
         circles;
}

std::string RenderLegend(const std::vector<ChartSeries>& all) {
  std::string svg;
  double y = kTop + 8;
  for (const ChartSeries& series : all) {
    const double x = kLeft + kPlotWidth + 16;
    svg += Line({x, y}, {x + 26, y},
                fmt::format("stroke=\"{}\" stroke-width=\"2\"{}", series.color,
                            series.is_limit ? " stroke-dasharray=\"6 4\"" : ""));
    svg += Text({.x = x + 32, .y = y + 4}, series.name);
    y += kLegendLine;
  }
  return svg;
}

std::string RenderChart(const Chart& chart) {
  const Axes axes(chart);
  std::string svg = Text({.x = kLeft, .y = kTop - 20, .size = 15, .is_bold = true}, chart.title);
  svg += axes.Render();
  svg += Text({.x = kLeft + kPlotWidth / 2, .y = kHeight - 14, .anchor = "middle"}, chart.x_title);
  svg += Text({.x = 20, .y = kTop + kPlotHeight / 2, .anchor = "middle", .is_upright = true},
              chart.y_title);
  for (const ChartSeries& series : chart.series) svg += RenderSeries(series, axes);
  return svg + RenderLegend(chart.series);
}

}  // namespace

std::string ChartsSvg(const std::vector<Chart>& charts, const std::string& caption) {
  const double height = kHeight * static_cast<double>(charts.size()) + kCaptionHeight;
  std::string svg = fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{0}\" height=\"{1}\" viewBox=\"0 0 {0} "
      "{1}\" "
      "font-family=\"sans-serif\" fill=\"#222222\">\n<rect width=\"{0}\" height=\"{1}\" "
      "fill=\"#ffffff\"/>\n",
      kWidth, height);
  double top = 0;
  for (const Chart& chart : charts) {
    svg += fmt::format("<g transform=\"translate(0 {})\">\n{}</g>\n", top, RenderChart(chart));
    top += kHeight;
  }
  svg += Text({.x = kLeft, .y = height - 14, .size = 11}, caption);
  return svg + "</svg>\n";
}

}  // namespace waypost::tool
