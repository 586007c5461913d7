#include "observe/request_metrics.h"

#include <algorithm>
#include <cctype>

#include "ledger/query.h"

namespace belay::observe {
namespace {

// Distinct texts that clients choose freely (products, end users) before the rest is "other".
constexpr size_t kFreeTextsMost = 200;
constexpr size_t kSeenMost = 4096;
constexpr double kUsd = 1e11;  // nano-credits

const std::vector<std::string_view> kProxyLabels = {
    "end_user",   "hashed_api_key", "api_key_alias", "requested_model", "team",
    "team_alias", "user",           "status_code",   "user_email",      "route",
    "client_ip",  "user_agent",     "model_id"};
const std::vector<std::string_view> kFailedLabels = {
    "end_user",   "hashed_api_key", "api_key_alias", "requested_model",  "team",
    "team_alias", "user",           "user_email",    "exception_status", "exception_class",
    "route",      "client_ip",      "user_agent",    "model_id"};
const std::vector<std::string_view> kSpendLabels = {
    "end_user", "hashed_api_key", "api_key_alias", "model",      "team",    "team_alias",
    "user",     "user_email",     "client_ip",     "user_agent", "model_id"};
const std::vector<std::string_view> kTokenLabels = {
    "end_user",   "hashed_api_key", "api_key_alias", "model",           "team",
    "team_alias", "user",           "user_email",    "requested_model", "model_id"};
const std::vector<std::string_view> kTotalLabels = {
    "end_user",   "hashed_api_key", "api_key_alias", "requested_model", "team",
    "team_alias", "user",           "model",         "model_id"};
const std::vector<std::string_view> kUpstreamLabels = {
    "model",           "hashed_api_key", "api_key_alias", "team",    "team_alias",
    "requested_model", "end_user",       "user",          "model_id"};
const std::vector<std::string_view> kOverheadLabels = {
    "model_group",    "api_provider",  "api_base", "litellm_model_name",
    "hashed_api_key", "api_key_alias", "model_id"};
const std::vector<std::string_view> kAttemptLabels = {
    "requested_model", "litellm_model_name", "model_id",      "api_base",
    "api_provider",    "hashed_api_key",     "api_key_alias", "team",
    "team_alias",      "client_ip",          "user_agent"};
const std::vector<std::string_view> kAttemptFailedLabels = {
    "requested_model", "litellm_model_name", "model_id",       "api_base",   "api_provider",
    "hashed_api_key",  "api_key_alias",      "team",           "team_alias", "client_ip",
    "user_agent",      "exception_status",   "exception_class"};
const std::vector<std::string_view> kPerTokenLabels = {
    "litellm_model_name", "model_id",      "api_base", "api_provider",
    "hashed_api_key",     "api_key_alias", "team",     "team_alias"};
const std::vector<std::string_view> kFallbackLabels = {
    "requested_model", "fallback_model",   "hashed_api_key",  "api_key_alias", "team",
    "team_alias",      "exception_status", "exception_class", "model_id"};
const std::vector<std::string_view> kCooledLabels = {"litellm_model_name", "model_id", "api_base",
                                                     "api_provider", "exception_status"};
const std::vector<std::string_view> kOwnLabels = {"model_group", "api_provider", "outcome"};

std::string_view class_of(Kind kind, bool from_upstream) {
    switch (kind) {
        case Kind::unauthenticated:
        case Kind::upstream_rejected:
            return "AuthenticationError";
        case Kind::forbidden:
            return "PermissionDeniedError";
        case Kind::not_found:
            return "NotFoundError";
        case Kind::rate_limited:
            return "RateLimitError";
        case Kind::budget_exhausted:
            return from_upstream ? "RateLimitError" : "BudgetExceededError";
        case Kind::context_overflow:
            return "ContextWindowExceededError";
        case Kind::content_refused:
            return "ContentPolicyViolationError";
        case Kind::timeout:
            return "Timeout";
        case Kind::upstream_unavailable:
        case Kind::upstream_malformed:
            return "APIConnectionError";
        case Kind::internal:
            return "InternalServerError";
        case Kind::cancelled:
            return "ClientDisconnected";
        default:
            return "BadRequestError";
    }
}

// What an attempt's cause is called among LiteLLM's classes.
std::string_view class_of_cause(std::string_view cause) {
    if (cause == "timeout") {
        return "Timeout";
    }
    if (cause.starts_with("quota") || cause == "rate_limited") {
        return "RateLimitError";
    }
    if (cause == "auth" || cause == "token_expired") {
        return "AuthenticationError";
    }
    if (cause == "forbidden") {
        return "PermissionDeniedError";
    }
    if (cause == "not_found" || cause == "model_unavailable") {
        return "NotFoundError";
    }
    if (cause == "context_too_long") {
        return "ContextWindowExceededError";
    }
    if (cause == "content_refused") {
        return "ContentPolicyViolationError";
    }
    if (cause == "overloaded") {
        return "ServiceUnavailableError";
    }
    if (cause.starts_with("bad_") || cause == "too_large" || cause == "vision_header") {
        return "BadRequestError";
    }
    if (cause == "connection" || cause == "malformed" || cause == "stale_connection") {
        return "APIConnectionError";
    }
    return "InternalServerError";
}

std::string with_provider(std::string_view provider, std::string_view name) {
    std::string out(provider);
    if (!out.empty()) {
        out[0] = static_cast<char>(std::toupper(static_cast<unsigned char>(out[0])));
        out += '.';
    }
    return out.append(name);
}

}  // namespace

std::string exception_class(const ledger::SpendRecord& record) {
    if (record.status == ledger::Status::client_aborted) {
        return "ClientDisconnected";
    }
    return with_provider(record.provider, class_of(record.error_kind.value_or(Kind::internal),
                                                   !record.deployment_id.empty()));
}

struct RequestMetrics::Facts {
    const ledger::SpendRecord& r;
    const ledger::Trace& trace;
    std::string team_alias, user_email, status, error_class, route;
    std::string_view asked, agent, end_user, key;
    bool success = false;
};

RequestMetrics::RequestMetrics(Names names, MetricOptions options)
    : names_(std::move(names)),
      options_(options),
      proxy_(kProxyLabels, options.rows_most),
      failed_(kFailedLabels, options.rows_most),
      spend_(kSpendLabels, options.rows_most),
      tokens_(kTokenLabels, options.rows_most),
      total_(kTotalLabels, options.rows_most),
      upstream_(kUpstreamLabels, options.rows_most),
      overhead_(kOverheadLabels, options.rows_most),
      attempt_(kAttemptLabels, options.rows_most),
      attempt_failed_(kAttemptFailedLabels, options.rows_most),
      per_token_(kPerTokenLabels, options.rows_most),
      fallback_(kFallbackLabels, options.rows_most),
      cooled_(kCooledLabels, options.rows_most),
      own_(kOwnLabels, options.rows_most) {
    requests_c_ = proxy_.counter("litellm_proxy_total_requests_metric_total", "Requests by status");
    failed_c_ = failed_.counter("litellm_proxy_failed_requests_metric_total",
                                "Requests that the client was answered an error for");
    spend_requests_c_ = spend_.counter("litellm_requests_metric_total", "Requests by model");
    spend_c_ = spend_.counter("litellm_spend_metric_total", "Spend in US$", kUsd);
    total_tokens_c_ =
        tokens_.counter("litellm_total_tokens_metric_total", "Prompt and output tokens");
    input_c_ = tokens_.counter("litellm_input_tokens_metric_total", "Prompt tokens");
    output_c_ = tokens_.counter("litellm_output_tokens_metric_total", "Output tokens");
    cached_c_ = tokens_.counter("litellm_input_cached_tokens_metric_total",
                                "Prompt tokens read from the upstream's cache");
    cache_write_c_ = tokens_.counter("litellm_input_cache_creation_tokens_metric_total",
                                     "Prompt tokens written to the upstream's cache");
    reasoning_c_ = tokens_.counter("litellm_output_reasoning_tokens_metric_total",
                                   "Output tokens of reasoning");
    total_h_ = total_.histogram("litellm_request_total_latency_metric",
                                "Seconds from the request's first byte to the reply's last");
    upstream_h_ = upstream_.histogram("litellm_llm_api_latency_metric",
                                      "Seconds of the upstream call that answered");
    first_token_h_ = upstream_.histogram("litellm_llm_api_time_to_first_token_metric",
                                         "Seconds from the upstream call to the first content of "
                                         "a stream");
    overhead_h_ = overhead_.histogram("litellm_overhead_latency_metric",
                                      "Seconds that were not spent in upstream calls");
    success_c_ = attempt_.counter("litellm_deployment_success_responses_total",
                                  "Attempts that a deployment answered");
    attempts_c_ =
        attempt_.counter("litellm_deployment_total_requests_total", "Attempts at a deployment");
    failures_c_ = attempt_failed_.counter("litellm_deployment_failure_responses_total",
                                          "Attempts that failed");
    per_token_h_ = per_token_.histogram("litellm_deployment_latency_per_output_token",
                                        "Seconds per output token");
    fallback_ok_c_ = fallback_.counter("litellm_deployment_successful_fallbacks_total",
                                       "Requests that a later model of the chain answered");
    fallback_bad_c_ = fallback_.counter("litellm_deployment_failed_fallbacks_total",
                                        "Requests that no model of the chain answered");
    cooled_c_ = cooled_.counter("litellm_deployment_cooled_down_total",
                                "Times that a deployment began to rest");
    own_requests_c_ = own_.counter("belay_requests_total", "Requests by how they ended");
    own_cost_c_ = own_.counter("belay_cost_nanocredits_total", "Cost, 10^9 to an AI credit");
    own_premium_c_ = own_.counter("belay_premium_requests_total", "Premium requests", 1e3);
    own_aborted_c_ = own_.counter("belay_client_aborted_total", "Clients that went away");
    own_unknown_c_ = own_.counter("belay_unknown_cost_requests_total",
                                  "Answered requests whose price is not known");
    own_estimated_c_ = own_.counter("belay_estimated_usage_requests_total",
                                    "Requests whose tokens were counted here");
    own_queue_h_ = own_.histogram("belay_time_to_first_attempt_seconds",
                                  "Seconds until the first attempt was sent");
}

std::string_view RequestMetrics::bounded(std::set<std::string, std::less<>>& known,
                                         std::string_view value) const {
    if (known.find(value) != known.end()) {
        return value;
    }
    if (known.size() >= kFreeTextsMost) {
        return "other";
    }
    known.emplace(value);
    return value;
}

void RequestMetrics::add(const ledger::SpendRecord& r, const ledger::Trace& trace) {
    Facts f{r, trace, {}, {}, {}, {}, {}, {}, {}, {}, {}};
    if (names_.team_alias && !r.team.empty()) {
        f.team_alias = names_.team_alias(r.team);
    }
    if (names_.user_email && !r.user.empty()) {
        f.user_email = names_.user_email(r.user);
    }
    f.success = r.status == ledger::Status::success;
    f.status = std::to_string(r.http_status);
    f.error_class = f.success ? std::string() : exception_class(r);
    f.route = ledger::endpoint_of(r.client_api);
    // A name that nothing serves is the client's invention.
    const bool invented =
        r.model_group.empty() && r.deployment_id.empty() && r.error_kind &&
        (*r.error_kind == Kind::invalid_request || *r.error_kind == Kind::not_found);
    f.asked = invented                                        ? std::string_view("unknown")
              : r.model_group.find('*') != r.model_group.npos ? bounded(asked_, r.asked)
                                                              : std::string_view(r.asked);
    f.agent = r.user_agent.empty() ? r.user_agent : bounded(agents_, r.user_agent);
    if (options_.end_user && !r.end_user.empty()) {
        f.end_user = bounded(end_users_, r.end_user);
    }
    f.key = r.key_fingerprint;
    add_proxy(f);
    add_tokens(f);
    add_latency(f);
    add_attempts(f);
    add_fallback(f);
}

void RequestMetrics::add_proxy(const Facts& f) {
    const auto& r = f.r;
    proxy_
        .row({f.end_user,
              f.key,
              r.key_alias,
              f.asked,
              r.team,
              f.team_alias,
              r.user,
              f.status,
              f.user_email,
              f.route,
              {},
              f.agent,
              r.deployment_id})
        .count(requests_c_);
    if (!f.success) {
        failed_
            .row({f.end_user,
                  f.key,
                  r.key_alias,
                  f.asked,
                  r.team,
                  f.team_alias,
                  r.user,
                  f.user_email,
                  f.status,
                  f.error_class,
                  f.route,
                  {},
                  f.agent,
                  r.deployment_id})
            .count(failed_c_);
    }
    auto& own = own_.row({r.model_group, r.provider, ledger::status_name(r.status)});
    own.count(own_requests_c_);
    own.count(own_cost_c_, r.cost.value);
    own.count(own_premium_c_, r.premium_milli);
    if (r.status == ledger::Status::client_aborted) {
        own.count(own_aborted_c_);
    }
    if (f.success && r.cost_source == chat::CostSource::unknown) {
        own.count(own_unknown_c_);
    }
    if (r.usage_estimated) {
        own.count(own_estimated_c_);
    }
    if (r.queue_us > 0) {
        own.observe(own_queue_h_, r.queue_us);
    }
}

void RequestMetrics::add_tokens(const Facts& f) {
    const auto& r = f.r;
    const auto& u = r.usage;
    if (!f.success && u.empty() && r.cost.value == 0) {
        return;
    }
    auto& spend = spend_.row({f.end_user,
                              f.key,
                              r.key_alias,
                              r.upstream_model,
                              r.team,
                              f.team_alias,
                              r.user,
                              f.user_email,
                              {},
                              f.agent,
                              r.deployment_id});
    spend.count(spend_requests_c_);
    spend.count(spend_c_, r.cost.value);
    auto& tokens = tokens_.row({f.end_user, f.key, r.key_alias, r.upstream_model, r.team,
                                f.team_alias, r.user, f.user_email, f.asked, r.deployment_id});
    tokens.count(total_tokens_c_, u.total());
    tokens.count(input_c_, u.prompt());
    tokens.count(output_c_, u.output);
    tokens.count(cached_c_, u.cache_read);
    tokens.count(cache_write_c_, u.cache_write);
    tokens.count(reasoning_c_, u.reasoning);
}

void RequestMetrics::add_latency(const Facts& f) {
    const auto& r = f.r;
    if (!f.success) {
        return;
    }
    total_
        .row({f.end_user, f.key, r.key_alias, f.asked, r.team, f.team_alias, r.user,
              r.upstream_model, r.deployment_id})
        .observe(total_h_, r.total_us);
    int64_t upstream = 0;
    for (const auto& a : f.trace.attempts) {
        upstream += std::max<int64_t>(0, (a.end_us != 0 ? a.end_us : r.total_us) - a.start_us);
    }
    overhead_
        .row({r.model_group, r.provider, r.api_base, r.upstream_model, f.key, r.key_alias,
              r.deployment_id})
        .observe(overhead_h_, std::max<int64_t>(0, r.total_us - upstream));
    if (f.trace.attempts.empty()) {
        return;
    }
    const auto& last = f.trace.attempts.back();
    const int64_t took =
        std::max<int64_t>(0, (last.end_us != 0 ? last.end_us : r.total_us) - last.start_us);
    auto& row = upstream_.row({r.upstream_model, f.key, r.key_alias, r.team, f.team_alias, f.asked,
                               f.end_user, r.user, r.deployment_id});
    row.observe(upstream_h_, took);
    if (r.stream && r.first_token_us > last.start_us) {
        row.observe(first_token_h_, r.first_token_us - last.start_us);
    }
    if (r.usage.output > 0) {
        per_token_
            .row({r.upstream_model, r.deployment_id, r.api_base, r.provider, f.key, r.key_alias,
                  r.team, f.team_alias})
            .observe(per_token_h_, took / r.usage.output);
    }
}

void RequestMetrics::add_attempts(const Facts& f) {
    const auto& r = f.r;
    for (size_t i = 0; i < f.trace.attempts.size(); ++i) {
        const auto& a = f.trace.attempts[i];
        const bool last = i + 1 == f.trace.attempts.size();
        const bool own = a.deployment_id.empty();  // it is the record's
        const std::string& id = own ? r.deployment_id : a.deployment_id;
        const std::string& model = own ? r.upstream_model : a.model;
        const bool good = a.cause == "success";
        if (seen_.size() < kSeenMost || seen_.count(id) != 0) {
            Seen& seen = seen_[id];
            seen.failed = !good;
            if (own || id == r.deployment_id) {
                seen.api_base = r.api_base;
            }
        }
        const std::string_view base = own || last ? std::string_view(r.api_base) : "";
        const std::string_view provider = own || id == r.deployment_id || last
                                              ? std::string_view(r.provider)
                                              : std::string_view();
        auto& row = attempt_.row({f.asked,
                                  model,
                                  id,
                                  base,
                                  provider,
                                  f.key,
                                  r.key_alias,
                                  r.team,
                                  f.team_alias,
                                  {},
                                  f.agent});
        row.count(attempts_c_);
        if (good) {
            row.count(success_c_);
        } else if (a.cause != "cancelled") {
            attempt_failed_
                .row({f.asked,
                      model,
                      id,
                      base,
                      provider,
                      f.key,
                      r.key_alias,
                      r.team,
                      f.team_alias,
                      {},
                      f.agent,
                      std::to_string(a.status),
                      with_provider(provider, class_of_cause(a.cause))})
                .count(failures_c_);
        }
    }
}

void RequestMetrics::add_fallback(const Facts& f) {
    const auto& r = f.r;
    if (r.attempted_fallbacks == 0) {
        return;
    }
    std::string status;
    for (const auto& a : f.trace.attempts) {
        if (a.cause != "success") {
            status = std::to_string(a.status);
            break;
        }
    }
    fallback_
        .row({f.asked, r.model_group, f.key, r.key_alias, r.team, f.team_alias, status,
              with_provider(r.provider, class_of_cause(r.fallback_reason)), r.deployment_id})
        .count(f.success ? fallback_ok_c_ : fallback_bad_c_);
}

void RequestMetrics::cooled_down(std::string_view model, std::string_view id,
                                 std::string_view provider, std::string_view cause) {
    const Seen* known = seen(std::string(id));
    cooled_
        .row({model, id, known != nullptr ? std::string_view(known->api_base) : "", provider,
              class_of_cause(cause)})
        .count(cooled_c_);
}

const RequestMetrics::Seen* RequestMetrics::seen(const std::string& deployment) const {
    const auto found = seen_.find(deployment);
    return found == seen_.end() ? nullptr : &found->second;
}

void RequestMetrics::collect(std::vector<Family>& into) const {
    uint64_t other = 0;
    for (const LabelTable* table :
         {&proxy_, &failed_, &spend_, &tokens_, &total_, &upstream_, &overhead_, &attempt_,
          &attempt_failed_, &per_token_, &fallback_, &cooled_, &own_}) {
        table->collect(into);
        other += table->overflowed();
    }
    into.push_back(single("belay_metric_overflow_total",
                          "Requests counted under labels \"other\", since a metric had as many "
                          "label sets as it may have",
                          static_cast<double>(other), MetricType::counter));
}

}  // namespace belay::observe
