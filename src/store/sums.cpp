#include "store/sums.h"

#include <algorithm>
#include <array>
#include <map>

namespace belay::store {

namespace {

using ledger::DaySum;
using ledger::Metrics;

constexpr size_t kIdsKept = 8192;
// Days of single series are looked up one by one while that is less work than reading all.
constexpr int64_t kLookupsMax = 4096;
constexpr char kJoint = '\x1F';

constexpr std::string_view kNameColumns =
    "\"key\",key_alias,user,team,organization,end_user,tag,model,model_group,provider,endpoint";
constexpr int kNames = 11;
constexpr std::string_view kMetricColumns =
    "cost,prompt_tokens,completion_tokens,cache_read_tokens,cache_write_tokens,requests,successes,"
    "failures,premium_milli,fallbacks,total_us,first_token_us,unknown_cost";
// A sum beyond 64 bits would become a floating-point number.
constexpr std::string_view kAddDay =
    " ON CONFLICT(kind,day,series) DO UPDATE SET "
    "cost=min(cost+excluded.cost,9223372036854775807),"
    "prompt_tokens=prompt_tokens+excluded.prompt_tokens,"
    "completion_tokens=completion_tokens+excluded.completion_tokens,"
    "cache_read_tokens=cache_read_tokens+excluded.cache_read_tokens,"
    "cache_write_tokens=cache_write_tokens+excluded.cache_write_tokens,"
    "requests=requests+excluded.requests,successes=successes+excluded.successes,"
    "failures=failures+excluded.failures,premium_milli=premium_milli+excluded.premium_milli,"
    "fallbacks=fallbacks+excluded.fallbacks,total_us=total_us+excluded.total_us,"
    "first_token_us=first_token_us+excluded.first_token_us,"
    "unknown_cost=unknown_cost+excluded.unknown_cost";

// In the order of kMetricColumns.
template <class M>
auto counts_of(M& metrics) {
    return std::array{
        &metrics.cost.value,        &metrics.prompt_tokens,      &metrics.completion_tokens,
        &metrics.cache_read_tokens, &metrics.cache_write_tokens, &metrics.requests,
        &metrics.successes,         &metrics.failures,           &metrics.premium_milli,
        &metrics.fallbacks,         &metrics.total_us,           &metrics.first_token_us,
        &metrics.unknown_cost};
}

// In the order of kNameColumns.
auto names_of(DaySum& sum) {
    return std::array{&sum.key,          &sum.key_alias, &sum.user,    &sum.team,
                      &sum.organization, &sum.end_user,  &sum.tag,     &sum.model,
                      &sum.model_group,  &sum.provider,  &sum.endpoint};
}

DaySum read_names(const Statement& row, int first_column) {
    DaySum sum;
    for (std::string* name : names_of(sum)) {
        *name = row.text(first_column++);
    }
    return sum;
}

Metrics read_metrics(const Statement& row, int first_column) {
    Metrics metrics;
    for (int64_t* count : counts_of(metrics)) {
        *count = row.integer(first_column++);
    }
    return metrics;
}

std::string sql(std::initializer_list<std::string_view> parts) {
    std::string text;
    for (const std::string_view part : parts) {
        text += part;
    }
    return text;
}

Result<void> run(Statement& statement) {
    Result<bool> stepped = statement.step();
    statement.reset();
    return stepped.ok() ? Result<void>() : stepped.error();
}

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

Result<SeriesNames> find_names(Database& database, const ledger::DayFilter& filter) {
    // The one list that an index serves narrows the search; matches() does the rest.
    std::string where;
    const auto& labels = !filter.tags.empty() ? filter.tags : filter.end_users;
    if (!labels.empty()) {
        where = !filter.tags.empty() ? " AND tag<>'' AND tag IN ("
                                     : " AND end_user<>'' AND end_user IN (";
        for (size_t i = 0; i < labels.size(); ++i) {
            where += i == 0 ? "?" : ",?";
        }
        where += ")";
    }
    Statement query = TRY(
        database.prepare(sql({"SELECT id,", kNameColumns, " FROM series WHERE kind=?", where})));
    int at = 0;
    query.bind(++at, static_cast<int64_t>(filter.kind()));
    for (const std::string& label : labels) {
        query.bind(++at, label);
    }
    SeriesNames names;
    while (TRY(query.step())) {
        DaySum sum = read_names(query, 1);
        if (matches(filter, sum)) {
            names.emplace_hint(names.end(), query.integer(0), std::move(sum));
        }
    }
    return names;
}

}  // namespace

Result<void> SumsWriter::prepare(Database& database) {
    find_ = TRY(database.prepare(
        sql({"SELECT id,", kNameColumns, " FROM series WHERE digest=? AND kind=?"})));
    begin_ = TRY(database.prepare(sql({"INSERT INTO series(id,digest,kind,", kNameColumns,
                                       ") VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?,?)"})));
    add_day_ = TRY(database.prepare(sql({"INSERT INTO day_sum(kind,day,series,", kMetricColumns,
                                         ") VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)", kAddDay})));
    Statement last = TRY(database.prepare("SELECT max(id) FROM series"));
    next_id_ = TRY(last.step()) ? last.integer(0) + 1 : 1;
    ids_.clear();
    return {};
}

void SumsWriter::forget() { *this = SumsWriter(); }

Result<void> SumsWriter::add(const std::vector<Rollup::Sum>& sums) {
    for (const Rollup::Sum& sum : sums) {
        const int64_t series = TRY(series_of(sum));
        int at = 0;
        add_day_.bind(++at, static_cast<int64_t>(sum.kind));
        add_day_.bind(++at, sum.day);
        add_day_.bind(++at, series);
        for (const int64_t* count : counts_of(sum.metrics)) {
            add_day_.bind(++at, *count);
        }
        TRY(run(add_day_));
    }
    return {};
}

Result<int64_t> SumsWriter::series_of(const Rollup::Sum& sum) {
    std::string name(1, static_cast<char>('0' + static_cast<int>(sum.kind)));
    name += sum.name;
    if (const auto known = ids_.find(name); known != ids_.end()) {
        return known->second;
    }
    const auto digest = static_cast<int64_t>(hash_text(sum.name, static_cast<uint64_t>(sum.kind)));
    int64_t id = TRY(find_series(sum, digest));
    if (id == 0) {
        id = next_id_++;
        int at = 0;
        begin_.bind(++at, id);
        begin_.bind(++at, digest);
        begin_.bind(++at, static_cast<int64_t>(sum.kind));
        std::string_view rest = sum.name;
        for (int i = 0; i < kNames; ++i) {
            const size_t end = std::min(rest.find(kJoint), rest.size());
            begin_.bind(++at, rest.substr(0, end));
            rest.remove_prefix(std::min(end + 1, rest.size()));
        }
        TRY(run(begin_));
    }
    if (ids_.size() >= kIdsKept) {
        ids_.clear();
    }
    ids_.emplace(std::move(name), id);
    return id;
}

Result<int64_t> SumsWriter::find_series(const Rollup::Sum& sum, int64_t digest) {
    int64_t id = 0;
    find_.bind(1, digest);
    find_.bind(2, static_cast<int64_t>(sum.kind));
    Result<bool> found = find_.step();
    for (; found.ok() && *found && id == 0; found = find_.step()) {
        std::string name;
        for (int i = 1; i <= kNames; ++i) {
            name += find_.text(i);
            name += i < kNames ? std::string_view(&kJoint, 1) : std::string_view();
        }
        id = name == sum.name ? find_.integer(0) : 0;
    }
    find_.reset();
    return found.ok() ? Result<int64_t>(id) : found.error();
}

Result<std::vector<DaySum>> read_day_sums(Database& database, const ledger::DayFilter& filter) {
    Days days = TRY(days_of(filter.from, filter.until));
    const SeriesNames names = TRY(find_names(database, filter));
    std::vector<DaySum> sums;
    const auto take = [&sums](const DaySum& name, int64_t day, const Statement& row) {
        sums.push_back(name);
        sums.back().date = ledger::render_date(day);
        sums.back().metrics = read_metrics(row, 2);
    };
    if (names.empty()) {
        return sums;
    }
    const std::string columns = sql({"SELECT day,series,", kMetricColumns, " FROM day_sum"});
    const auto kind = static_cast<int64_t>(filter.kind());
    const int64_t series_count = static_cast<int64_t>(names.size());
    if (days.last - days.first < kLookupsMax / series_count) {
        Statement one =
            TRY(database.prepare(sql({columns, " WHERE kind=? AND day=? AND series=?"})));
        one.bind(1, kind);
        for (int64_t day = days.first; day <= days.last; ++day) {
            one.bind(2, day);
            for (const auto& [series, name] : names) {
                one.bind(3, series);
                if (TRY(one.step())) {
                    take(name, day, one);
                }
                one.reset();
            }
        }
        return sums;
    }
    Statement all = TRY(database.prepare(
        sql({columns, " WHERE kind=? AND day BETWEEN ? AND ? ORDER BY day,series"})));
    all.bind(1, kind);
    all.bind(2, days.first);
    all.bind(3, days.last);
    while (TRY(all.step())) {
        if (const auto name = names.find(all.integer(1)); name != names.end()) {
            take(name->second, all.integer(0), all);
        }
    }
    return sums;
}

// Added here and not by SQL, whose sum() fails beyond 64 bits.
Result<std::vector<ledger::ScopeSum>> read_scope_sums(Database& database) {
    Statement query = TRY(database.prepare("SELECT series,cost,premium_milli FROM day_sum"));
    std::unordered_map<int64_t, Metrics> totals;
    while (TRY(query.step())) {
        Metrics& total = totals[query.integer(0)];
        total.cost = add(total.cost, NanoCredits{query.integer(1)});
        total.premium_milli += query.integer(2);
    }
    Statement series = TRY(database.prepare(sql({"SELECT id,", kNameColumns, " FROM series"})));
    ledger::ScopeSums scopes;
    while (TRY(series.step())) {
        DaySum sum = read_names(series, 1);
        sum.metrics = totals[series.integer(0)];
        scopes.add(sum);
    }
    return scopes.take();
}

Result<std::vector<ledger::Queries::TagSum>> read_tag_sums(Database& database,
                                                           const std::string& from,
                                                           const std::string& until) {
    ledger::DayFilter filter;
    filter.by = SeriesKind::tag;
    filter.from = from;
    filter.until = until;
    std::map<std::string, Metrics> tags;
    for (const DaySum& sum : TRY(read_day_sums(database, filter))) {
        tags[sum.tag] += sum.metrics;
    }
    std::vector<ledger::Queries::TagSum> sums;
    for (const auto& [tag, metrics] : tags) {
        sums.push_back({tag, metrics});
    }
    return sums;
}

}  // namespace belay::store
