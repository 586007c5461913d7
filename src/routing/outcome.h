#pragma once
// One attempt's result, typed. classify() is the only reader of upstream statuses, headers and
// error texts (copilot-upstream reference §15, every row); everything after it works on Outcome.
// Pure: the time is an argument.
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/error.h"

namespace belay::routing {

enum class Cause : uint8_t {
    success,
    quota_month,  // 402 quota_exceeded, free_quota_exceeded, "quota exceeded", "You have no quota"
    quota_session,  // 402 session_quota_exceeded; the 5-hour window
    quota_week,     // user_weekly_rate_limited
    quota_budget,   // overage_limit_reached, additional_spend_limit_reached, billing_not_configured
    rate_limited,   // 429 and its 400/403 disguises
    overloaded,     // model_overloaded, 503 GOAWAY, upstream_provider_rate_limit
    model_unavailable,  // model_not_supported, not in plan, policy off, retired
    wrong_endpoint,     // unsupported_api_for_model: use another API of the same model
    context_too_long,
    content_refused,   // 422, cyber_policy, content_filter
    bad_parameter,     // a named parameter or member is not supported: strip it, try once more
    vision_header,     // missing Copilot-Vision-Request
    bad_request,       // any other 400: nobody else will like it either
    too_large,         // 413
    token_expired,     // 401/403 that one refresh cures
    auth,              // the credential is dead
    forbidden,         // policy, no seat, client not allowed
    wrong_host,        // 421
    item_id_mismatch,  // 401 "input item ID does not belong to this connection"
    api_version,       // 466
    not_found,         // 404
    server_error,      // 5xx, empty 400
    malformed,         // 200 with HTML, nothing, wrong type; broken framing
    timeout,           // no first byte, idle, total
    connection,        // refused, reset, DNS, TLS
    stale_connection,  // reset on a reused connection before any reply byte
    cancelled,         // the client went away
};
[[nodiscard]] std::string_view cause_name(Cause cause);
[[nodiscard]] std::optional<Cause> parse_cause(std::string_view name);

struct Outcome {
    Cause cause = Cause::success;
    int status = 0;         // upstream HTTP status; 0 = none arrived
    std::string code;       // upstream error code, suffix after ':' kept
    std::string message;    // upstream text, scrubbed of control bytes, at most 2 KiB
    std::string param;      // for bad_parameter: the member to strip (grammar: bad_parameter.h)
    std::string rename_to;  // for bad_parameter: the name it has to go by instead; "" = strip
    std::optional<seconds>
        retry_after;                // from now, as stated by the upstream; clamped by the reader
    std::optional<Wall> resets_at;  // quota reset, when stated (header snapshot or retry-after)
    bool in_stream = false;         // came inside a 200 stream
    bool possible_duplicate = false;

    bool operator==(const Outcome&) const = default;
};

struct ReplyFacts {
    int status = 0;
    std::vector<std::pair<std::string, std::string>> headers;  // lower-case names
    std::string_view body;                                     // at most the first 64 KiB
    std::string_view path;  // the upstream path that was called ("/responses")
};

// An answer with an error status, or a 200 whose body or event is an error object.
[[nodiscard]] Outcome classify(const ReplyFacts& reply, Wall now);
// An error event inside a 200 stream (its JSON data).
[[nodiscard]] Outcome classify_event(std::string_view data, Wall now);

// The Error that a client is shown for an outcome (status and wording in LiteLLM's column are the
// protocol's business).
[[nodiscard]] Error to_error(const Outcome& outcome);

// retry-after (seconds or HTTP date), x-ratelimit-user-retry-after, body retry_after; nullopt if
// none.
[[nodiscard]] std::optional<seconds> parse_retry_after(const ReplyFacts& reply, Wall now);

// x-quota-snapshot-* / x-usage-ratelimit-* (§14), form-encoded.
struct QuotaSnapshot {
    std::string name;        // "premium_interactions", "chat", "session", "weekly", ...
    double entitlement = 0;  // -1 = unlimited
    double overage = 0;
    bool overage_permitted = false;
    double percent_remaining = 100;
    std::optional<Wall> resets_at;
    bool operator==(const QuotaSnapshot&) const = default;
};
[[nodiscard]] std::vector<QuotaSnapshot> read_quota_headers(
    const std::vector<std::pair<std::string, std::string>>& headers);

}  // namespace belay::routing
