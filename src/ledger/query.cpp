#include "ledger/query.h"

#include <algorithm>

#include "base/clock.h"

namespace belay::ledger {

namespace {

constexpr int64_t kDayMs = 86'400'000;
constexpr int64_t kDaySeconds = 86'400;
constexpr int64_t kTokensMax = int64_t{1} << 40;  // of one request: sums of any honest ones fit

int64_t bounded(int64_t tokens) { return std::clamp(tokens, int64_t{0}, kTokensMax); }

bool is_any(const std::string& wanted, const std::string& value) {
    return wanted.empty() || wanted == value;
}

bool is_one_of(const std::vector<std::string>& wanted, const std::string& value) {
    return wanted.empty() || std::find(wanted.begin(), wanted.end(), value) != wanted.end();
}

bool status_matches(std::optional<Status> wanted, Status status) {
    return !wanted || (*wanted == Status::failure ? status != Status::success : *wanted == status);
}

bool has_error_code(const std::string& wanted, const SpendRecord& record) {
    return wanted.empty() ||
           (record.status != Status::success &&
            (record.error_code == wanted || std::to_string(record.http_status) == wanted));
}

// What a page is sorted by, where it is a number.
int64_t sort_value(LogFilter::Sort sort, const SpendRecord& record) {
    switch (sort) {
        case LogFilter::Sort::start:
            return record.received_ms;
        case LogFilter::Sort::cost:
            return record.cost.value;
        case LogFilter::Sort::tokens:
            return metrics_of(record).prompt_tokens + metrics_of(record).completion_tokens;
        case LogFilter::Sort::duration:
            return record.total_us;
        case LogFilter::Sort::first_token:
            return record.first_token_us;
        case LogFilter::Sort::model:
            break;
    }
    return 0;
}

}  // namespace

Metrics& Metrics::operator+=(const Metrics& other) {
    cost = add(cost, other.cost);
    prompt_tokens += other.prompt_tokens;
    completion_tokens += other.completion_tokens;
    cache_read_tokens += other.cache_read_tokens;
    cache_write_tokens += other.cache_write_tokens;
    requests += other.requests;
    successes += other.successes;
    failures += other.failures;
    premium_milli += other.premium_milli;
    fallbacks += other.fallbacks;
    total_us += other.total_us;
    first_token_us += other.first_token_us;
    unknown_cost += other.unknown_cost;
    return *this;
}

Metrics metrics_of(const SpendRecord& record) {
    Metrics metrics;
    metrics.cost = record.cost;
    metrics.cache_read_tokens = bounded(record.usage.cache_read);
    metrics.cache_write_tokens = bounded(record.usage.cache_write);
    metrics.prompt_tokens =
        bounded(record.usage.input) + metrics.cache_read_tokens + metrics.cache_write_tokens;
    metrics.completion_tokens = bounded(record.usage.output);
    metrics.requests = 1;
    const bool success = record.status == Status::success;
    metrics.successes = success ? 1 : 0;
    metrics.failures = success ? 0 : 1;
    metrics.premium_milli = bounded(record.premium_milli);
    metrics.fallbacks = success && record.attempted_fallbacks != 0 ? 1 : 0;
    metrics.total_us = success ? bounded(record.total_us) : 0;
    metrics.first_token_us = success ? bounded(record.first_token_us) : 0;
    metrics.unknown_cost = record.cost_source == chat::CostSource::unknown ? 1 : 0;
    return metrics;
}

std::string_view endpoint_of(Api client_api) {
    switch (client_api) {
        case Api::chat:
            return "/chat/completions";
        case Api::responses:
            return "/responses";
        case Api::messages:
            return "/v1/messages";
        case Api::embeddings:
            return "/embeddings";
        case Api::completions:
            return "/completions";
        case Api::other:
            break;
    }
    return {};
}

bool matches(const LogFilter& filter, const SpendRecord& record) {
    return record.received_ms >= filter.from_ms && record.received_ms < filter.until_ms &&
           is_any(filter.request_id, record.request_id) &&
           is_any(filter.key, record.key_fingerprint) &&
           is_any(filter.key_alias, record.key_alias) && is_any(filter.user, record.user) &&
           is_any(filter.end_user, record.end_user) && is_any(filter.team, record.team) &&
           is_any(filter.organization, record.organization) &&
           is_any(filter.session_id, record.session_id) &&
           is_any(filter.model, record.upstream_model) &&
           is_any(filter.model_id, record.deployment_id) &&
           is_any(filter.model_group, record.model_group) &&
           status_matches(filter.status, record.status) &&
           has_error_code(filter.error_code, record) &&
           (filter.error_message.empty() ||
            record.error_message.find(filter.error_message) != std::string::npos) &&
           (!filter.min_cost || record.cost >= *filter.min_cost) &&
           (!filter.max_cost || record.cost <= *filter.max_cost);
}

bool goes_before(const LogFilter& filter, const SpendRecord& left, const SpendRecord& right) {
    if (filter.sort == LogFilter::Sort::model) {
        const int order = left.upstream_model.compare(right.upstream_model);
        return filter.descending ? order > 0 : order < 0;
    }
    const int64_t first = sort_value(filter.sort, left);
    const int64_t second = sort_value(filter.sort, right);
    return filter.descending ? first > second : first < second;
}

bool matches(const DayFilter& filter, const DaySum& sum) {
    const bool banned = std::find(filter.not_teams.begin(), filter.not_teams.end(), sum.team) !=
                        filter.not_teams.end();
    return !banned && is_one_of(filter.keys, sum.key) && is_one_of(filter.users, sum.user) &&
           is_one_of(filter.teams, sum.team) && is_one_of(filter.organizations, sum.organization) &&
           is_one_of(filter.end_users, sum.end_user) && is_one_of(filter.tags, sum.tag) &&
           is_one_of(filter.models, sum.model);
}

void ScopeSums::add(const DaySum& sum) {
    using Kind = ScopeSum::Kind;
    if (!sum.tag.empty()) {
        put(Kind::tag, sum.tag, {}, sum.metrics);
        return;
    }
    if (!sum.end_user.empty()) {
        put(Kind::customer, sum.end_user, {}, sum.metrics);
        return;
    }
    put(Kind::global, {}, {}, sum.metrics);
    put(Kind::organization, sum.organization, {}, sum.metrics);
    if (!sum.team.empty() && !sum.user.empty()) {
        put(Kind::team_member, sum.team + "/" + sum.user, {}, sum.metrics);
    }
    for (const auto& [kind, id] :
         {std::pair(Kind::key, &sum.key), {Kind::user, &sum.user}, {Kind::team, &sum.team}}) {
        put(kind, *id, {}, sum.metrics);
        if (!sum.model_group.empty()) {
            put(kind, *id, sum.model_group, sum.metrics);
        }
    }
}

void ScopeSums::put(ScopeSum::Kind kind, std::string id, std::string model,
                    const Metrics& metrics) {
    if (id.empty() && kind != ScopeSum::Kind::global) {
        return;
    }
    ScopeSum& sum = sums_[{kind, id, model}];
    sum.kind = kind;
    sum.id = std::move(id);
    sum.model = std::move(model);
    sum.cost = belay::add(sum.cost, metrics.cost);
    sum.premium_milli += metrics.premium_milli;
}

std::vector<ScopeSum> ScopeSums::take() {
    std::vector<ScopeSum> all;
    for (auto& [key, sum] : std::exchange(sums_, {})) {
        all.push_back(std::move(sum));
    }
    return all;
}

int64_t day_of(int64_t unix_ms) {
    const int64_t day = unix_ms / kDayMs;
    return unix_ms % kDayMs < 0 ? day - 1 : day;
}

std::string render_date(int64_t day) {
    return render_utc(from_unix_seconds(day * kDaySeconds)).substr(0, 10);
}

Result<int64_t> parse_date(std::string_view date) {
    const Wall time = date.size() == 10 ? parse_utc(date) : Wall::min();
    if (time == Wall::min()) {
        return caller_error(Kind::invalid_request, "\"" + std::string(date.substr(0, 32)) +
                                                       "\" is no date; one is written 2026-10-03");
    }
    return day_of(unix_millis(time));
}

}  // namespace belay::ledger
