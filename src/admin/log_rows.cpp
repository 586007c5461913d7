#include "admin/log_rows.h"

#include <algorithm>

namespace belay::admin {
namespace {

Value utc(int64_t ms) { return render_utc(Wall(milliseconds(ms))); }

Value usage_object(const chat::Usage& usage) {
    return Value::object({{"prompt_tokens", Value(usage.prompt())},
                          {"completion_tokens", Value(usage.output)},
                          {"total_tokens", Value(usage.total())},
                          {"prompt_tokens_details",
                           Value::object({{"cached_tokens", Value(usage.cache_read)},
                                          {"cache_creation_tokens", Value(usage.cache_write)}})},
                          {"completion_tokens_details",
                           Value::object({{"reasoning_tokens", Value(usage.reasoning)}})},
                          {"cache_read_input_tokens", Value(usage.cache_read)},
                          {"cache_creation_input_tokens", Value(usage.cache_write)}});
}

constexpr std::string_view kNobody = "default_user_id";

Value text_or_null(std::string_view text) { return text.empty() ? Value() : Value(text); }

Value error_information(const ledger::SpendRecord& r) {
    if (r.status == ledger::Status::success) {
        return {};
    }
    return Value::object(
        {{"error_code", Value(r.http_status == 0 ? r.error_code : std::to_string(r.http_status))},
         {"error_class", Value(r.error_kind ? kind_name(*r.error_kind) : std::string_view())},
         {"llm_provider", Value(r.provider)},
         {"error_message", Value(r.error_message)},
         {"traceback", ""}});
}

Value metadata(const ledger::SpendRecord& r) {
    Value m = Value::object();
    m.set("user_api_key", r.key_fingerprint);
    m.set("user_api_key_alias", text_or_null(r.key_alias));
    m.set("user_api_key_team_id", text_or_null(r.team));
    m.set("user_api_key_org_id", text_or_null(r.organization));
    m.set("user_api_key_user_id", text_or_null(r.user));
    m.set("status", r.status == ledger::Status::success ? "success" : "failure");
    m.set("error_information", error_information(r));
    m.set("usage_object", usage_object(r.usage));
    m.set("additional_usage_values", Value::object());
    m.set("cost_source", chat::cost_source_name(r.cost_source));
    m.set("premium_requests", static_cast<double>(r.premium_milli) / 1000.0);
    m.set("user_agent", text_or_null(r.user_agent));
    m.set("attempted_retries", r.attempted_retries);
    m.set("attempted_fallbacks", r.attempted_fallbacks);
    m.set("fallback_reason", text_or_null(r.fallback_reason));
    m.set("asked_model", r.asked);
    m.set("upstream_request_id", text_or_null(r.upstream_request_id));
    m.set("copilot_account", text_or_null(r.shown_account()));
    m.set("usage_estimated", r.usage_estimated);
    m.set("litellm_overhead_time_ms", static_cast<double>(r.queue_us) / 1000.0);
    return m;
}

}  // namespace

Value log_row(const ledger::Entry& entry) {
    const ledger::SpendRecord& r = entry.record;
    Value row = Value::object();
    row.set("request_id", r.request_id);
    row.set("call_type", ledger::call_type_name(r.call_type));
    row.set("api_key", r.key_fingerprint);
    row.set("spend", usd(r.cost));
    row.set("total_tokens", r.usage.total());
    row.set("prompt_tokens", r.usage.prompt());
    row.set("completion_tokens", r.usage.output);
    row.set("startTime", utc(r.received_ms));
    row.set("endTime", utc(r.received_ms + r.total_us / 1000));
    row.set("completionStartTime",
            r.first_token_us == 0 ? Value() : utc(r.received_ms + r.first_token_us / 1000));
    row.set("request_duration_ms", r.total_us / 1000);
    row.set("model", r.upstream_model.empty() ? r.asked : r.upstream_model);
    row.set("model_id", r.deployment_id);
    row.set("model_group", r.model_group);
    row.set("custom_llm_provider", r.provider);
    row.set("api_base", r.api_base);
    row.set("user", r.user);
    row.set("team_id", text_or_null(r.team));
    row.set("organization_id", text_or_null(r.organization));
    row.set("end_user", r.end_user);
    row.set("cache_hit", r.cache_hit ? "True" : "False");
    row.set("cache_key", "");
    row.set("request_tags", to_list(r.tags));
    row.set("requester_ip_address", Value());
    row.set("messages", Value::object());
    row.set("response", Value::object());
    row.set("proxy_server_request", Value::object());
    row.set("session_id", text_or_null(r.session_id));
    row.set("status", r.status == ledger::Status::success ? "success" : "failure");
    row.set("mcp_namespaced_tool_name", Value());
    row.set("litellm_call_id", r.request_id);
    row.set("metadata", metadata(r));
    return row;
}

Value prompt_parts(const Call& call, const ledger::SpendRecord& r) {
    Value parts = Value::object({{"messages", Value::object()},
                                 {"response", Value::object()},
                                 {"proxy_server_request", Value::object()}});
    const auto& caller = call.caller;
    // Keys that the master key made without naming anybody have one user in common: nobody's own.
    const bool own = (call.is_self(r.user) && r.user != kNobody) ||
                     (!caller.key_hash.empty() && caller.key_hash == r.key_fingerprint);
    const bool allowed =
        call.is_admin() || own || (call.reads_all() && call.settings->viewers_read_prompts);
    if (!allowed || !call.services.find_payload) {
        return parts;
    }
    const auto found = call.services.find_payload(r.request_id);
    if (!found.ok() || !found->has_value()) {
        return parts;
    }
    auto request = json::parse((*found)->request);
    auto response = json::parse((*found)->response);
    if (request.ok()) {
        const std::string_view texts = request->has("messages") ? "messages" : "input";
        if (request->has(texts)) {
            parts.set("messages", (*request)[texts]);
        }
        parts.set("proxy_server_request", std::move(*request));
    }
    if (response.ok()) {
        parts.set("response", std::move(*response));
    }
    return parts;
}

Value full_log_row(const Call& call, const ledger::Entry& entry) {
    Value row = log_row(entry);
    Value parts = prompt_parts(call, entry.record);
    for (json::Member& part : parts.members()) {
        row.set(part.key, std::move(part.value));
    }
    return row;
}

std::optional<int64_t> parse_moment(std::string_view text) {
    std::string normal(text.substr(0, 40));
    if (normal.size() > 10 && normal[10] == ' ') {
        normal[10] = 'T';
    }
    if (normal.size() >= 19 && normal.find_first_of("Zz+", 19) == std::string::npos &&
        normal.find('-', 19) == std::string::npos) {
        normal += 'Z';
    }
    const Wall at = parse_utc(normal);
    return at == Wall::min() ? std::nullopt : std::optional(unix_millis(at));
}

std::optional<int64_t> parse_end(std::string_view text) {
    const auto at = parse_moment(text);
    return at ? std::optional(*at + (text.size() <= 10 ? kDayMs : 1000)) : std::nullopt;
}

std::string date_of(int64_t ms) { return render_utc(Wall(milliseconds(ms))).substr(0, 10); }

std::string next_date(std::string_view date) {
    return date_of(parse_moment(date).value_or(0) + kDayMs);
}

Result<Dates> asked_dates(const Call& call) {
    const std::string from = call.asked("start_date");
    const std::string until = call.asked("end_date");
    if (from.empty() || until.empty()) {
        return bad_request(in_error("Please provide start_date and end_date"),
                           from.empty() ? "start_date" : "end_date");
    }
    const auto a = parse_moment(from);
    const auto b = parse_moment(until);
    if (!a || !b) {
        return bad_request(in_error("start_date and end_date have the form YYYY-MM-DD"),
                           a ? "end_date" : "start_date");
    }
    if (*b - *a > kMostDays * kDayMs) {
        return bad_request(in_error("a range has at most 3660 days"), "end_date");
    }
    return Dates{date_of(*a), date_of(*b)};
}

Result<Dates> asked_dates_or_month(const Call& call) {
    if (call.asked("start_date").empty() && call.asked("end_date").empty()) {
        return Dates{date_of(call.now_ms - 30 * kDayMs), date_of(call.now_ms)};
    }
    return asked_dates(call);
}

}  // namespace belay::admin
