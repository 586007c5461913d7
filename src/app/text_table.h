#pragma once
// A table for a terminal: columns as wide as their texts, and where that is too wide, the columns
// that may shrink give way, the widest first. Pure.
//
//   KEY          ALIAS          SPENT
//   sk-...wxyz   ci             $1.24
#include <string>
#include <string_view>
#include <vector>

#include "app/check.h"
#include "base/money.h"

namespace belay::app {

enum class Align : uint8_t { left, right };

struct TableColumn {
    std::string head;
    Align align = Align::left;
    size_t least = 0;       // 0: never narrower than its texts
    bool optional = false;  // left out when all its texts are empty
};

class TextTable {
  public:
    explicit TextTable(std::vector<TableColumn> columns) : columns_(std::move(columns)) {}
    void add(std::vector<std::string> cells);  // one for each column
    void add_rule();                           // before a total
    // Lines of at most `width` columns where that can be; no spaces at their ends.
    [[nodiscard]] std::string render(size_t width, Colour colour) const;
    [[nodiscard]] size_t rows() const { return rows_.size(); }

  private:
    std::vector<TableColumn> columns_;
    std::vector<std::vector<std::string>> rows_;  // an empty one is a rule
};

// "$12.30", "$0.0034", "$1,234.50": for people; sums are never made of these.
[[nodiscard]] std::string show_usd(NanoCredits amount);
// "12,345".
[[nodiscard]] std::string show_number(int64_t number);
// "█████▌" of at most `width` columns for a share of 0 to 1.
[[nodiscard]] std::string show_share(double share, size_t width);

}  // namespace belay::app
