#pragma once
// What is asked of the ledger afterwards: pages of the log, sums by day, what each scope has spent.
// Sums are kept as records are written, so that a page costs the same at ten thousand records and
// at ten million. Readers wait for the disk: never from an event loop.
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include "base/money.h"
#include "base/result.h"
#include "ledger/ledger.h"

namespace belay::ledger {

// Empty fields do not filter. Times are unix milliseconds, `until_ms` exclusive.
struct LogFilter {
    int64_t from_ms = 0;
    int64_t until_ms = INT64_MAX;
    std::string request_id, key, key_alias, user, end_user, team, organization, session_id;
    std::string model, model_id, model_group;  // upstream model, deployment, serving group
    std::optional<Status> status;              // failure includes client_aborted
    std::string error_code;     // of a failure: the code, or the status that the client was given
    std::string error_message;  // a part of it
    std::optional<NanoCredits> min_cost, max_cost;
    enum class Sort : uint8_t {
        start,
        cost,
        tokens,
        duration,
        first_token,
        model
    } sort = Sort::start;
    bool descending = true;
    uint32_t page = 1;        // from 1
    uint32_t page_size = 50;  // at most 100
};

struct LogPage {
    std::vector<Entry> entries;
    uint64_t total = 0;
    bool total_is_exact = true;  // false: at least so many (a filter over very many records)
};

struct Metrics {
    NanoCredits cost;
    int64_t prompt_tokens = 0, completion_tokens = 0, cache_read_tokens = 0, cache_write_tokens = 0;
    int64_t requests = 0, successes = 0, failures = 0;
    int64_t premium_milli = 0;
    int64_t fallbacks = 0;       // requests that a later group of the chain answered
    int64_t total_us = 0;        // summed durations of successes
    int64_t first_token_us = 0;  // summed
    int64_t unknown_cost = 0;    // requests whose price is not known
    bool operator==(const Metrics&) const = default;
    Metrics& operator+=(const Metrics& other);
};

// One row of the daily sums, LiteLLM's unique key of its daily tables. A request stands once among
// the sums by key (end_user and tag are "" there), once among those by end user if it named one,
// and once for each of its tags among those by tag (user, team, organization, end_user are "").
struct DaySum {
    std::string date;  // UTC, "2026-10-03"
    std::string key, key_alias, user, team, organization, end_user, tag;
    std::string model, model_group, provider, endpoint;  // endpoint: "/chat/completions"
    Metrics metrics;
    bool operator==(const DaySum&) const = default;
};

// Empty fields do not filter. However many end users and tags there are, sums by key stay few.
struct DayFilter {
    std::string from, until;  // dates, both included
    std::vector<std::string> keys, users, teams, organizations, end_users, models, tags;
    std::vector<std::string> not_teams;
    enum class By : uint8_t { key, end_user, tag } by = By::key;
    // What is answered from: `end_users` and `tags` imply their own.
    [[nodiscard]] By kind() const {
        return !tags.empty() ? By::tag : !end_users.empty() ? By::end_user : by;
    }
};

// What a scope has been charged since records are kept: budgets are rebuilt from it at a start.
struct ScopeSum {
    enum class Kind : uint8_t {
        key,
        user,
        team,
        team_member,
        organization,
        customer,
        tag,
        global
    } kind;
    std::string id;     // member: "<team>/<user>"
    std::string model;  // serving group; "" = over all models. Of key, user and team only
    NanoCredits cost;
    int64_t premium_milli = 0;
    bool operator==(const ScopeSum&) const = default;
};

class Queries {
  public:
    virtual ~Queries() = default;
    [[nodiscard]] virtual Result<LogPage> find_page(const LogFilter& filter) = 0;
    // Day sums that match, by date.
    [[nodiscard]] virtual Result<std::vector<DaySum>> day_sums(const DayFilter& filter) = 0;
    [[nodiscard]] virtual Result<std::vector<ScopeSum>> scope_sums() = 0;
    // Tags seen, with requests and cost.
    struct TagSum {
        std::string tag;
        Metrics metrics;
    };
    [[nodiscard]] virtual Result<std::vector<TagSum>> tag_sums(const std::string& from,
                                                               const std::string& until) = 0;
    // Deletes records (not sums) received before `ms`; returns how many.
    [[nodiscard]] virtual Result<uint64_t> drop_before(int64_t ms) = 0;
    // Every entry in the order of writing, for exports; stops when `take` returns false.
    [[nodiscard]] virtual Result<void> for_each(const LogFilter& filter,
                                                const std::function<bool(const Entry&)>& take) = 0;
};

// The same questions answered for one record: what the sums are sums of, and what a filter means.
[[nodiscard]] Metrics metrics_of(const SpendRecord& record);
[[nodiscard]] std::string_view endpoint_of(Api client_api);
[[nodiscard]] bool matches(const LogFilter& filter, const SpendRecord& record);
// Whether a page shows `left` before `right`; false for equals, of which the later written is
// first.
[[nodiscard]] bool goes_before(const LogFilter& filter, const SpendRecord& left,
                               const SpendRecord& right);
[[nodiscard]] bool matches(const DayFilter& filter, const DaySum& sum);
// Adds what one row of the sums by day (without a date, of any kind) means for the scopes.
class ScopeSums {
  public:
    void add(const DaySum& sum);
    [[nodiscard]] std::vector<ScopeSum> take();

  private:
    void put(ScopeSum::Kind kind, std::string id, std::string model, const Metrics& metrics);
    std::map<std::tuple<ScopeSum::Kind, std::string, std::string>, ScopeSum> sums_;
};

// Days since 1970-01-01 UTC, and their dates. A text that is no date is Kind::invalid_request.
[[nodiscard]] int64_t day_of(int64_t unix_ms);
[[nodiscard]] std::string render_date(int64_t day);
[[nodiscard]] Result<int64_t> parse_date(std::string_view date);

}  // namespace belay::ledger
