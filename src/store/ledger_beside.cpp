#include "store/ledger_beside.h"

#include <sys/stat.h>

#include <algorithm>
#include <map>
#include <tuple>

#include "base/log.h"
#include "store/postgres_view.h"
#include "store/sqlite_ledger.h"
#include "store/sqlite_view.h"
#include "store/sums_columns.h"

namespace belay::store {

namespace {

using ledger::DaySum;

DaySum read_sum(const Rollup::Sum& sum) {
    DaySum out;
    const auto parts = split_name(sum.name);
    const auto names = names_of(out);
    for (size_t i = 0; i < names.size(); ++i) {
        *names[i] = parts[i];
    }
    out.date = ledger::render_date(sum.day);
    out.metrics = sum.metrics;
    return out;
}

std::string journal_of(const std::string& dir) {
    return dir + "/" + std::string(JournaledLedger::kJournalName);
}

// A URL and the connections made by it, which the views of every question share.
struct Postgres {
    explicit Postgres(PostgresUrl parsed)
        : url(std::move(parsed)), views(url, PostgresViews::Options{}) {}
    const PostgresUrl url;
    PostgresViews views;
};

bool is_within(const ledger::DayFilter& filter, const DaySum& sum) {
    return (filter.from.empty() || sum.date >= filter.from) &&
           (filter.until.empty() || sum.date <= filter.until);
}

auto name_of(const DaySum& sum) {
    return std::tie(sum.date, sum.key, sum.key_alias, sum.user, sum.team, sum.organization,
                    sum.end_user, sum.tag, sum.model, sum.model_group, sum.provider, sum.endpoint);
}

}  // namespace

std::unique_ptr<LedgerBeside> LedgerBeside::open(const std::string& dir) {
    const std::string database = dir + "/" + std::string(SqliteLedger::kDatabaseName);
    return std::unique_ptr<LedgerBeside>(new LedgerBeside(
        [database] { return SqliteView::open(database); }, journal_of(dir), database));
}

Result<std::unique_ptr<LedgerBeside>> LedgerBeside::open_postgres(const std::string& dir,
                                                                  std::string_view url) {
    PostgresUrl parsed = TRY(parse_postgres_url(url));
    log::remember_secret(parsed.password.reveal());
    (void)TRY(Libpq::load());
    auto postgres = std::make_shared<Postgres>(std::move(parsed));
    return std::unique_ptr<LedgerBeside>(new LedgerBeside(
        [postgres] { return postgres->views.open(); }, journal_of(dir), std::string()));
}

bool LedgerBeside::exists() const {
    struct stat info {};
    return database_.empty() || ::stat(database_.c_str(), &info) == 0;
}

Result<LedgerReader> LedgerBeside::read() const { return LedgerReader::open(open_view_, journal_); }

Result<ledger::LogPage> LedgerBeside::find_page(const ledger::LogFilter& filter) {
    if (!exists()) {
        return ledger::LogPage{};
    }
    return TRY(read()).find_page(filter);
}

Result<std::vector<DaySum>> LedgerBeside::day_sums(const ledger::DayFilter& filter) {
    if (!exists()) {
        return std::vector<DaySum>{};
    }
    LedgerReader reader = TRY(read());
    std::vector<DaySum> sums = TRY(reader.day_sums(filter));
    const size_t stored = sums.size();
    for (const Rollup::Sum& newest : reader.newest_sums()) {
        DaySum sum = read_sum(newest);
        if (newest.kind == filter.kind() && is_within(filter, sum) && matches(filter, sum)) {
            sums.push_back(std::move(sum));
        }
    }
    if (sums.size() == stored) {
        return sums;
    }
    // One row for each day of a series, whether the database or the journal has it.
    std::stable_sort(sums.begin(), sums.end(), [](const DaySum& left, const DaySum& right) {
        return name_of(left) < name_of(right);
    });
    std::vector<DaySum> joined;
    for (DaySum& sum : sums) {
        if (!joined.empty() && name_of(joined.back()) == name_of(sum)) {
            joined.back().metrics += sum.metrics;
        } else {
            joined.push_back(std::move(sum));
        }
    }
    return joined;
}

Result<std::vector<ledger::ScopeSum>> LedgerBeside::scope_sums() {
    if (!exists()) {
        return std::vector<ledger::ScopeSum>{};
    }
    LedgerReader reader = TRY(read());
    std::map<std::tuple<ledger::ScopeSum::Kind, std::string, std::string>, ledger::ScopeSum> all;
    for (ledger::ScopeSum& sum : TRY(reader.scope_sums())) {
        all.emplace(std::tuple(sum.kind, sum.id, sum.model), std::move(sum));
    }
    ledger::ScopeSums newest;
    for (const Rollup::Sum& sum : reader.newest_sums()) {
        newest.add(read_sum(sum));
    }
    for (ledger::ScopeSum& sum : newest.take()) {
        const auto [found, is_new] = all.emplace(std::tuple(sum.kind, sum.id, sum.model), sum);
        if (!is_new) {
            found->second.cost = add(found->second.cost, sum.cost);
            found->second.premium_milli += sum.premium_milli;
        }
    }
    std::vector<ledger::ScopeSum> out;
    for (auto& [name, sum] : all) {
        out.push_back(std::move(sum));
    }
    return out;
}

Result<std::vector<ledger::Queries::TagSum>> LedgerBeside::tag_sums(const std::string& from,
                                                                    const std::string& until) {
    ledger::DayFilter filter;
    filter.by = SeriesKind::tag;
    filter.from = from;
    filter.until = until;
    std::map<std::string, ledger::Metrics> tags;
    for (const DaySum& sum : TRY(day_sums(filter))) {
        tags[sum.tag] += sum.metrics;
    }
    std::vector<TagSum> out;
    for (const auto& [tag, metrics] : tags) {
        out.push_back({tag, metrics});
    }
    return out;
}

Result<uint64_t> LedgerBeside::drop_before(int64_t) {
    return gateway_error(Kind::unsupported, "only the running gateway deletes records");
}

Result<void> LedgerBeside::for_each(const ledger::LogFilter& filter,
                                    const std::function<bool(const ledger::Entry&)>& take) {
    if (!exists()) {
        return {};
    }
    return TRY(read()).for_each(filter, take);
}

}  // namespace belay::store
