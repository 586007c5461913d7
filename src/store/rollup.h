#pragma once
// What a batch of rows adds up to: its facts (batch_facts.h), and sums by day of each series. A
// series is one combination of what daily sums are kept by; its name is its texts joined by 0x1F,
// in the order of the series table's columns. Belongs to the writer; keeps its memory.
#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "ledger/query.h"
#include "store/batch_facts.h"
#include "store/row_codec.h"

namespace belay::store {

using SeriesKind = ledger::DayFilter::By;

class Rollup {
  public:
    struct Sum {
        SeriesKind kind = SeriesKind::key;
        int64_t day = 0;
        std::string name;
        ledger::Metrics metrics;
    };

    // Forgets what was, then reads the rows, which must outlive the sums' and facts' making.
    // False: some are of an older format (renew_rows), and nothing of this holds.
    [[nodiscard]] bool read(std::string_view rows);
    [[nodiscard]] const std::vector<Sum>& sums() const { return sums_; }
    [[nodiscard]] const BatchFacts& facts() const { return facts_; }

  private:
    struct Route {
        RouteView view;
        std::array<uint32_t, kStatuses> uses{};
        int64_t day = INT64_MIN;  // of the use before
        size_t sum = 0;           // and its place in sums_
    };

    void add(const RowView& row);
    [[nodiscard]] size_t route_of(std::string_view route);
    [[nodiscard]] size_t sum_of(SeriesKind kind, size_t route, std::string_view label, int64_t day);
    void add_labels(const RowView& row, size_t route, int64_t day, const ledger::Metrics& metrics);
    void tell_error(const RowView& row);
    void tell_routes();

    std::vector<Route> routes_;
    std::unordered_map<const char*, size_t> route_places_;
    const char* last_route_ = nullptr;
    size_t last_place_ = 0;
    std::vector<Sum> sums_;
    std::unordered_map<std::string, size_t> sum_places_;  // by kind, day and name
    struct Shortcut {
        std::string_view label;
        size_t route = 0;
        size_t sum = 0;
        int64_t day = INT64_MIN;
        SeriesKind kind = SeriesKind::key;
    };
    std::vector<Shortcut> shortcuts_;  // by a hash of route and label
    std::string scratch_;
    Tally common_, varied_;
    std::vector<Mix> mixes_;
    BatchFacts facts_;
};

[[nodiscard]] ledger::Metrics metrics_of(const RowFixed& row);

}  // namespace belay::store
