#pragma once
// Counters and histograms that share their labels: one row for each set of values, so that a
// request finds all of them with one look. Bounded: when a table is full, further sets of values
// are counted together in one row whose labels all say "other". One thread.
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "observe/metric.h"

namespace belay::observe {

class LabelTable {
  public:
    static constexpr size_t kRowsMost = 2000;
    static constexpr size_t kValueMost = 128;  // bytes kept of a label's value

    explicit LabelTable(std::vector<std::string_view> labels, size_t rows_most = kRowsMost)
        : labels_(std::move(labels)), rows_most_(rows_most) {}

    // A column, before the first row. What count() was given is shown divided by `per`.
    size_t counter(std::string_view name, std::string_view help, double per = 1);
    size_t histogram(std::string_view name, std::string_view help);  // of microseconds

    class Row {
      public:
        // Adds to a counter, also 0: from then on it is shown.
        void count(size_t column, int64_t by = 1) {
            cells_[column].touched = true;
            cells_[column].sum += by;
        }
        void observe(size_t column, int64_t us);

      private:
        friend class LabelTable;
        struct Cell {
            bool touched = false;
            int64_t sum = 0;
            std::vector<uint64_t> buckets;  // each for itself; the last is above every bound
        };
        std::vector<std::string> values_;
        std::vector<Cell> cells_;
    };

    // The row of these values, as many as there are labels. Empty values become "None", which is
    // what LiteLLM's series have there.
    [[nodiscard]] Row& row(std::initializer_list<std::string_view> values);
    [[nodiscard]] size_t rows() const { return rows_.size(); }
    [[nodiscard]] uint64_t overflowed() const { return overflowed_; }  // requests among "other"

    void collect(std::vector<Family>& into) const;

  private:
    struct Column {
        std::string name, help;
        MetricType type;
        double per;
    };
    Row& make(std::string key, std::vector<std::string> values);

    std::vector<std::string_view> labels_;
    size_t rows_most_;
    std::vector<Column> columns_;
    std::unordered_map<std::string, std::unique_ptr<Row>> rows_;
    std::vector<const Row*> order_;
    Row* other_ = nullptr;
    uint64_t overflowed_ = 0;
};

}  // namespace belay::observe
