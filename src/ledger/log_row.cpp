#include "ledger/log_row.h"

#include <algorithm>

#include "base/clock.h"
#include "ledger/text.h"

namespace belay::ledger {

namespace {

int64_t as_ms(int64_t us) { return (us + 500) / 1000; }

void put_text(std::string& out, std::string_view key, std::string_view value) {
    write_key(out, key);
    write_json_text(out, value);
}

// LiteLLM's columns that have nothing to say are null.
void put_text_or_null(std::string& out, std::string_view key, std::string_view value) {
    write_key(out, key);
    if (value.empty()) {
        out += "null";
    } else {
        write_json_text(out, value);
    }
}

void put_number(std::string& out, std::string_view key, int64_t value) {
    write_key(out, key);
    write_number(out, value);
}

void put_raw(std::string& out, std::string_view key, std::string_view json) {
    write_key(out, key);
    out += json;
}

void put_money(std::string& out, std::string_view key, NanoCredits amount) {
    put_raw(out, key, render_usd(amount));
}

std::string_view status_of(const SpendRecord& record) {
    return record.status == Status::success ? "success" : "failure";
}

void put_tags(std::string& out, const std::vector<std::string>& tags) {
    write_key(out, "request_tags");
    out += '[';
    for (const std::string& tag : tags) {
        out += out.back() == '[' ? "" : ",";
        write_json_text(out, tag);
    }
    out += ']';
}

void put_usage(std::string& out, const chat::Usage& usage) {
    write_key(out, "usage_object");
    out += '{';
    put_number(out, "prompt_tokens", usage.prompt());
    put_number(out, "completion_tokens", usage.output);
    put_number(out, "total_tokens", usage.total());
    write_key(out, "prompt_tokens_details");
    out += '{';
    put_number(out, "cached_tokens", usage.cache_read);
    put_number(out, "cache_creation_tokens", usage.cache_write);
    out += '}';
    write_key(out, "completion_tokens_details");
    out += '{';
    put_number(out, "reasoning_tokens", usage.reasoning);
    out += "}}";
    write_key(out, "additional_usage_values");
    out += '{';
    put_number(out, "cache_read_input_tokens", usage.cache_read);
    put_number(out, "cache_creation_input_tokens", usage.cache_write);
    out += '}';
}

void put_error(std::string& out, const SpendRecord& record) {
    write_key(out, "error_information");
    if (record.status == Status::success) {
        out += "null";
        return;
    }
    out += '{';
    // LiteLLM's pages filter by the status as a code; the client's own code stands in the class.
    put_text(out, "error_code", std::to_string(record.http_status));
    put_text(out, "error_class",
             !record.error_code.empty()                ? std::string_view(record.error_code)
             : record.status == Status::client_aborted ? "client_aborted"
             : record.error_kind                       ? kind_name(*record.error_kind)
                                                       : std::string_view("failed"));
    put_text(out, "llm_provider", record.provider);
    put_text(out, "error_message", record.error_message);
    put_text(out, "traceback", "");
    out += '}';
}

// What this gateway knows beyond LiteLLM's columns.
void put_own(std::string& out, const SpendRecord& record) {
    write_key(out, "belay");
    out += '{';
    put_text(out, "status", status_name(record.status));
    put_number(out, "http_status", record.http_status);
    if (record.error_kind) {
        put_text(out, "error_kind", kind_name(*record.error_kind));
    }
    put_text(out, "asked", record.asked);
    put_text(out, "client_api", api_name(record.client_api));
    put_text(out, "upstream_api", api_name(record.api));
    put_raw(out, "stream", record.stream ? "true" : "false");
    put_number(out, "queue_us", record.queue_us);
    put_number(out, "first_byte_us", record.first_byte_us);
    put_number(out, "first_token_us", record.first_token_us);
    put_number(out, "total_us", record.total_us);
    put_text(out, "cost_source", chat::cost_source_name(record.cost_source));
    put_raw(out, "credits", render_credits(record.cost));
    put_raw(out, "premium_requests", render_usd(NanoCredits{record.premium_milli * 100'000'000}));
    put_text(out, "fallback_reason", record.fallback_reason);
    put_text(out, "initiator", initiator_name(record.initiator));
    put_text(out, "upstream_request_id", record.upstream_request_id);
    put_text_or_null(out, "copilot_account", record.shown_account());
    put_raw(out, "usage_estimated", record.usage_estimated ? "true" : "false");
    out += '}';
}

void put_metadata(std::string& out, const Entry& entry) {
    const SpendRecord& record = entry.record;
    write_key(out, "metadata");
    out += '{';
    put_text(out, "user_api_key", record.key_fingerprint);
    put_text_or_null(out, "user_api_key_alias", record.key_alias);
    put_text_or_null(out, "user_api_key_team_id", record.team);
    put_raw(out, "user_api_key_team_alias", "null");
    put_text_or_null(out, "user_api_key_org_id", record.organization);
    put_text_or_null(out, "user_api_key_user_id", record.user);
    put_raw(out, "spend_logs_metadata", "null");
    put_text(out, "requester_ip_address", "");
    put_raw(out, "applied_guardrails", "[]");
    put_raw(out, "guardrail_information", "null");
    put_raw(out, "mcp_tool_call_metadata", "null");
    put_raw(out, "vector_store_request_metadata", "null");
    put_text(out, "status", status_of(record));
    put_error(out, record);
    put_usage(out, record.usage);
    write_key(out, "model_map_information");
    out += '{';
    put_text(out, "model_map_key", record.upstream_model);
    put_raw(out, "model_map_value", "null");
    out += '}';
    put_raw(out, "cold_storage_object_key", "null");
    put_number(out, "litellm_overhead_time_ms", as_ms(record.queue_us));
    write_key(out, "cost_breakdown");
    out += '{';
    put_money(out, "total_cost", record.cost);
    out += '}';
    put_raw(out, "batch_models", "null");
    put_text(out, "user_agent", record.user_agent);
    put_number(out, "attempted_retries", record.attempted_retries);
    put_number(out, "attempted_fallbacks", record.attempted_fallbacks);
    put_own(out, record);
    write_key(out, "trace");
    write_json(out, entry.trace);
    out += '}';
}

}  // namespace

std::string render_time(int64_t unix_ms) {
    return render_utc(Wall(std::chrono::milliseconds(unix_ms)));
}

void write_log_row(std::string& out, const Entry& entry) {
    const SpendRecord& record = entry.record;
    out += '{';
    put_text(out, "request_id", record.request_id);
    put_text(out, "call_type", call_type_name(record.call_type));
    put_text(out, "api_key", record.key_fingerprint);
    put_money(out, "spend", record.cost);
    put_number(out, "total_tokens", record.usage.total());
    put_number(out, "prompt_tokens", record.usage.prompt());
    put_number(out, "completion_tokens", record.usage.output);
    put_text(out, "startTime", render_time(record.received_ms));
    put_text(out, "endTime", render_time(record.received_ms + as_ms(record.total_us)));
    const int64_t first_us = record.first_token_us != 0 ? record.first_token_us : record.total_us;
    put_text(out, "completionStartTime", render_time(record.received_ms + as_ms(first_us)));
    put_number(out, "request_duration_ms", as_ms(record.total_us));
    put_text(out, "model", record.upstream_model.empty() ? record.asked : record.upstream_model);
    put_text(out, "model_id", record.deployment_id);
    put_text(out, "model_group", record.model_group);
    put_text(out, "custom_llm_provider", record.provider);
    put_text(out, "api_base", record.api_base);
    put_text(out, "user", record.user);
    put_text_or_null(out, "team_id", record.team);
    put_text_or_null(out, "organization_id", record.organization);
    put_text(out, "end_user", record.end_user);
    put_raw(out, "agent_id", "null");
    put_text(out, "cache_hit", record.cache_hit ? "True" : "False");
    put_text(out, "cache_key", "");
    put_tags(out, record.tags);
    put_raw(out, "requester_ip_address", "null");
    put_raw(out, "messages", "{}");
    put_raw(out, "response", "{}");
    put_raw(out, "proxy_server_request", "{}");
    put_text_or_null(out, "session_id", record.session_id);
    put_text(out, "status", status_of(record));
    put_raw(out, "mcp_namespaced_tool_name", "null");
    put_text(out, "litellm_call_id", record.request_id);
    put_metadata(out, entry);
    out += '}';
}

}  // namespace belay::ledger
