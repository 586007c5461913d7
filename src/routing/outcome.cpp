#include "routing/outcome.h"

#include <algorithm>
#include <array>

#include "routing/bad_parameter.h"
#include "routing/error_body.h"
#include "routing/reply_headers.h"

namespace belay::routing {
namespace {

using MaybeCause = std::optional<Cause>;

// One failed reply, folded for comparison.
struct Facts {
    int status = 0;  // 0 = an event inside a 200 stream that names none
    const ErrorBody& body;
    const ReplyFacts& reply;
    std::string code;  // lower case, without the suffix after ':'
    std::string type;
    std::string text;  // the message, lower case

    // A client error by status, or no status to contradict the words.
    [[nodiscard]] bool refused() const { return status == 0 || (status >= 400 && status < 500); }
};

std::string prefix_of(std::string_view code) { return lower(code.substr(0, code.find(':'))); }

bool has(std::string_view text, std::string_view part) {
    return text.find(part) != std::string_view::npos;
}

template <size_t N>
bool has_any(std::string_view text, const std::array<std::string_view, N>& parts) {
    return std::any_of(parts.begin(), parts.end(), [&](auto part) { return has(text, part); });
}

struct CodeRow {
    std::string_view code;
    Cause cause;
};

// Codes that mean one thing whatever the status. Copilot's own first, then those of the vendors
// that stand behind it or beside it.
constexpr std::array kCodes = {
    CodeRow{"quota_exceeded", Cause::quota_month},
    CodeRow{"free_quota_exceeded", Cause::quota_month},
    CodeRow{"session_quota_exceeded", Cause::quota_session},
    CodeRow{"user_weekly_rate_limited", Cause::quota_week},
    CodeRow{"overage_limit_reached", Cause::quota_budget},
    CodeRow{"additional_spend_limit_reached", Cause::quota_budget},
    CodeRow{"billing_not_configured", Cause::quota_budget},
    CodeRow{"insufficient_quota", Cause::quota_budget},
    CodeRow{"billing_hard_limit_reached", Cause::quota_budget},
    CodeRow{"rate_limited", Cause::rate_limited},
    CodeRow{"user_model_rate_limited", Cause::rate_limited},
    CodeRow{"user_global_rate_limited", Cause::rate_limited},
    CodeRow{"integration_rate_limited", Cause::rate_limited},
    CodeRow{"agent_mode_limit_exceeded", Cause::rate_limited},
    CodeRow{"extension_blocked", Cause::rate_limited},
    CodeRow{"rate_limit_exceeded", Cause::rate_limited},
    CodeRow{"too_many_requests", Cause::rate_limited},
    CodeRow{"resource_exhausted", Cause::rate_limited},
    CodeRow{"model_overloaded", Cause::overloaded},
    CodeRow{"upstream_provider_rate_limit", Cause::overloaded},
    CodeRow{"overloaded", Cause::overloaded},
    CodeRow{"engine_overloaded", Cause::overloaded},
    CodeRow{"unavailable", Cause::overloaded},
    CodeRow{"model_not_supported", Cause::model_unavailable},
    CodeRow{"no_available_model_endpoints", Cause::model_unavailable},
    CodeRow{"model_not_found", Cause::model_unavailable},
    CodeRow{"model_decommissioned", Cause::model_unavailable},
    CodeRow{"deploymentnotfound", Cause::model_unavailable},
    CodeRow{"unsupported_api_for_model", Cause::wrong_endpoint},
    CodeRow{"model_max_prompt_tokens_exceeded", Cause::context_too_long},
    CodeRow{"context_length_exceeded", Cause::context_too_long},
    CodeRow{"cyber_policy", Cause::content_refused},
    CodeRow{"content_filter", Cause::content_refused},
    CodeRow{"content_policy_violation", Cause::content_refused},
    CodeRow{"responsibleaipolicyviolation", Cause::content_refused},
    CodeRow{"off_topic", Cause::content_refused},
    CodeRow{"request_too_large", Cause::too_large},
    CodeRow{"expired_token", Cause::token_expired},
    CodeRow{"token_expired", Cause::token_expired},
    CodeRow{"invalid_token", Cause::token_expired},
    CodeRow{"invalid_api_key", Cause::auth},
    CodeRow{"session_expired", Cause::server_error},
};

MaybeCause by_code(const Facts& f) {
    for (const std::string_view code : {std::string_view(f.code), std::string_view(f.type)}) {
        const auto row = std::find_if(kCodes.begin(), kCodes.end(),
                                      [&](const CodeRow& r) { return r.code == code; });
        if (row != kCodes.end()) {
            return row->cause;
        }
    }
    return std::nullopt;
}

constexpr std::array<std::string_view, 22> kContextWords = {
    "model_max_prompt_tokens_exceeded",
    "context_length_exceeded",
    "prompt token count of",                     // Copilot
    "maximum context length",                    // OpenAI, vLLM
    "exceeds the context window",                // OpenAI Responses
    "input tokens exceed the configured limit",  // OpenAI Responses
    "reduce the length of the messages",         // OpenAI, Groq
    "prompt is too long",                        // Anthropic
    "exceed context limit",                      // Anthropic, input + max_tokens
    "exceeds the maximum number of tokens",      // Google
    "too large for model context window",        // Google, Vertex
    "input is too long for requested model",     // Bedrock
    "maximum prompt length",                     // xAI
    "exceeds the available context size",        // llama.cpp
    "exceed_context_size",                       // llama.cpp
    "exceeded model token limit",                // Moonshot
    "prompt exceeds max length",                 // Zhipu
    "too large for model with",                  // Mistral: "... with 32768 maximum context length"
    "context window of this model",
    "exceeds the model's context",
    "input length exceeds",
    "prompt too long",  // Ollama
};

constexpr std::array<std::string_view, 9> kContentWords = {
    "content management policy",   "responsible ai",
    "content filtering policy",    "content_filter",
    "content policy violation",    "safety system",
    "flagged as potentially",      "prohibited_content",
    "violates our usage policies",
};

constexpr std::array<std::string_view, 7> kModelWords = {
    "the requested model is not supported",
    "no endpoints available for this model",
    "requested model not available for session",
    "model_not_supported",
    "has been decommissioned",
    "has been deprecated and",
    "unknown model",
};

constexpr std::array<std::string_view, 6> kQuotaWords = {
    "quota exceeded",
    "you have no quota",
    "exceeded your monthly",
    "exceeded your current quota",
    "credit balance is too low",
    "out of credits",
};

constexpr std::array<std::string_view, 6> kRateWords = {
    "rate limit exceeded", "rate limit that restricts", "exceeded your copilot token usage",
    "hit a rate limit",    "rate limit reached for",    "too many requests",
};

bool names_missing_model(const Facts& f) {
    const bool could = f.status == 0 || f.status == 400 || f.status == 404 || f.status == 410;
    return could && has(f.text, "model") &&
           (has(f.text, "does not exist") || has(f.text, "not found") ||
            has(f.text, "is not available"));
}

// Texts that mean one thing whatever the code; they are looked for only where an upstream refuses,
// so that a crash that quotes them stays a crash.
MaybeCause by_words(const Facts& f) {
    if (!f.refused()) {
        return std::nullopt;
    }
    if (has(f.text, "does not belong to this connection")) {
        return Cause::item_id_mismatch;
    }
    if (has(f.text, "copilot-vision-request")) {
        return Cause::vision_header;
    }
    if (has(f.text, "is not accessible via the")) {
        return Cause::wrong_endpoint;
    }
    if (has(f.text, "api version is no longer supported")) {
        return Cause::api_version;
    }
    if (has_any(f.text, kContextWords)) {
        return Cause::context_too_long;
    }
    if (has_any(f.text, kModelWords) || names_missing_model(f)) {
        return Cause::model_unavailable;
    }
    if (has(f.text, "weekly rate limit")) {
        return Cause::quota_week;
    }
    if (has_any(f.text, kQuotaWords)) {
        return Cause::quota_month;
    }
    if (has_any(f.text, kRateWords)) {
        return Cause::rate_limited;
    }
    if (has_any(f.text, kContentWords)) {
        return Cause::content_refused;
    }
    return std::nullopt;
}

// A 429 whose window stands at nothing left is that window's quota, whatever it is called.
Cause limited_by_window(const Facts& f) {
    const std::string bucket = lower(header(f.reply, "x-ratelimit-exceeded"));
    Cause cause = has(bucket, "weekly") ? Cause::quota_week : Cause::rate_limited;
    for (const QuotaSnapshot& row : read_quota_headers(f.reply.headers)) {
        if (row.percent_remaining <= 0 && !row.overage_permitted) {
            cause = row.name == "weekly"                                  ? Cause::quota_week
                    : row.name == "session" && cause != Cause::quota_week ? Cause::quota_session
                                                                          : cause;
        }
    }
    return cause;
}

Cause unauthorized(const Facts& f) {
    if (f.body.authorize_url) {
        return Cause::forbidden;  // an extension agent wants its own sign-in: no refresh helps
    }
    if (has(f.text, "incorrect api key") || has(f.text, "invalid x-api-key") ||
        has(f.text, "api key not valid") || has(f.text, "no api key")) {
        return Cause::auth;
    }
    return Cause::token_expired;
}

// "tpm:<model>:clientID:..." names a throughput bucket, which refills; anything else does not.
bool throughput_bucket(const Facts& f) {
    for (const char* who : {"client", "integration", "user"}) {
        const std::string name = std::string("x-endpoint-") + who + "-forbidden";
        if (has(header(f.reply, name), "tpm:")) {
            return true;
        }
    }
    return false;
}

Cause forbidden(const Facts& f) {
    if (throughput_bucket(f)) {
        return Cause::rate_limited;
    }
    if (has(f.text, "token expired") || has(f.text, "access to this endpoint is forbidden")) {
        return Cause::token_expired;
    }
    // Words without a structure come from the edge that distrusts the token, not from a policy.
    const bool opaque = f.body.shape != BodyShape::json;
    const bool bare = f.text.empty() || f.text == "forbidden" || f.body.shape == BodyShape::html;
    return opaque && bare ? Cause::token_expired : Cause::forbidden;
}

Cause bad_request(const Facts& f) {
    if (f.body.shape == BodyShape::empty) {
        return Cause::server_error;  // a proxy's hiccup: a real refusal says what it refuses
    }
    if (has(f.text, "missing editor-version") || has(f.text, "unknown copilot-integration-id")) {
        return Cause::forbidden;
    }
    return Cause::bad_request;
}

Cause by_status(const Facts& f) {
    switch (f.status) {
        case 400:
            return bad_request(f);
        case 401:
            return unauthorized(f);
        case 402:
            return Cause::quota_month;
        case 403:
            return forbidden(f);
        case 404:
            return Cause::not_found;
        case 408:
        case 499:
        case 524:
            return Cause::timeout;
        case 409:
        case 423:
        case 424:
        case 425:
            return Cause::server_error;
        case 410:
            return Cause::model_unavailable;
        case 413:
        case 431:
            return Cause::too_large;
        case 421:
            return Cause::wrong_host;
        case 422:
            return f.body.validation ? Cause::bad_request : Cause::content_refused;
        case 429:
            return limited_by_window(f);
        case 451:
            return Cause::forbidden;
        case 466:
            return Cause::api_version;
        case 503:
        case 529:
            return Cause::overloaded;
        default:
            break;
    }
    return f.status >= 500 ? Cause::server_error : Cause::bad_request;
}

// An event has no status of its own: its type or code is all there is.
Cause by_type(const Facts& f) {
    static constexpr std::array kTypes = {
        CodeRow{"invalid_request_error", Cause::bad_request},
        CodeRow{"invalid_request_body", Cause::bad_request},
        CodeRow{"previous_response_not_found", Cause::bad_request},
        CodeRow{"bad_request", Cause::bad_request},
        CodeRow{"authentication_error", Cause::token_expired},
        CodeRow{"billing_error", Cause::quota_budget},
        CodeRow{"permission_error", Cause::forbidden},
        CodeRow{"forbidden", Cause::forbidden},
        CodeRow{"not_found_error", Cause::not_found},
        CodeRow{"not_found", Cause::not_found},
        CodeRow{"rate_limit_error", Cause::rate_limited},
        CodeRow{"overloaded_error", Cause::overloaded},
        CodeRow{"timeout_error", Cause::timeout},
    };
    for (const std::string_view name : {std::string_view(f.code), std::string_view(f.type)}) {
        const auto row = std::find_if(kTypes.begin(), kTypes.end(),
                                      [&](const CodeRow& r) { return r.code == name; });
        if (row != kTypes.end()) {
            return row->cause;
        }
    }
    return has(f.text, "goaway") || has(f.text, "overloaded") ? Cause::overloaded
                                                              : Cause::server_error;
}

bool may_name_a_parameter(const Facts& f) {
    return f.status == 0 || f.status == 400 || f.status == 422;
}

Cause cause_of(const Facts& f, Outcome& out) {
    const MaybeCause coded = by_code(f);
    // The wordings of one 401 and of some 400s are more exact than their codes.
    if (has(f.text, "does not belong to this connection")) {
        return Cause::item_id_mismatch;
    }
    if (coded) {
        return *coded == Cause::rate_limited && f.code == "rate_limited" ? limited_by_window(f)
                                                                         : *coded;
    }
    if (may_name_a_parameter(f)) {
        if (auto bad = find_bad_parameter(f.body, f.reply.path)) {
            out.param = std::move(bad->path);
            out.rename_to = std::move(bad->rename_to);
            return Cause::bad_parameter;
        }
    }
    // A 403 with a throughput bucket reads like a policy; the header knows better.
    if (f.status == 403 && throughput_bucket(f)) {
        return Cause::rate_limited;
    }
    if (const MaybeCause worded = by_words(f)) {
        return *worded;
    }
    return f.status == 0 ? by_type(f) : by_status(f);
}

// The windows that a quota cause can be about, best first.
std::array<std::string_view, 3> windows_of(Cause cause) {
    switch (cause) {
        case Cause::quota_session:
            return {"session", "5Hour-Session-RateLimits", ""};
        case Cause::quota_week:
            return {"weekly", "Weekly-Session-RateLimits", ""};
        case Cause::quota_month:
        case Cause::quota_budget:
            return {"premium_models", "premium_interactions", "chat"};
        default:
            return {};
    }
}

// The named window's reset; an exhausted window wins over one that has something left.
std::optional<Wall> stated_reset(Cause cause, const std::vector<QuotaSnapshot>& rows, Wall now) {
    std::optional<Wall> any;
    for (const std::string_view name : windows_of(cause)) {
        for (const QuotaSnapshot& row : rows) {
            if (row.name != name || !row.resets_at || *row.resets_at <= now) {
                continue;
            }
            if (row.percent_remaining <= 0) {
                return row.resets_at;
            }
            any = any ? any : row.resets_at;
        }
    }
    return any;
}

bool is_quota(Cause cause) {
    return cause == Cause::quota_month || cause == Cause::quota_session ||
           cause == Cause::quota_week || cause == Cause::quota_budget;
}

// A dead gateway's HTML, or a status that no answer may have.
bool is_impossible(int status) {
    return status < 200 || (status >= 204 && status < 400) || status > 599;
}

std::string shown_code(const ErrorBody& body) {
    static constexpr std::array<std::string_view, 4> kSayNothing = {
        "error", "invalid_request_error", "api_error", "None"};
    const std::string& code = body.code.empty() ? body.type : body.code;
    const bool empty = std::find(kSayNothing.begin(), kSayNothing.end(), code) != kSayNothing.end();
    return empty ? std::string() : scrub(code, 128);
}

Outcome judge(const ErrorBody& body, const ReplyFacts& reply, Wall now) {
    const int status = reply.status >= 400 ? reply.status : body.status;
    const Facts facts{status,
                      body,
                      reply,
                      prefix_of(body.code),
                      prefix_of(body.type),
                      lower(std::string_view(body.message).substr(0, 4096))};
    Outcome out;
    out.cause = cause_of(facts, out);
    out.status = reply.status >= 400 || body.status == 0 ? reply.status : body.status;
    out.code = shown_code(body);
    out.message = scrub(body.message);
    out.retry_after = retry_after_of(reply, body, now);
    if (is_quota(out.cause)) {
        out.resets_at = stated_reset(out.cause, read_quota_headers(reply.headers), now);
        out.resets_at = out.resets_at ? out.resets_at : body.resets_at;
        if (!out.resets_at && out.retry_after && out.retry_after->count() > 0) {
            out.resets_at = now + *out.retry_after;
        }
    }
    out.possible_duplicate = out.cause == Cause::timeout;
    return out;
}

Outcome malformed(int status, std::string message) {
    Outcome out;
    out.cause = Cause::malformed;
    out.status = status;
    out.message = std::move(message);
    return out;
}

// {"prompt_filter_results":[{"content_filter_results":{"hate":{"filtered":true}}}]} together with
// finish_reason "content_filter": the prompt was refused although the status is 200.
bool prompt_filtered(const json::Value& reply) {
    const bool stopped = std::any_of(
        reply["choices"].items().begin(), reply["choices"].items().end(),
        [](const json::Value& c) { return c["finish_reason"].as_string() == "content_filter"; });
    if (!stopped) {
        return false;
    }
    for (const json::Value& prompt : reply["prompt_filter_results"].items()) {
        for (const json::Member& kind : prompt["content_filter_results"].members()) {
            if (kind.value["filtered"].as_bool()) {
                return true;
            }
        }
    }
    return false;
}

// The error of a choice that ended with finish_reason "error" (with its object, where there is
// one).
const json::Value* failed_choice(const json::Value& reply) {
    for (const json::Value& choice : reply["choices"].items()) {
        if (choice["finish_reason"].as_string() == "error" || choice["error"].is_object()) {
            return &choice;
        }
    }
    return nullptr;
}

bool is_answer(const json::Value& value) {
    return value.has("choices") || value.has("delta") || value.has("output") ||
           value.has("content") || value.has("data") || value.has("embeddings") ||
           value.has("object") || value.has("id");
}

bool is_error_object(const json::Value& value) {
    const json::Value& error = value["error"];
    if ((error.is_object() && error.size() > 0) ||
        (error.is_string() && !error.as_string().empty())) {
        return true;
    }
    const std::string_view type = value["type"].as_string();
    // Anthropic's and CAPI's error event sometimes comes without its type.
    const bool bare = !value.has("type") && value["message"].is_string() && !is_answer(value);
    return type == "error" || bare;
}

// What is wrong with a JSON document that came with a 200; nullopt when nothing is.
std::optional<Outcome> fault_in(const json::Value& value, const ReplyFacts& reply, Wall now) {
    const json::Value& response = value["response"].is_object() ? value["response"] : value;
    if (value["type"].as_string() == "response.failed" ||
        response["status"].as_string() == "failed") {
        json::Value wrapped = json::Value::object({{"error", response["error"]}});
        return judge(read_error_value(wrapped, now), reply, now);
    }
    if (value["type"].as_string() == "response.cancelled") {
        Outcome out;
        out.cause = Cause::server_error;
        out.status = reply.status;
        out.message = "The upstream cancelled the response.";
        return out;
    }
    if (is_error_object(value)) {
        return judge(read_error_value(value, now), reply, now);
    }
    if (const json::Value* choice = failed_choice(value)) {
        return judge(read_error_value(*choice, now), reply, now);
    }
    if (prompt_filtered(value)) {
        Outcome out;
        out.cause = Cause::content_refused;
        out.status = reply.status;
        out.code = "content_filter";
        out.message = "The prompt was stopped by the upstream's content filter.";
        return out;
    }
    return std::nullopt;
}

// The first failing event of an event stream's opening bytes.
Outcome classify_stream(std::string_view body, int status, Wall now) {
    while (!body.empty()) {
        const size_t end = body.find('\n');
        const std::string_view line = trim(body.substr(0, end));
        const bool cut = end == std::string_view::npos;
        body = cut ? std::string_view() : body.substr(end + 1);
        if (line.rfind("data:", 0) != 0) {
            continue;
        }
        Outcome out = classify_event(line.substr(5), now);
        const bool half = cut && out.cause == Cause::malformed;  // the rest was not kept
        if (out.cause != Cause::success && !half) {
            out.status = out.status ? out.status : status;
            return out;
        }
    }
    Outcome fine;
    fine.status = status;
    return fine;
}

Outcome classify_success(const ReplyFacts& reply, Wall now) {
    const std::string_view body = trim(reply.body);
    if (body.empty()) {
        return malformed(reply.status, "The upstream answered with an empty body.");
    }
    for (const std::string_view field : {"data:", "event:", "id:", "retry:", ":"}) {
        if (body.rfind(field, 0) == 0) {
            return classify_stream(body, reply.status, now);
        }
    }
    if (body[0] != '{' && body[0] != '[') {
        const ErrorBody page = read_error_body(body, now);
        return malformed(reply.status, page.shape == BodyShape::html
                                           ? "The upstream answered with an HTML page: " +
                                                 scrub(page.message, 200)
                                           : "The upstream answered with text instead of JSON.");
    }
    Outcome fine;
    fine.status = reply.status;
    const auto value = json::parse(body);
    if (!value.ok()) {
        // The first 64 KiB of a long answer, or an answer that a client may like better than we do.
        const bool whole = body.back() == '}' || body.back() == ']';
        return whole || reply.body.size() >= 60'000
                   ? fine
                   : malformed(reply.status, "The upstream's answer ends in the middle.");
    }
    if (value->size() == 0) {
        return malformed(reply.status, "The upstream answered with an empty document.");
    }
    return fault_in(*value, reply, now).value_or(fine);
}

}  // namespace

Outcome classify(const ReplyFacts& reply, Wall now) {
    if (is_impossible(reply.status)) {
        return malformed(reply.status, "The upstream answered with status " +
                                           std::to_string(reply.status) + ", which is no answer.");
    }
    if (reply.status < 400) {
        return classify_success(reply, now);
    }
    return judge(read_error_body(reply.body, now), reply, now);
}

Outcome classify_event(std::string_view data, Wall now) {
    const std::string_view text = trim(data);
    Outcome out;
    out.in_stream = true;
    if (text.empty() || text == "[DONE]") {
        return out;
    }
    const auto value = json::parse(text);
    if (!value.ok() || !value->is_object()) {
        out = malformed(0, "The upstream sent an event that is not JSON.");
        out.in_stream = true;
        return out;
    }
    if (auto fault = fault_in(*value, ReplyFacts{}, now)) {
        out = std::move(*fault);
        out.in_stream = true;
        // The upstream had begun to work: it may bill this.
        out.possible_duplicate = true;
    }
    return out;
}

}  // namespace belay::routing
