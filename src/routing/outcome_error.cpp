// What an Outcome is called, and the Error that a client is shown for it.
#include "routing/outcome.h"

namespace belay::routing {
namespace {

struct Shown {
    Kind kind;
    std::string_view code;     // for clients that branch on it; "" = the upstream's own
    std::string_view message;  // when the upstream said nothing
};

// Kinds follow what a client can do about it: an exhausted upstream quota is a 429 with code
// insufficient_quota (OpenAI's word for it), never the 402 that no SDK knows.
Shown shown(Cause cause) {
    switch (cause) {
        case Cause::success:
            return {Kind::internal, "", "The request succeeded."};
        case Cause::quota_month:
            return {Kind::rate_limited, "insufficient_quota",
                    "The upstream's monthly quota is used up."};
        case Cause::quota_session:
            return {Kind::rate_limited, "insufficient_quota",
                    "The upstream's quota for this session window is used up."};
        case Cause::quota_week:
            return {Kind::rate_limited, "insufficient_quota",
                    "The upstream's weekly quota is used up."};
        case Cause::quota_budget:
            return {Kind::rate_limited, "insufficient_quota",
                    "The upstream account's spending limit is reached."};
        case Cause::rate_limited:
            return {Kind::rate_limited, "", "The upstream limits the rate of requests."};
        case Cause::overloaded:
            return {Kind::upstream_unavailable, "", "The upstream is overloaded."};
        case Cause::model_unavailable:
            return {Kind::not_found, "", "The upstream does not offer this model to this account."};
        case Cause::wrong_endpoint:
            return {Kind::invalid_request, "", "The model is not served on this endpoint."};
        case Cause::context_too_long:
            return {Kind::context_overflow, "context_length_exceeded",
                    "The prompt exceeds the model's context window."};
        case Cause::content_refused:
            return {Kind::content_refused, "",
                    "The upstream's content filter refused the request."};
        case Cause::bad_parameter:
            return {Kind::invalid_request, "", "The upstream does not support a parameter."};
        case Cause::vision_header:
            return {Kind::invalid_request, "", "The upstream does not accept images here."};
        case Cause::bad_request:
            return {Kind::invalid_request, "", "The upstream refused the request."};
        case Cause::too_large:
            return {Kind::too_large, "request_too_large",
                    "The request body is too large for the upstream."};
        case Cause::token_expired:
        case Cause::auth:
            return {Kind::unauthenticated, "", "The upstream refused the gateway's credential."};
        case Cause::forbidden:
            return {Kind::forbidden, "", "The upstream does not allow this account or client."};
        case Cause::wrong_host:
            return {Kind::upstream_unavailable, "",
                    "The upstream host does not serve this account."};
        case Cause::item_id_mismatch:
            return {Kind::invalid_request, "", "An input item id is not known to the upstream."};
        case Cause::api_version:
            return {Kind::upstream_rejected, "",
                    "The upstream no longer supports this API version."};
        case Cause::not_found:
            return {Kind::not_found, "", "The upstream has no such endpoint or model."};
        case Cause::server_error:
            return {Kind::upstream_unavailable, "", "The upstream failed."};
        case Cause::malformed:
            return {Kind::upstream_malformed, "", "The upstream's answer cannot be read."};
        case Cause::timeout:
            return {Kind::timeout, "", "The upstream did not answer in time."};
        case Cause::connection:
        case Cause::stale_connection:
            return {Kind::upstream_unavailable, "", "Connection error."};
        case Cause::cancelled:
            return {Kind::cancelled, "", "The client went away."};
    }
    return {Kind::internal, "", "Unknown outcome."};
}

}  // namespace

std::optional<Cause> parse_cause(std::string_view name) {
    for (int i = 0; i <= static_cast<int>(Cause::cancelled); ++i) {
        if (const auto cause = static_cast<Cause>(i); cause_name(cause) == name) {
            return cause;
        }
    }
    return std::nullopt;
}

std::string_view cause_name(Cause cause) {
    switch (cause) {
        case Cause::success:
            return "success";
        case Cause::quota_month:
            return "quota_month";
        case Cause::quota_session:
            return "quota_session";
        case Cause::quota_week:
            return "quota_week";
        case Cause::quota_budget:
            return "quota_budget";
        case Cause::rate_limited:
            return "rate_limited";
        case Cause::overloaded:
            return "overloaded";
        case Cause::model_unavailable:
            return "model_unavailable";
        case Cause::wrong_endpoint:
            return "wrong_endpoint";
        case Cause::context_too_long:
            return "context_too_long";
        case Cause::content_refused:
            return "content_refused";
        case Cause::bad_parameter:
            return "bad_parameter";
        case Cause::vision_header:
            return "vision_header";
        case Cause::bad_request:
            return "bad_request";
        case Cause::too_large:
            return "too_large";
        case Cause::token_expired:
            return "token_expired";
        case Cause::auth:
            return "auth";
        case Cause::forbidden:
            return "forbidden";
        case Cause::wrong_host:
            return "wrong_host";
        case Cause::item_id_mismatch:
            return "item_id_mismatch";
        case Cause::api_version:
            return "api_version";
        case Cause::not_found:
            return "not_found";
        case Cause::server_error:
            return "server_error";
        case Cause::malformed:
            return "malformed";
        case Cause::timeout:
            return "timeout";
        case Cause::connection:
            return "connection";
        case Cause::stale_connection:
            return "stale_connection";
        case Cause::cancelled:
            return "cancelled";
    }
    return "unknown";
}

Error to_error(const Outcome& outcome) {
    const Shown row = shown(outcome.cause);
    Error error;
    error.kind = row.kind;
    error.origin = outcome.cause == Cause::cancelled ? Origin::caller : Origin::upstream;
    // A 429 stays a 429, also when it is the model that is overloaded.
    if (outcome.cause == Cause::overloaded && outcome.status == 429) {
        error.kind = Kind::rate_limited;
    }
    error.message = outcome.message.empty() ? std::string(row.message) : outcome.message;
    error.code = row.code.empty() ? outcome.code : std::string(row.code);
    if (outcome.cause == Cause::content_refused && error.code.empty()) {
        error.code = "content_filter";
    }
    error.param = outcome.param;
    if (outcome.cause == Cause::model_unavailable) {
        error.param = "model";
    }
    error.detail = std::string(cause_name(outcome.cause));
    error.upstream_status = outcome.status >= 400 ? outcome.status : 0;
    error.retry_after = outcome.retry_after;
    return error;
}

}  // namespace belay::routing
