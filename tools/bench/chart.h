// Line charts as SVG.
#pragma once

#include <string>
#include <vector>

namespace waypost::tool {

struct ChartPoint {
  double x = 0;  // bytes; the axis is logarithmic
  double y = 0;
};

struct ChartSeries {
  std::string name;
  std::string color;               // "#1f77b4"
  bool is_limit = false;           // drawn dashed
  std::vector<ChartPoint> points;  // ascending by x
};

struct Chart {
  std::string title;
  std::string x_title;
  std::string y_title;
  std::vector<ChartSeries> series;
};

// One picture with the charts below each other, and a line that says what was measured.
std::string ChartsSvg(const std::vector<Chart>& charts, const std::string& caption);

}  // namespace waypost::tool
