#include "admin/model_rows.h"

#include <algorithm>
#include <array>
#include <map>
#include <set>

#include "admin/secrets.h"
#include "ledger/price.h"

namespace belay::admin {
namespace {

constexpr std::array kOpenAiParams = {
    "temperature",
    "top_p",
    "n",
    "stream",
    "stream_options",
    "stop",
    "max_tokens",
    "max_completion_tokens",
    "presence_penalty",
    "frequency_penalty",
    "logit_bias",
    "user",
    "response_format",
    "seed",
    "tools",
    "tool_choice",
    "parallel_tool_calls",
    "logprobs",
    "top_logprobs",
    "extra_headers",
    "reasoning_effort",
};

Value openai_params() {
    Value list = Value::array();
    for (const char* param : kOpenAiParams) {
        list.push(Value(param));
    }
    return list;
}

std::string_view mode_name(routing::Mode mode) {
    switch (mode) {
        case routing::Mode::chat:
            return "chat";
        case routing::Mode::completion:
            return "completion";
        case routing::Mode::embedding:
            return "embedding";
        case routing::Mode::responses:
            return "responses";
        case routing::Mode::other:
            break;
    }
    return "other";
}

template <class T>
Value or_null(const std::optional<T>& value) {
    return value ? Value(*value) : Value();
}

void set_prices(Value& info, const std::optional<chat::PriceCard>& price) {
    info.set("input_cost_per_token", price ? usd_per_token(price->input) : Value());
    info.set("output_cost_per_token", price ? usd_per_token(price->output) : Value());
    info.set("cache_read_input_token_cost",
             price && price->cache_read ? usd_per_token(*price->cache_read) : Value());
    info.set("cache_creation_input_token_cost",
             price && price->cache_write ? usd_per_token(*price->cache_write) : Value());
}

// What the price table knows of a model, then what the deployment says itself.
Value facts_of(std::string_view provider, std::string_view model, std::string_view base_model,
               const routing::Deployment* deployment) {
    const auto facts = ledger::find_facts(provider, model, base_model);
    Value info = Value::object();
    info.set("key", model);
    info.set("litellm_provider", provider);
    info.set("mode", facts && !facts->mode.empty()
                         ? Value(facts->mode)
                         : Value(deployment ? mode_name(deployment->mode) : "chat"));
    std::optional<int64_t> in = facts ? facts->max_input_tokens : std::nullopt;
    std::optional<int64_t> out = facts ? facts->max_output_tokens : std::nullopt;
    std::optional<chat::PriceCard> price = facts ? facts->price : std::nullopt;
    if (deployment != nullptr) {
        in = deployment->capabilities.max_input_tokens ? deployment->capabilities.max_input_tokens
                                                       : in;
        out = deployment->capabilities.max_output_tokens
                  ? deployment->capabilities.max_output_tokens
                  : out;
        price = deployment->price ? deployment->price : price;
    }
    info.set("max_tokens", or_null(out));
    info.set("max_input_tokens", or_null(in));
    info.set("max_output_tokens", or_null(out));
    set_prices(info, price);
    const bool known = facts && facts->supports_known;
    const auto says = [&](bool yes) { return known ? Value(yes) : Value(); };
    info.set("supports_vision", says(known && facts->supports_vision));
    info.set("supports_function_calling", says(known && facts->supports_tools));
    info.set("supports_parallel_function_calling", says(known && facts->supports_parallel_tools));
    info.set("supports_reasoning", says(known && facts->supports_reasoning));
    info.set("supports_prompt_caching", says(known && facts->supports_prompt_caching));
    info.set("supports_response_schema", says(known && facts->supports_response_schema));
    info.set("supports_web_search", says(known && facts->supports_web_search));
    info.set("supported_openai_params", openai_params());
    return info;
}

// "provider/model" of litellm_params.model; "openai" when there is no prefix.
std::pair<std::string, std::string> split_model(std::string_view text) {
    const size_t slash = text.find('/');
    if (slash == std::string_view::npos) {
        return {"openai", std::string(text)};
    }
    return {std::string(text.substr(0, slash)), std::string(text.substr(slash + 1))};
}

void overlay(Value& info, const Value& configured) {
    for (const json::Member& member : configured.members()) {
        if (!is_secret_name(member.key)) {
            info.set(member.key, member.value);
        }
    }
}

Value table_row(const Call& call, const routing::Deployment& d) {
    Value params = Value::object();
    params.set("model", d.provider.empty() ? d.model : d.provider + "/" + d.model);
    if (!d.api_base.empty()) {
        params.set("api_base", d.api_base);
    }
    params.set("rpm", or_null(d.rpm));
    params.set("tpm", or_null(d.tpm));
    params.set("tags", to_list(d.tags));
    Value info = facts_of(d.provider, d.model, d.base_model, &d);
    overlay(info, d.model_info);
    info.set("id", d.id);
    info.set("db_model", false);
    Value row = Value::object({{"model_name", Value(d.group)}});
    const Value stored = call.doc(EntityKind::model, d.id);
    if (!stored.is_null()) {
        params = without_secrets(stored["litellm_params"]);
        overlay(info, stored["model_info"]);
        info.set("db_model", true);
        row.set("created_at", stored["created_at"]);
        row.set("updated_at", stored["updated_at"]);
    }
    info.set("rpm", or_null(d.rpm));
    info.set("tpm", or_null(d.tpm));
    info.set("direct_access", info["team_id"].is_null());
    info.set("access_via_team_ids",
             info["team_id"].is_null() ? Value::array() : Value::array({info["team_id"]}));
    row.set("litellm_params", std::move(params));
    row.set("model_info", std::move(info));
    return row;
}

// A model that was stored and is not in the table yet (or cannot be).
Value stored_row(const Value& stored) {
    const auto [provider, model] = split_model(stored["litellm_params"]["model"].as_string());
    Value info = facts_of(provider, model, stored["model_info"]["base_model"].as_string(), nullptr);
    overlay(info, stored["model_info"]);
    info.set("db_model", true);
    info.set("direct_access", info["team_id"].is_null());
    info.set("access_via_team_ids",
             info["team_id"].is_null() ? Value::array() : Value::array({info["team_id"]}));
    return Value::object({{"model_name", stored["model_name"]},
                          {"litellm_params", without_secrets(stored["litellm_params"])},
                          {"model_info", std::move(info)},
                          {"created_at", stored["created_at"]},
                          {"updated_at", stored["updated_at"]}});
}

// ---- groups
// --------------------------------------------------------------------------------------

void keep_most(Value& row, std::string_view name, const Value& value) {
    const auto have = row[name].as_double();
    const auto more = value.as_double();
    if (more && (!have || *more > *have)) {
        row.set(name, value);
    }
}

void keep_sum(Value& row, std::string_view name, const Value& value) {
    if (const auto more = value.as_int()) {
        row.set(name, row[name].as_int().value_or(0) + *more);
    }
}

Value empty_group(std::string_view name) {
    Value row = Value::object({{"model_group", Value(name)}, {"providers", Value::array()}});
    for (const std::string_view member :
         {"max_input_tokens", "max_output_tokens", "input_cost_per_token", "output_cost_per_token",
          "mode", "tpm", "rpm"}) {
        row.set(member, Value());
    }
    for (const std::string_view member :
         {"supports_parallel_function_calling", "supports_vision", "supports_web_search",
          "supports_reasoning", "supports_function_calling"}) {
        row.set(member, false);
    }
    row.set("supported_openai_params", openai_params());
    row.set("configurable_clientside_auth_params", Value());
    row.set("is_public_model_group", false);
    row.set("health_status", Value());
    return row;
}

void add_to_group(Value& group, const Value& info) {
    add_to_list(group, "providers", info["litellm_provider"].as_string());
    for (const std::string_view name : {"max_input_tokens", "max_output_tokens",
                                        "input_cost_per_token", "output_cost_per_token"}) {
        keep_most(group, name, info[name]);
    }
    keep_sum(group, "tpm", info["tpm"]);
    keep_sum(group, "rpm", info["rpm"]);
    if (group["mode"].is_null()) {
        group.set("mode", info["mode"]);
    }
    for (const std::string_view name :
         {"supports_parallel_function_calling", "supports_vision", "supports_web_search",
          "supports_reasoning", "supports_function_calling"}) {
        if (info[name].as_bool()) {
            group.set(name, true);
        }
    }
}

}  // namespace

Value usd_per_token(PricePerMillion price) {
    // nano-credits for a million tokens are 10^-17 US$ for one.
    std::string digits = std::to_string(price.nanocredits);
    if (price.nanocredits == 0) {
        return json::Number{"0.0"};
    }
    const bool negative = digits[0] == '-';
    if (negative) {
        digits.erase(0, 1);
    }
    const int exponent = static_cast<int>(digits.size()) - 1 - 17;
    digits.erase(digits.find_last_not_of('0') + 1);
    std::string text = negative ? "-" : "";
    text += digits[0];
    if (digits.size() > 1) {
        text += "." + digits.substr(1);
    }
    return json::Number{text + "e" + std::to_string(exponent)};
}

std::vector<Value> deployment_rows(const Call& call) {
    std::vector<Value> rows;
    std::set<std::string, std::less<>> shown;
    const auto table = call.services.table ? call.services.table() : nullptr;
    if (table) {
        for (const auto& deployment : table->deployments) {
            if (!deployment->from_wildcard && shown.insert(deployment->id).second) {
                rows.push_back(table_row(call, *deployment));
            }
        }
    }
    for (const auto& stored : call.services.directory.list(EntityKind::model)) {
        if (shown.insert(stored->id).second) {
            rows.push_back(stored_row(stored->doc));
        }
    }
    return rows;
}

bool may_use(const Call& call, const Value& row) {
    if (call.reads_all()) {
        return true;
    }
    const std::string_view team = row["model_info"]["team_id"].as_string();
    const std::string_view name = row["model_name"].as_string();
    if (!team.empty() && team != call.caller.team_id &&
        !call.is_team_member(call.doc(EntityKind::team, team))) {
        return false;
    }
    return governance::forbids_model(call.caller, name, name) == nullptr;
}

std::vector<Value> group_rows(const Call& call) {
    std::map<std::string, Value, std::less<>> groups;
    const auto table = call.services.table ? call.services.table() : nullptr;
    if (table) {
        for (const auto& deployment : table->deployments) {
            const Value row = table_row(call, *deployment);
            if (deployment->group.find('*') == std::string::npos && may_use(call, row)) {
                auto at = groups.find(deployment->group);
                if (at == groups.end()) {
                    at = groups.emplace(deployment->group, empty_group(deployment->group)).first;
                }
                add_to_group(at->second, row["model_info"]);
            }
        }
    }
    std::vector<Value> rows;
    for (auto& [name, row] : groups) {
        rows.push_back(std::move(row));
    }
    return rows;
}

}  // namespace belay::admin
