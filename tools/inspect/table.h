// A table of text whose columns are aligned.
#pragma once

#include <string>
#include <vector>

namespace waypost::tool {

struct Column {
  std::string title;
  bool is_number = false;  // aligned right
};

class Table {
 public:
  explicit Table(std::vector<Column> columns);

  // Requires: at most as many cells as columns; the cells are printable.
  void Add(std::vector<std::string> cells);
  void Print() const;

 private:
  void PrintRow(const std::vector<std::string>& cells) const;

  std::vector<Column> columns_;
  std::vector<std::vector<std::string>> rows_;
  std::vector<std::size_t> widths_;
};

}  // namespace waypost::tool
