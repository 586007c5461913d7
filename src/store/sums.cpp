#include "store/sums.h"

#include "store/sums_columns.h"

namespace belay::store {

namespace {

constexpr size_t kIdsKept = 8192;
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

Result<void> run(Statement& statement) {
    Result<bool> stepped = statement.step();
    statement.reset();
    return stepped.ok() ? Result<void>() : stepped.error();
}

}  // namespace

Result<void> SumsWriter::prepare(Database& database) {
    find_ = TRY(database.prepare(
        join_sql({"SELECT id,", kNameColumns, " FROM series WHERE digest=? AND kind=?"})));
    begin_ = TRY(database.prepare(join_sql({"INSERT INTO series(id,digest,kind,", kNameColumns,
                                            ") VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?,?)"})));
    add_day_ =
        TRY(database.prepare(join_sql({"INSERT INTO day_sum(kind,day,series,", kMetricColumns,
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
        for (const std::string_view part : split_name(sum.name)) {
            begin_.bind(++at, part);
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
            name += i < kNames ? std::string_view(&kNameJoint, 1) : std::string_view();
        }
        id = name == sum.name ? find_.integer(0) : 0;
    }
    find_.reset();
    return found.ok() ? Result<int64_t>(id) : found.error();
}

}  // namespace belay::store
