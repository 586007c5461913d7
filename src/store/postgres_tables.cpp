#include "store/postgres_tables.h"

#include <array>
#include <map>
#include <utility>

#include "base/ids.h"
#include "store/postgres_schema.h"
#include "store/postgres_view.h"
#include "store/row_codec.h"
#include "store/sums_columns.h"

namespace belay::store {

namespace {

constexpr size_t kIdsKept = 65'536;
constexpr seconds kOverTimeout{2};  // what the wire may add to the server's own timeout
// How long the server keeps the ledger's row for a Belay that has gone silent.
constexpr const char* kIdle = "SET LOCAL idle_in_transaction_session_timeout=10000;";

constexpr const char* kInsert =
    "WITH batch AS (INSERT INTO belay_batch VALUES"
    "($1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$11,$12)) "
    "INSERT INTO belay_batch_summary VALUES($1,$13,$14,$15,$16,$17,$18,$19,$20,$21,$22,$23)";

constexpr const char* kFacts =
    "SELECT requests,failures,prompt_tokens,output_tokens,cost,cost_unknown,first_ms,last_ms,"
    "id_keys,cost_min,cost_max,tokens_min,tokens_max,total_us_min,total_us_max,"
    "first_token_us_min,first_token_us_max,common,varied,mixes "
    "FROM belay_batch JOIN belay_batch_summary USING(first_seq) WHERE first_seq = $1";

std::string series_key(const Rollup::Sum& sum) {
    return std::string(1, static_cast<char>('0' + static_cast<int>(sum.kind))) + sum.name;
}

// An array of numbers, as PostgreSQL reads it.
class Numbers {
  public:
    void add(int64_t number) { text_ += (text_.empty() ? "{" : ",") + std::to_string(number); }
    [[nodiscard]] std::string take() { return text_.empty() ? "{}" : std::move(text_) + "}"; }

  private:
    std::string text_;
};

// "a=belay_day_sum.a+excluded.a,..."; money stays at the end of its range.
std::string render_additions() {
    std::string sql;
    for (std::string_view rest = kMetricColumns; !rest.empty();) {
        const std::string name(rest.substr(0, rest.find(',')));
        rest.remove_prefix(std::min(name.size() + 1, rest.size()));
        const std::string sum = "belay_day_sum." + name + "+excluded." + name;
        sql += sql.empty() ? "" : ",";
        sql += name + "=" +
               (name == "cost" ? "least(belay_day_sum.cost::numeric+excluded.cost,"
                                 "9223372036854775807)::bigint"
                               : sum);
    }
    return sql;
}

// $1 to $16: the days' sums. $17 to $19: the series' totals. $20: the batch.
std::string render_add_sums() {
    std::string arrays = "$1::smallint[],$2::integer[]";
    for (int i = 3; i <= 16; ++i) {
        arrays += ",$" + std::to_string(i) + "::bigint[]";
    }
    return join_sql({"WITH days AS (INSERT INTO belay_day_sum(kind,day,series,", kMetricColumns,
                     ") SELECT * FROM unnest(", arrays,
                     ") ON CONFLICT(kind,day,series) DO UPDATE SET ", render_additions(),
                     ") UPDATE belay_series SET total_cost=least(total_cost::numeric+more.cost,"
                     "9223372036854775807)::bigint,total_premium=total_premium+more.premium,"
                     "changed=$20::bigint FROM unnest($17::bigint[],$18::bigint[],$19::bigint[]) "
                     "AS more(id,cost,premium) WHERE belay_series.id=more.id"});
}

std::string render_find_series() {
    std::string columns = "$1::smallint[],$2::uuid[]";
    for (int i = 3; i < 3 + kNames; ++i) {
        columns += ",$" + std::to_string(i) + "::text[]";
    }
    return join_sql({"INSERT INTO belay_series(kind,digest,", kNameColumns,
                     ") SELECT * FROM unnest(", columns, ") ON CONFLICT(digest,kind) DO NOTHING"});
}

}  // namespace

PostgresTables::PostgresTables(const PostgresUrl& url, const Options& options)
    : url_(url), options_(options), setup_(render_setup(url, options.statement_timeout)) {}

Mono PostgresTables::deadline() const {
    return system_clock().mono() + options_.statement_timeout + kOverTimeout;
}

Result<void> PostgresTables::connect() {
    if (connection_ && connection_->alive()) {
        return {};
    }
    disconnect();
    PgConnection connection = TRY(PgConnection::open(url_, options_.connect_timeout));
    TRY(prepare_postgres_schema(connection, url_.schema, setup_, deadline()));
    connection_.emplace(std::move(connection));
    return {};
}

// What was begun is rolled back by the server; series that were new in it have no id.
void PostgresTables::disconnect() {
    connection_.reset();
    ids_.clear();
}

Result<LedgerTables::Begun> PostgresTables::begin(SegmentName segment) {
    const std::string journal = std::to_string(static_cast<int64_t>(segment.journal));
    const std::vector<PgResult> results = TRY(connection_->run_all(
        "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE;" + setup_ + kIdle +
            "SELECT next_seq FROM belay_ledger FOR UPDATE;"
            "SELECT coalesce(max(sequence), 0) FROM belay_journal WHERE journal = " +
            journal,
        deadline()));
    const PgResult& mark = results.back();
    const PgResult& ledger = results[results.size() - 2];
    appended_ = 0;
    begun_.next_seq = ledger.integer(0, 0);
    begun_.saved =
        segment.sequence != 0 && segment.sequence <= static_cast<uint64_t>(mark.integer(0, 0));
    if (begun_.saved && in_doubt_ == segment) {
        note_own();
    }
    segment_ = segment;
    if (segment.sequence != 0) {
        pending_.clear();
        in_doubt_ = {};
    }
    return begun_;
}

Result<void> PostgresTables::commit() {
    std::string sql;
    if (appended_ != 0) {
        sql = "UPDATE belay_ledger SET next_seq = " + std::to_string(begun_.next_seq + appended_) +
              ";";
    }
    if (appended_ != 0 && segment_.sequence != 0) {
        sql += "INSERT INTO belay_journal VALUES(" +
               std::to_string(static_cast<int64_t>(segment_.journal)) + "," +
               std::to_string(segment_.sequence) +
               ") ON CONFLICT(journal) DO UPDATE SET sequence=excluded.sequence, saved=now();";
    }
    if (appended_ != 0) {
        in_doubt_ = segment_;
    }
    (void)TRY(connection_->run(sql + "COMMIT", deadline()));
    if (appended_ != 0) {
        note_own();
        in_doubt_ = {};
    }
    return {};
}

void PostgresTables::note_own() {
    for (const auto& [series, charged] : std::exchange(pending_, {})) {
        if (following_) {
            own_[series].cost += charged.cost;
            own_[series].premium += charged.premium;
        }
    }
}

Result<PgResult> PostgresTables::ask(const std::string& sql,
                                     const std::vector<PgParameter>& parameters) {
    return connection_->query_binary(sql, parameters, deadline());
}

Result<void> PostgresTables::append(int64_t first_seq, const BatchFacts& facts,
                                    std::string_view rows) {
    appended_ = facts.requests;
    return insert(first_seq, facts, rows, {});
}

Result<void> PostgresTables::insert(int64_t first_seq, const BatchFacts& facts,
                                    std::string_view rows, SegmentName /*mark*/) {
    std::vector<std::string> numbers;
    for (const int64_t value :
         {first_seq, facts.received_ms.low, facts.received_ms.high, facts.requests, facts.failures,
          facts.prompt_tokens, facts.output_tokens, facts.cost.value, facts.cost_unknown,
          kRowFormat}) {
        numbers.push_back(std::to_string(value));
    }
    std::vector<PgParameter> values(numbers.begin(), numbers.end());
    values.push_back(PgParameter::binary(facts.id_keys));
    values.push_back(PgParameter::binary(rows));
    std::vector<std::string> ranges;
    for (const Range& range :
         {facts.cost_each, facts.tokens_each, facts.total_us, facts.first_token_us}) {
        ranges.push_back(std::to_string(range.low));
        ranges.push_back(std::to_string(range.high));
    }
    values.insert(values.end(), ranges.begin(), ranges.end());
    for (const std::string* summary : {&facts.common, &facts.varied, &facts.mixes}) {
        values.push_back(PgParameter::binary(*summary));
    }
    (void)TRY(ask(kInsert, values));
    return {};
}

Result<void> PostgresTables::remove(int64_t first, int64_t last) {
    const std::string where =
        " WHERE first_seq BETWEEN " + std::to_string(first) + " AND " + std::to_string(last);
    (void)TRY(connection_->run(
        "DELETE FROM belay_batch" + where + ";DELETE FROM belay_batch_summary" + where,
        deadline()));
    return {};
}

Result<std::optional<LedgerTables::Row>> PostgresTables::next(int64_t after) {
    const PgResult found = TRY(ask(
        "SELECT first_seq,rows FROM belay_batch WHERE first_seq > $1 ORDER BY first_seq LIMIT 1",
        {std::to_string(after)}));
    if (found.rows() == 0) {
        return std::optional<Row>();
    }
    return std::optional<Row>(Row{found.number(0, 0), std::string(found.text(0, 1)), {}});
}

Result<BatchFacts> PostgresTables::facts_of(int64_t first_seq) {
    const PgResult found = TRY(ask(kFacts, {std::to_string(first_seq)}));
    BatchFacts facts;
    if (found.rows() == 0) {
        return facts;
    }
    int at = 0;
    for (int64_t* value : {&facts.requests, &facts.failures, &facts.prompt_tokens,
                           &facts.output_tokens, &facts.cost.value, &facts.cost_unknown,
                           &facts.received_ms.low, &facts.received_ms.high}) {
        *value = found.number(0, at++);
    }
    facts.id_keys = found.text(0, at++);
    for (Range* range :
         {&facts.cost_each, &facts.tokens_each, &facts.total_us, &facts.first_token_us}) {
        range->low = found.number(0, at++);
        range->high = found.number(0, at++);
    }
    for (std::string* summary : {&facts.common, &facts.varied, &facts.mixes}) {
        *summary = found.text(0, at++);
    }
    return facts;
}

Result<std::vector<LedgerTables::Size>> PostgresTables::newest(int64_t count) {
    const PgResult found =
        TRY(ask("SELECT first_seq,requests,octet_length(rows) FROM belay_batch ORDER BY first_seq "
                "DESC LIMIT $1",
                {std::to_string(count)}));
    std::vector<Size> sizes;
    for (int i = 0; i < found.rows(); ++i) {
        sizes.push_back({found.number(i, 0), found.number(i, 1), found.number(i, 2)});
    }
    return sizes;
}

Result<std::vector<LedgerTables::Span>> PostgresTables::older_than(int64_t ms, int64_t count) {
    const PgResult found = TRY(
        ask("SELECT first_seq,requests,last_ms FROM belay_batch WHERE first_ms < $1 AND requests "
            "> 0 ORDER BY first_seq LIMIT $2",
            {std::to_string(ms), std::to_string(count)}));
    std::vector<Span> spans;
    for (int i = 0; i < found.rows(); ++i) {
        spans.push_back({found.number(i, 0), found.number(i, 1), found.number(i, 2)});
    }
    return spans;
}

// All in two statements at most, however many sums there are.
Result<void> PostgresTables::add_sums(const std::vector<Rollup::Sum>& sums) {
    static const std::string sql = render_add_sums();
    TRY(find_series(sums));
    std::array<Numbers, 16> days;
    std::map<int64_t, ledger::Metrics> totals;
    for (const Rollup::Sum& sum : sums) {
        const int64_t series = ids_.at(series_key(sum));
        days[0].add(static_cast<int64_t>(sum.kind));
        days[1].add(sum.day);
        days[2].add(series);
        size_t at = 3;
        for (const int64_t* count : counts_of(sum.metrics)) {
            days.at(at++).add(*count);
        }
        totals[series] += sum.metrics;
    }
    std::array<Numbers, 3> more;
    for (const auto& [series, metrics] : totals) {
        more[0].add(series);
        more[1].add(metrics.cost.value);
        more[2].add(metrics.premium_milli);
        if (metrics.cost.value != 0 || metrics.premium_milli != 0) {
            pending_[series] = {metrics.cost.value, metrics.premium_milli};
        }
    }
    std::vector<std::string> values;
    for (Numbers& numbers : days) {
        values.push_back(numbers.take());
    }
    for (Numbers& numbers : more) {
        values.push_back(numbers.take());
    }
    values.push_back(std::to_string(begun_.next_seq));
    (void)TRY(ask(sql, std::vector<PgParameter>(values.begin(), values.end())));
    return {};
}

// Makes ids_ know every series of the sums.
Result<void> PostgresTables::find_series(const std::vector<Rollup::Sum>& sums) {
    static const std::string insert = render_find_series();
    if (ids_.size() > kIdsKept) {
        ids_.clear();
    }
    std::map<std::string, const Rollup::Sum*> unknown;  // by digest
    for (const Rollup::Sum& sum : sums) {
        std::string key = series_key(sum);
        if (ids_.count(key) == 0) {
            unknown.emplace(sha256_hex(key).substr(0, 32), &sum);
        }
    }
    if (unknown.empty()) {
        return {};
    }
    Numbers kinds;
    std::vector<std::optional<std::string_view>> digests;
    std::array<std::vector<std::optional<std::string_view>>, kNames> names;
    for (const auto& [digest, sum] : unknown) {
        kinds.add(static_cast<int64_t>(sum->kind));
        digests.emplace_back(digest);
        const auto parts = split_name(sum->name);
        for (size_t i = 0; i < parts.size(); ++i) {
            names.at(i).emplace_back(parts.at(i));
        }
    }
    std::vector<std::string> values = {kinds.take(), render_array(digests)};
    for (const auto& column : names) {
        values.push_back(render_array(column));
    }
    (void)TRY(ask(insert, std::vector<PgParameter>(values.begin(), values.end())));
    const PgResult found =
        TRY(ask("SELECT replace(digest::text,'-',''),id FROM belay_series WHERE digest = "
                "ANY($1::uuid[])",
                {values[1]}));
    for (int i = 0; i < found.rows(); ++i) {
        const auto sum = unknown.find(std::string(found.text(i, 0)));
        if (sum != unknown.end()) {
            ids_[series_key(*sum->second)] = found.number(i, 1);
        }
    }
    return {};
}

// Writers commit in the order of their batches, so what was changed by a batch from the cursor on
// is all that was.
Result<std::vector<ledger::ScopeSum>> PostgresTables::follow(bool anew) {
    anew = anew || !following_;
    const int64_t from = anew ? 0 : cursor_;
    (void)TRY(connection_->run("BEGIN READ ONLY;" + setup_, deadline()));
    const PgResult rows =
        TRY(ask(join_sql({"SELECT id,total_cost,total_premium,changed,", kNameColumns,
                          " FROM belay_series WHERE changed >= $1"}),
                {std::to_string(from)}));
    if (anew) {
        known_.clear();
        own_.clear();
        following_ = true;
    }
    (void)TRY(connection_->run("COMMIT", deadline()));
    ledger::ScopeSums scopes;
    for (int row = 0; row < rows.rows(); ++row) {
        Charged& known = known_[rows.number(row, 0)];
        const Charged own = own_[rows.number(row, 0)];
        const Charged now{rows.number(row, 1), rows.number(row, 2)};
        cursor_ = std::max(cursor_, rows.number(row, 3) + 1);
        ledger::DaySum sum;
        sum.metrics.cost.value = now.cost - known.cost - own.cost;
        sum.metrics.premium_milli = now.premium - known.premium - own.premium;
        known = now;
        if (sum.metrics == ledger::Metrics()) {
            continue;
        }
        int column = 4;
        for (std::string* name : names_of(sum)) {
            *name = rows.text(row, column++);
        }
        scopes.add(sum);
    }
    own_.clear();
    return scopes.take();
}

}  // namespace belay::store
