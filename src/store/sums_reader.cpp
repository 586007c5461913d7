#include "store/sums_reader.h"

#include <map>
#include <unordered_map>

#include "store/rollup.h"
#include "store/sums_columns.h"

namespace belay::store {

namespace {

using ledger::DaySum;
using ledger::Metrics;

// Days of single series are looked up one by one while that is less work than reading all.
constexpr int64_t kLookupsMax = 4096;
// Of a database behind a wire: so many series are named in the question.
constexpr size_t kNamedMax = 1000;

struct Days {
    int64_t first = 0;
    int64_t last = 0;
};

Result<Days> days_of(const std::string& from, const std::string& until) {
    Days days{0, INT32_MAX};
    if (!from.empty()) {
        days.first = TRY(ledger::parse_date(from));
    }
    if (!until.empty()) {
        days.last = TRY(ledger::parse_date(until));
    }
    return days;
}

// The series that a filter means, by their id.
using SeriesNames = std::map<int64_t, DaySum>;

Result<SeriesNames> find_names(LedgerView& view, const ledger::DayFilter& filter) {
    // The one list that an index serves narrows the search; matches() does the rest.
    std::string where;
    std::vector<LedgerView::Value> values = {static_cast<int64_t>(filter.kind())};
    const auto& labels = !filter.tags.empty() ? filter.tags : filter.end_users;
    if (!labels.empty()) {
        where = !filter.tags.empty() ? " AND tag<>'' AND tag IN ("
                                     : " AND end_user<>'' AND end_user IN (";
        for (const std::string& label : labels) {
            values.emplace_back(label);
            where += (values.size() == 2 ? "?" : ",?") + std::to_string(values.size());
        }
        where += ")";
    }
    const auto rows = TRY(view.ask(join_sql({"SELECT id,", kNameColumns, " FROM ", view.prefix(),
                                             "series WHERE kind=?1", where}),
                                   values));
    SeriesNames names;
    while (TRY(rows->step())) {
        DaySum sum = read_names(*rows, 1);
        if (matches(filter, sum)) {
            names.emplace(rows->integer(0), std::move(sum));
        }
    }
    return names;
}

Metrics read_metrics(const ViewRows& row, int first_column) {
    Metrics metrics;
    for (int64_t* count : counts_of(metrics)) {
        *count = row.integer(first_column++);
    }
    return metrics;
}

// The days' sums of one kind and some series; sums come by day.
class DayReader {
  public:
    DayReader(LedgerView& view, int64_t kind, Days days, const SeriesNames& names)
        : view_(view),
          kind_(kind),
          days_(days),
          names_(names),
          columns_(join_sql(
              {"SELECT day,series,", kMetricColumns, " FROM ", view.prefix(), "day_sum"})) {}

    Result<std::vector<DaySum>> read() {
        const auto count = static_cast<int64_t>(names_.size());
        if (count != 0) {
            const bool few = days_.last - days_.first < kLookupsMax / count;
            TRY(few && !view_.is_remote() ? look_up() : read_range());
        }
        return std::move(sums_);
    }

  private:
    Result<void> look_up() {
        const std::string sql = columns_ + " WHERE kind=?1 AND day=?2 AND series=?3";
        for (int64_t day = days_.first; day <= days_.last; ++day) {
            for (const auto& [series, name] : names_) {
                TRY(take(sql, {kind_, day, series}));
            }
        }
        return {};
    }

    Result<void> read_range() {
        std::string sql = columns_ + " WHERE kind=?1 AND day BETWEEN ?2 AND ?3";
        if (view_.is_remote() && names_.size() <= kNamedMax) {
            std::string ids;
            for (const auto& [series, name] : names_) {
                ids += (ids.empty() ? "" : ",") + std::to_string(series);
            }
            sql += " AND series IN (" + ids + ")";
        }
        return take(sql + " ORDER BY day,series", {kind_, days_.first, days_.last});
    }

    Result<void> take(const std::string& sql, const std::vector<LedgerView::Value>& values) {
        const auto rows = TRY(view_.ask(sql, values));
        while (TRY(rows->step())) {
            if (const auto name = names_.find(rows->integer(1)); name != names_.end()) {
                sums_.push_back(name->second);
                sums_.back().date = ledger::render_date(rows->integer(0));
                sums_.back().metrics = read_metrics(*rows, 2);
            }
        }
        return {};
    }

    LedgerView& view_;
    int64_t kind_;
    Days days_;
    const SeriesNames& names_;
    std::string columns_;
    std::vector<DaySum> sums_;
};

}  // namespace

DaySum read_names(const ViewRows& row, int first_column) {
    DaySum sum;
    for (std::string* name : names_of(sum)) {
        *name = row.bytes(first_column++);
    }
    return sum;
}

Result<std::vector<DaySum>> read_day_sums(LedgerView& view, const ledger::DayFilter& filter) {
    const Days days = TRY(days_of(filter.from, filter.until));
    const SeriesNames names = TRY(find_names(view, filter));
    return DayReader(view, static_cast<int64_t>(filter.kind()), days, names).read();
}

// Added here and not by SQL, whose sum() fails beyond 64 bits. A database that others write to as
// well keeps each series' total beside its name.
Result<std::vector<ledger::ScopeSum>> read_scope_sums(LedgerView& view) {
    std::unordered_map<int64_t, Metrics> totals;
    if (!view.is_remote()) {
        const auto days = TRY(view.ask("SELECT series,cost,premium_milli FROM day_sum"));
        while (TRY(days->step())) {
            Metrics& total = totals[days->integer(0)];
            total.cost = add(total.cost, NanoCredits{days->integer(1)});
            total.premium_milli += days->integer(2);
        }
    }
    const auto series = TRY(view.ask(
        join_sql({"SELECT id,", kNameColumns, view.is_remote() ? ",total_cost,total_premium" : "",
                  " FROM ", view.prefix(), "series"})));
    ledger::ScopeSums scopes;
    while (TRY(series->step())) {
        DaySum sum = read_names(*series, 1);
        if (view.is_remote()) {
            sum.metrics.cost.value = series->integer(1 + kNames);
            sum.metrics.premium_milli = series->integer(2 + kNames);
        } else {
            sum.metrics = totals[series->integer(0)];
        }
        scopes.add(sum);
    }
    return scopes.take();
}

Result<std::vector<ledger::Queries::TagSum>> read_tag_sums(LedgerView& view,
                                                           const std::string& from,
                                                           const std::string& until) {
    ledger::DayFilter filter;
    filter.by = SeriesKind::tag;
    filter.from = from;
    filter.until = until;
    std::map<std::string, Metrics> tags;
    for (const DaySum& sum : TRY(read_day_sums(view, filter))) {
        tags[sum.tag] += sum.metrics;
    }
    std::vector<ledger::Queries::TagSum> sums;
    for (const auto& [tag, metrics] : tags) {
        sums.push_back({tag, metrics});
    }
    return sums;
}

}  // namespace belay::store
