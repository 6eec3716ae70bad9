#include "inspect/table.h"

#include <algorithm>

#include "base/check.h"
#include "inspect/terminal.h"

namespace waypost::tool {
namespace {

// Characters, not bytes; those of double width are not worth a table of their own.
std::size_t Width(const std::string& cell) {
  return static_cast<std::size_t>(std::ranges::count_if(
      cell, [](char c) { return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U; }));
}

}  // namespace

Table::Table(std::vector<Column> columns) : columns_(std::move(columns)) {
  for (const Column& column : columns_) widths_.push_back(Width(column.title));
}

void Table::Add(std::vector<std::string> cells) {
  WAYPOST_CHECK(cells.size() <= columns_.size());
  for (std::size_t i = 0; i < cells.size(); ++i) widths_[i] = std::max(widths_[i], Width(cells[i]));
  rows_.push_back(std::move(cells));
}

void Table::Print() const {
  std::vector<std::string> titles;
  for (const Column& column : columns_) titles.push_back(column.title);
  PrintRow(titles);
  for (const std::vector<std::string>& row : rows_) PrintRow(row);
}

void Table::PrintRow(const std::vector<std::string>& cells) const {
  std::string line;
  for (std::size_t i = 0; i < cells.size(); ++i) {
    const std::string padding(widths_[i] - Width(cells[i]), ' ');
    if (i != 0) line += "  ";
    line += columns_[i].is_number ? padding + cells[i] : cells[i] + padding;
  }
  line.erase(line.find_last_not_of(' ') + 1);
  tool::Print(line + "\n");
}

}  // namespace waypost::tool
