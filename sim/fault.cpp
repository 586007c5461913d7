#include "sim/fault.h"

#include <algorithm>

#include "sim/fields.h"

namespace belay::sim {
namespace {

struct HttpRow {
    std::string_view name;
    int status;
    ErrorBody body;
    std::string_view code;
    std::string_view message;
    std::string_view type = {};
    std::string_view param = {};
    std::string_view header = {};  // one extra header, "name: value"
    bool empties_quota = false;
};

constexpr std::string_view kInvalid = "invalid_request_error";
constexpr std::string_view kTerms =
    "access to this endpoint is forbidden. Please review our Terms of Service";
constexpr std::string_view kRateLimit =
    "Sorry, you've hit a rate limit that restricts the number of Copilot model requests you can "
    "make "
    "within a specific time period. Please try again later.";
constexpr std::string_view kHtml =
    "<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad "
    "Gateway</h1></body></html>\n";

// Every row of the error matrix that public clients and issue threads report.
constexpr HttpRow kHttpRows[] = {
    // 400
    {"model_not_supported", 400, ErrorBody::json, "model_not_supported",
     "The requested model is not supported.", kInvalid, "model"},
    {"unsupported_api_for_model", 400, ErrorBody::json, "unsupported_api_for_model",
     "model is not accessible via the /chat/completions endpoint"},
    {"no_available_model_endpoints", 400, ErrorBody::json, "no_available_model_endpoints",
     "no endpoints available for this model under your current plan and policies"},
    {"model_not_available_for_session", 400, ErrorBody::json, "",
     "Requested model not available for session"},
    {"model_max_prompt_tokens_exceeded", 400, ErrorBody::json, "model_max_prompt_tokens_exceeded",
     "prompt token count of 130431 exceeds the limit of 128000"},
    {"prompt_is_too_long", 400, ErrorBody::json, "invalid_request_body",
     "prompt is too long: 208598 tokens > 200000 maximum"},
    {"responses_prompt_too_long", 400, ErrorBody::json, "invalid_request_body",
     "Your input exceeds the context window of this model. Please adjust your input and try "
     "again."},
    {"context_length_exceeded", 400, ErrorBody::json, "context_length_exceeded",
     "Your input exceeds the context window of this model."},
    {"request_body_too_large_for_context", 400, ErrorBody::json, "invalid_request_body",
     "Request body is too large for model context window"},
    {"invalid_request_body", 400, ErrorBody::json, "invalid_request_body", "invalid request body"},
    {"unsupported_parameter", 400, ErrorBody::json, "invalid_request_body",
     "Unsupported parameter: 'top_p' is not supported with this model."},
    {"unsupported_max_tokens", 400, ErrorBody::json, "invalid_request_body",
     "Unsupported parameter: 'max_tokens' is not supported with this model. Use "
     "'max_completion_tokens' instead."},
    {"unknown_parameter", 400, ErrorBody::json, "invalid_request_body",
     "Unknown parameter: 'input[0].internal_chat_message_metadata_passthrough'."},
    {"unsupported_value", 400, ErrorBody::json, "unsupported_value",
     "The requested tool image_generation is not supported.", kInvalid, "tools"},
    {"previous_response_not_found", 400, ErrorBody::json, "previous_response_not_found",
     "Previous response with id 'resp_1' not found.", kInvalid, "previous_response_id"},
    {"missing_vision_header", 400, ErrorBody::json, "",
     "missing required Copilot-Vision-Request header for vision requests"},
    {"too_many_tools", 400, ErrorBody::json, "invalid_request_body",
     "You may not include more than 128 tools in your request."},
    {"rate_limited_400", 400, ErrorBody::json, "rate_limited", kRateLimit},
    {"invalid_reasoning_effort", 400, ErrorBody::json, "invalid_reasoning_effort",
     "reasoning effort is not supported by this model"},
    {"unsupported_beta_header", 400, ErrorBody::json, "invalid_request_body",
     "unsupported beta header(s): advisor-tool-2026-03-01"},
    {"cyber_policy", 400, ErrorBody::json, "cyber_policy",
     "This request was flagged by our cyber safety policy."},
    {"failed_precondition", 400, ErrorBody::text, "",
     "FAILED_PRECONDITION: structured outputs are not allowed by the organization policy"},
    {"off_topic", 400, ErrorBody::json, "off_topic", "off topic"},
    {"missing_editor_version", 400, ErrorBody::text, "",
     "bad request: missing Editor-Version header for IDE auth\n"},
    {"unknown_integration_id", 400, ErrorBody::text, "",
     "bad request: unknown Copilot-Integration-Id\n"},
    {"invalid_signature", 400, ErrorBody::json, "invalid_request_body",
     "messages.1.content.0: Invalid signature in thinking block"},
    {"extra_inputs", 400, ErrorBody::json, "invalid_request_body",
     "context_management: Extra inputs are not permitted"},
    {"bad_request_text", 400, ErrorBody::text, "", "Bad Request\n"},
    {"empty_400", 400, ErrorBody::empty, "", ""},
    // 401
    {"token_expired", 401, ErrorBody::text, "", "unauthorized: token expired\n"},
    {"ide_token_expired", 401, ErrorBody::text, "",
     "IDE token expired: unauthorized: token expired\n"},
    {"bad_credentials", 401, ErrorBody::rest, "", "Bad credentials"},
    {"input_item_id", 401, ErrorBody::json, "", "input item ID does not belong to this connection"},
    {"agent_unauthorized", 401, ErrorBody::html, "",
     R"({"authorize_url":"https://github.com/login/oauth/authorize?client_id=agent"})"},
    // 402
    {"quota_exceeded",
     402,
     ErrorBody::json,
     "quota_exceeded",
     "You have no quota",
     {},
     {},
     "retry-after: 432000",
     true},
    {"free_quota_exceeded",
     402,
     ErrorBody::json,
     "free_quota_exceeded",
     "You have exceeded your free request limit",
     {},
     {},
     "retry-after: 432000",
     true},
    {"overage_limit_reached",
     402,
     ErrorBody::json,
     "overage_limit_reached",
     "You have reached your overage limit",
     {},
     {},
     {},
     true},
    {"additional_spend_limit_reached",
     402,
     ErrorBody::json,
     "additional_spend_limit_reached",
     "You have reached your additional spend limit",
     {},
     {},
     {},
     true},
    {"billing_not_configured",
     402,
     ErrorBody::json,
     "billing_not_configured",
     "Billing is not configured for this organization",
     {},
     {},
     {},
     true},
    {"session_quota_exceeded",
     402,
     ErrorBody::json,
     "session_quota_exceeded",
     "You have exceeded your session quota",
     {},
     {},
     "retry-after: 7200"},
    {"quota_exceeded_text", 402, ErrorBody::text, "", "quota exceeded\n", {}, {}, {}, true},
    // 403
    {"access_forbidden", 403, ErrorBody::text, "", "access to this endpoint is forbidden\n"},
    {"access_forbidden_terms", 403, ErrorBody::text, "", kTerms},
    {"tpm_forbidden",
     403,
     ErrorBody::text,
     "",
     "access to this endpoint is forbidden\n",
     {},
     {},
     "x-endpoint-client-forbidden: tpm:claude-opus-4.6:clientID:Iv1.b507a08c87ecfe98"},
    {"forbidden_text", 403, ErrorBody::text, "", "Forbidden"},
    {"token_invalid_403", 403, ErrorBody::json, "invalid_token", "token is invalid"},
    {"token_expired_403", 403, ErrorBody::json, "expired_token", "token has expired"},
    {"forbidden", 403, ErrorBody::json, "forbidden", "Forbidden"},
    {"token_usage_403", 403, ErrorBody::json, "",
     "Sorry, you have exceeded your Copilot token usage. Please review our Terms of Service."},
    // 404 to 466
    {"not_found", 404, ErrorBody::json, "not_found", "not found"},
    {"not_found_text", 404, ErrorBody::text, "", "404 page not found\n"},
    {"request_timeout", 408, ErrorBody::text, "", "Request Timeout\n"},
    {"request_too_large", 413, ErrorBody::text, "", "Request Entity Too Large"},
    {"misdirected", 421, ErrorBody::text, "", "Misdirected Request\n"},
    {"content_filtered", 422, ErrorBody::json, "content_filter",
     "The prompt was filtered by the responsible AI service."},
    {"failed_dependency", 424, ErrorBody::text, "", "failed dependency\n"},
    {"api_version_retired", 466, ErrorBody::text, "",
     "bad request: the specified API version is no longer supported. You may need to update your "
     "client to a newer version.\n"},
    {"api_version_retired_json", 466, ErrorBody::json, "",
     "bad request: the specified API version is no longer supported. You may need to update your "
     "client to a newer version.",
     "error"},
    // 429
    {"rate_limited", 429, ErrorBody::json, "rate_limited", kRateLimit, {}, {}, "retry-after: 20"},
    {"rate_limit_text",
     429,
     ErrorBody::text,
     "",
     "rate limit exceeded\n",
     {},
     {},
     "retry-after: 20"},
    {"user_model_rate_limited",
     429,
     ErrorBody::json,
     "user_model_rate_limited",
     kRateLimit,
     {},
     {},
     "retry-after: 60"},
    {"user_global_rate_limited",
     429,
     ErrorBody::json,
     "user_global_rate_limited:pro_plus",
     kRateLimit,
     {},
     {},
     "retry-after: 300"},
    {"user_weekly_rate_limited",
     429,
     ErrorBody::json,
     "user_weekly_rate_limited",
     "Sorry, you've exceeded your weekly rate limit.",
     {},
     {},
     "retry-after: 259200"},
    {"integration_rate_limited",
     429,
     ErrorBody::json,
     "integration_rate_limited",
     kRateLimit,
     {},
     {},
     "retry-after: 30"},
    {"model_overloaded",
     429,
     ErrorBody::json,
     "model_overloaded",
     "The model is currently overloaded. Please try again.",
     {},
     {},
     "retry-after: 1"},
    {"upstream_provider_rate_limit",
     429,
     ErrorBody::json,
     "upstream_provider_rate_limit",
     "Sorry, the upstream model provider is currently experiencing high demand.",
     {},
     {},
     "retry-after: 5"},
    {"agent_mode_limit_exceeded",
     429,
     ErrorBody::json,
     "agent_mode_limit_exceeded",
     "You have exceeded your agent mode limit",
     {},
     {},
     "retry-after: 3600"},
    {"extension_blocked",
     429,
     ErrorBody::json,
     "extension_blocked",
     kRateLimit,
     "rate_limit_error",
     {},
     "retry-after: 120"},
    {"token_usage_exceeded", 429, ErrorBody::json, "rate_limited",
     "Sorry, you have exceeded your Copilot token usage. Please review our Terms of Service."},
    // 5xx
    {"internal_error", 500, ErrorBody::text, "", "Internal Server Error\n"},
    {"internal_error_json", 500, ErrorBody::json, "internal_error", "internal server error"},
    {"bad_gateway", 502, ErrorBody::html, "", kHtml},
    {"service_unavailable", 503, ErrorBody::json, "service_unavailable", "Service Unavailable"},
    {"goaway_503", 503, ErrorBody::json, "", "HTTP/2 GOAWAY connection terminated",
     "connection_error"},
    {"gateway_timeout", 504, ErrorBody::text, "", "stream timeout\n"},
    {"overloaded_error", 529, ErrorBody::anthropic, "overloaded_error", "Overloaded"},
    // success that is none
    {"html_200", 200, ErrorBody::html, "",
     "<!DOCTYPE html><html><body>Please sign in to the network.</body></html>\n"},
    {"empty_200", 200, ErrorBody::empty, "", ""},
    {"error_200", 200, ErrorBody::json, "internal_error", "internal server error"},
};

struct StreamRow {
    std::string_view name;
    std::string_view like;  // an http row
    When when;
};

constexpr StreamRow kStreamRows[] = {
    {"in_stream_quota", "quota_exceeded", When::handshake},
    {"in_stream_session_quota", "session_quota_exceeded", When::handshake},
    {"in_stream_rate_limit", "rate_limited", When::handshake},
    {"in_stream_weekly_limit", "user_weekly_rate_limited", When::handshake},
    {"in_stream_overloaded", "overloaded_error", When::handshake},
    {"in_stream_model_not_supported", "model_not_supported", When::handshake},
    {"in_stream_too_long", "model_max_prompt_tokens_exceeded", When::handshake},
    {"in_stream_content_filter", "content_filtered", When::handshake},
    {"in_stream_cyber_policy", "cyber_policy", When::handshake},
    {"in_stream_internal", "internal_error_json", When::handshake},
    {"late_quota", "quota_exceeded", When::content},
    {"late_rate_limit", "rate_limited", When::content},
    {"late_overloaded", "overloaded_error", When::content},
    {"late_internal", "internal_error_json", When::content},
    {"error_after_finish", "internal_error_json", When::finish},
};

struct WireRow {
    std::string_view name;
    Wire wire;
    int delay_ms;
};

constexpr WireRow kWireRows[] = {
    {"drop_before_headers", Wire::drop_before_headers, 0},
    {"reset_before_headers", Wire::reset_before_headers, 0},
    {"stall_before_headers", Wire::stall_before_headers, 0},
    {"cut_after_headers", Wire::cut_after_headers, 0},
    {"stall_after_headers", Wire::stall_after_headers, 0},
    {"cut_after_handshake", Wire::cut_after_handshake, 0},
    {"stall", Wire::stall_after_handshake, 0},
    {"reset_after_handshake", Wire::reset_after_handshake, 0},
    {"cut_mid_sse", Wire::cut_mid_sse, 0},
    {"cut_mid_utf8", Wire::cut_mid_utf8, 0},
    {"cut_after_content", Wire::cut_after_content, 0},
    {"reset_after_content", Wire::reset_after_content, 0},
    {"stall_after_content", Wire::stall_after_content, 0},
    {"cut_after_finish", Wire::cut_after_finish, 0},
    {"truncate_body", Wire::truncate_body, 0},
    {"slow", Wire::slow, 200},
    {"slow_headers", Wire::slow_headers, 2000},
    {"idle_gap", Wire::idle_gap, 5000},
    {"one_byte_writes", Wire::one_byte_writes, 0},
    {"crlf", Wire::crlf, 0},
    {"multi_data", Wire::multi_data, 0},
    {"long_line", Wire::long_line, 0},
    {"comments", Wire::comments, 0},
    {"bom", Wire::bom, 0},
    {"gzip", Wire::gzip, 0},
    {"no_content_type", Wire::no_content_type, 0},
};

Fault from_row(const HttpRow& row) {
    Fault f;
    f.name = row.name;
    f.kind = FaultKind::http;
    f.status = row.status;
    f.body = row.body;
    f.code = row.code;
    f.message = row.message;
    f.type = row.type;
    f.param = row.param;
    f.empties_quota = row.empties_quota;
    if (const size_t colon = row.header.find(": "); colon != std::string_view::npos) {
        f.headers.push_back(
            {std::string(row.header.substr(0, colon)), std::string(row.header.substr(colon + 2))});
    }
    return f;
}

std::optional<Fault> find_http(std::string_view name) {
    for (const HttpRow& row : kHttpRows) {
        if (row.name == name) {
            return from_row(row);
        }
    }
    return std::nullopt;
}

bool matches(std::string_view pattern, std::string_view text) {
    if (!pattern.empty() && pattern.back() == '*') {
        return text.starts_with(pattern.substr(0, pattern.size() - 1));
    }
    return pattern == text;
}

bool hits(const FaultRule& rule, const FaultSite& site) {
    return (rule.path.empty() ? site.model_call : matches(rule.path, site.path)) &&
           (rule.model.empty() || matches(rule.model, site.model)) &&
           (rule.account.empty() || rule.account == site.account) &&
           (!rule.stream || *rule.stream == site.stream);
}

// Changes of a named fault by members of its rule.
void read_overrides(Fields& f, Fault& fault) {
    int64_t status = fault.status;
    int64_t delay = fault.delay.count();
    std::string when;
    std::string body;
    f.integer("status", status);
    f.text("code", fault.code);
    f.text("message", fault.message);
    f.text("type", fault.type);
    f.text("param", fault.param);
    f.choice("body", body, {"json", "text", "html", "empty", "rest", "anthropic"});
    f.choice("when", when, {"before", "handshake", "content", "finish"});
    f.choice("stream_shape", fault.stream_shape, {"failed", "error", "untyped"});
    f.integer("delay_ms", delay);
    f.integer("at", fault.at);
    f.integer("bytes", fault.bytes);
    fault.status = static_cast<int>(std::clamp<int64_t>(status, 100, 599));
    fault.delay = milliseconds(std::min<int64_t>(delay, 3'600'000));
    fault.bytes = std::min<int64_t>(fault.bytes, 64 << 20);
    if (!when.empty()) {
        fault.when = when == "handshake" ? When::handshake
                     : when == "content" ? When::content
                     : when == "finish"  ? When::finish
                                         : When::before;
    }
    if (!body.empty()) {
        fault.body = body == "text"        ? ErrorBody::text
                     : body == "html"      ? ErrorBody::html
                     : body == "empty"     ? ErrorBody::empty
                     : body == "rest"      ? ErrorBody::rest
                     : body == "anthropic" ? ErrorBody::anthropic
                                           : ErrorBody::json;
    }
    if (const json::Value* v = f.any("retry_after")) {
        std::erase_if(fault.headers, [](const Header& h) { return h.name == "retry-after"; });
        if (v->is_string() || v->is_number()) {
            fault.headers.push_back(
                {"retry-after", std::string(v->is_string() ? v->as_string() : v->number_text())});
        }
    }
    if (const json::Value* v = f.any("headers")) {
        for (const auto& member : v->members()) {
            set_header(fault.headers, member.key, member.value.as_string());
        }
    }
}

json::Value error_object(const Fault& fault) {
    json::Value e = json::Value::object({{"message", fault.message}, {"code", fault.code}});
    if (!fault.param.empty()) {
        e.set("param", fault.param);
    }
    if (!fault.type.empty()) {
        e.set("type", fault.type);
    }
    return json::Value::object({{"error", std::move(e)}});
}

std::string error_body(const Fault& fault) {
    switch (fault.body) {
        case ErrorBody::json:
            return json::dump(error_object(fault));
        case ErrorBody::text:
        case ErrorBody::html:
            return fault.message;
        case ErrorBody::empty:
            return {};
        case ErrorBody::rest:
            return json::dump(
                json::Value::object({{"message", fault.message},
                                     {"documentation_url", "https://docs.github.com/rest"},
                                     {"status", std::to_string(fault.status)}}));
        case ErrorBody::anthropic:
            return json::dump(json::Value::object(
                {{"type", "error"},
                 {"error",
                  json::Value::object({{"type", fault.code}, {"message", fault.message}})}}));
    }
    return {};
}

}  // namespace

std::optional<Fault> find_fault(std::string_view name) {
    if (auto f = find_http(name)) {
        return f;
    }
    for (const StreamRow& row : kStreamRows) {
        if (row.name == name) {
            auto f = find_http(row.like);
            f->name = row.name;
            f->when = row.when;
            return f;
        }
    }
    for (const WireRow& row : kWireRows) {
        if (row.name == name) {
            Fault f;
            f.name = row.name;
            f.kind = FaultKind::wire;
            f.wire = row.wire;
            f.delay = milliseconds(row.delay_ms);
            return f;
        }
    }
    if (const auto quirk = find_quirk(name)) {
        Fault f;
        f.name = name;
        f.kind = FaultKind::quirk;
        f.quirk = quirk;
        return f;
    }
    return std::nullopt;
}

std::vector<std::string_view> fault_names() {
    std::vector<std::string_view> names;
    for (const HttpRow& row : kHttpRows) {
        names.push_back(row.name);
    }
    for (const StreamRow& row : kStreamRows) {
        names.push_back(row.name);
    }
    for (const WireRow& row : kWireRows) {
        names.push_back(row.name);
    }
    for (const auto name : quirk_names()) {
        names.push_back(name);
    }
    return names;
}

std::vector<Fault> draw_faults(std::vector<FaultRule>& rules, const FaultSite& site,
                               Random& random) {
    std::vector<Fault> drawn;
    for (FaultRule& rule : rules) {
        if (!hits(rule, site)) {
            continue;
        }
        ++rule.seen;
        if ((rule.nth != 0 && rule.seen != rule.nth) || rule.seen < rule.from ||
            (rule.count != 0 && rule.fired >= rule.count) ||
            (rule.probability < 1 && random.unit() >= rule.probability)) {
            continue;
        }
        ++rule.fired;
        drawn.push_back(rule.fault);
    }
    return drawn;
}

Result<FaultRule> parse_fault_rule(const json::Value& value, const std::string& where) {
    FaultRule rule;
    Fields f(value, where);
    std::string name;
    f.text("fault", name);
    if (auto found = find_fault(name)) {
        rule.fault = std::move(*found);
    } else if (name.empty() && value.has("status")) {
        rule.fault.name = "custom";
    } else {
        f.fail("fault", "\"" + name + "\" is no fault; GET /_sim/faults lists them");
    }
    f.text("id", rule.id);
    f.text("path", rule.path);
    f.text("model", rule.model);
    f.text("account", rule.account);
    if (value.has("stream")) {
        bool stream = false;
        f.flag("stream", stream);
        rule.stream = stream;
    }
    f.integer("nth", rule.nth);
    f.integer("from", rule.from);
    f.integer("count", rule.count);
    f.number("probability", rule.probability);
    read_overrides(f, rule.fault);
    TRY(f.finish());
    return rule;
}

Reply render_fault(const Fault& fault, bool json_as_text) {
    Reply r;
    r.status = fault.status;
    r.headers = fault.headers;
    const bool is_html = fault.body == ErrorBody::html && fault.message.starts_with("<");
    const bool is_json = fault.body == ErrorBody::json || fault.body == ErrorBody::rest ||
                         fault.body == ErrorBody::anthropic || fault.message.starts_with("{");
    if (is_html) {
        set_header(r.headers, "content-type", "text/html; charset=utf-8");
    } else if (is_json && !json_as_text) {
        set_header(r.headers, "content-type", "application/json");
    } else if (fault.body != ErrorBody::empty) {
        set_header(r.headers, "content-type", "text/plain; charset=utf-8");
    }
    r.head_delay = fault.delay;
    r.parts.push_back({error_body(fault)});
    return r;
}

}  // namespace belay::sim
