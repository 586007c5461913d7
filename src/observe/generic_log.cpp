#include "observe/generic_log.h"

#include "base/log.h"
#include "wire/json.h"

namespace belay::observe {
namespace {

using json::Value;

Value text_or_null(std::string_view text) { return text.empty() ? Value() : Value(text); }

// LiteLLM gives unix seconds with a fraction.
Value moment(int64_t ms, int64_t us) {
    return static_cast<double>(ms) / 1e3 + static_cast<double>(us) / 1e6;
}

Value dollars(NanoCredits amount) { return json::Number{render_usd(amount)}; }

Value usage_object(const chat::Usage& usage) {
    return Value::object({{"prompt_tokens", Value(usage.prompt())},
                          {"completion_tokens", Value(usage.output)},
                          {"total_tokens", Value(usage.total())},
                          {"cache_read_input_tokens", Value(usage.cache_read)},
                          {"cache_creation_input_tokens", Value(usage.cache_write)},
                          {"reasoning_tokens", Value(usage.reasoning)}});
}

Value caller(const ledger::SpendRecord& r, const Names& names, bool hide) {
    Value m = Value::object();
    const auto say = [&](std::string_view name, std::string_view value) {
        m.set(name, hide ? Value() : text_or_null(value));
    };
    say("user_api_key_hash", r.key_fingerprint);
    say("user_api_key_alias", r.key_alias);
    say("user_api_key_team_id", r.team);
    say("user_api_key_team_alias",
        names.team_alias && !r.team.empty() ? names.team_alias(r.team) : std::string());
    say("user_api_key_org_id", r.organization);
    say("user_api_key_user_id", r.user);
    say("user_api_key_user_email",
        names.user_email && !r.user.empty() ? names.user_email(r.user) : std::string());
    say("user_api_key_end_user_id", r.end_user);
    m.set("requester_ip_address", Value());
    m.set("applied_guardrails", Value::array());
    m.set("usage_object", usage_object(r.usage));
    m.set("user_agent", text_or_null(r.user_agent));
    m.set("attempted_retries", r.attempted_retries);
    m.set("attempted_fallbacks", r.attempted_fallbacks);
    m.set("fallback_reason", text_or_null(r.fallback_reason));
    return m;
}

Value attempts(const ledger::Trace& trace, const ledger::SpendRecord& r) {
    Value list = Value::array();
    for (const auto& a : trace.attempts) {
        const bool own = a.deployment_id.empty();
        list.push(Value::object({{"model_group", Value(own ? r.model_group : a.group)},
                                 {"model_id", Value(own ? r.deployment_id : a.deployment_id)},
                                 {"model", Value(own ? r.upstream_model : a.model)},
                                 {"cause", Value(a.cause)},
                                 {"status", Value(a.status)},
                                 {"start_ms", Value(static_cast<double>(a.start_us) / 1e3)},
                                 {"end_ms", Value(static_cast<double>(a.end_us) / 1e3)}}));
    }
    return list;
}

}  // namespace

std::string render_log(const Heard& heard, const Names& names, bool hide_keys) {
    const ledger::SpendRecord& r = heard.entry.record;
    const bool good = r.status == ledger::Status::success;
    const std::string error = log::scrub(r.error_message);
    Value v = Value::object();
    v.set("id", r.request_id);
    v.set("trace_id", r.session_id.empty() ? r.request_id : r.session_id);
    v.set("call_type", ledger::call_type_name(r.call_type));
    v.set("stream", r.stream);
    v.set("response_cost", dollars(r.cost));
    v.set("cost_source", chat::cost_source_name(r.cost_source));
    v.set("status", good ? "success" : "failure");
    v.set("status_fields", Value::object({{"llm_api_status", Value(good ? "success" : "failure")},
                                          {"guardrail_status", "not_run"}}));
    v.set("total_tokens", r.usage.total());
    v.set("prompt_tokens", r.usage.prompt());
    v.set("completion_tokens", r.usage.output);
    v.set("startTime", moment(r.received_ms, 0));
    v.set("endTime", moment(r.received_ms, r.total_us));
    v.set("completionStartTime",
          moment(r.received_ms, r.first_token_us != 0 ? r.first_token_us : r.total_us));
    v.set("response_time", static_cast<double>(r.total_us) / 1e6);
    v.set("model", r.upstream_model.empty() ? r.asked : r.upstream_model);
    v.set("requested_model", r.asked);
    v.set("model_id", text_or_null(r.deployment_id));
    v.set("model_group", text_or_null(r.model_group));
    v.set("custom_llm_provider", text_or_null(r.provider));
    v.set("api_base", r.api_base);
    v.set("metadata", caller(r, names, hide_keys));
    v.set("cache_hit", r.cache_hit);
    v.set("cache_key", Value());
    v.set("saved_cache_cost", 0);
    Value tags = Value::array();
    for (const auto& tag : r.tags) {
        tags.push(tag);
    }
    v.set("request_tags", std::move(tags));
    v.set("end_user", hide_keys ? Value() : Value(r.end_user));
    v.set("requester_ip_address", Value());
    v.set("messages", Value());
    v.set("response", Value());
    v.set("error_str", good ? Value() : Value(error));
    v.set("error_information",
          good ? Value()
               : Value::object({{"error_code", Value(std::to_string(r.http_status))},
                                {"error_class", Value(exception_class(r))},
                                {"llm_provider", Value(r.provider)},
                                {"error_message", Value(error)},
                                {"traceback", ""}}));
    v.set("model_parameters", Value::object({{"stream", Value(r.stream)}}));
    v.set("hidden_params",
          Value::object({{"model_id", text_or_null(r.deployment_id)},
                         {"api_base", Value(r.api_base)},
                         {"response_cost", dollars(r.cost)},
                         {"litellm_overhead_time_ms", Value(static_cast<double>(r.queue_us) / 1e3)},
                         {"upstream_request_id", text_or_null(r.upstream_request_id)}}));
    v.set("attempts", attempts(heard.entry.trace, r));
    return json::dump(v);
}

}  // namespace belay::observe
