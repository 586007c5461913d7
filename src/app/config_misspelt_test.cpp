// Configurations with one slip each: the first suggestion is the key or the name that was meant.
#include "app/config_testing.h"
#include "app/keys_table.h"

using namespace belay;
using namespace belay::app;
using namespace belay::app::testing;

namespace {

struct Slip {
    const char* section;  // where `line` stands: "", "params", "entry", "info" or a section's name
    const char* line;
    const char* meant;
};

constexpr Slip kSlips[] = {
    // the top level
    {"", "modle_list: []", "model_list"},
    {"", "model-list: []", "model_list"},
    {"", "models: []", "model_list"},
    {"", "ModelList: []", "model_list"},
    {"", "litellm_setting: {}", "litellm_settings"},
    {"", "litelm_settings: {}", "litellm_settings"},
    {"", "general_setings: {}", "general_settings"},
    {"", "generalSettings: {}", "general_settings"},
    {"", "settings_general: {}", "general_settings"},
    {"", "routersettings: {}", "router_settings"},
    {"", "router-settings: {}", "router_settings"},
    {"", "environment_variable: {}", "environment_variables"},
    {"", "env_variables: {}", "environment_variables"},
    {"", "mcp_server: {}", "mcp_servers"},
    {"", "includes: []", "include"},
    {"", "credentials_list: []", "credential_list"},
    {"", "server_setting: {}", "server_settings"},
    // the wrong section
    {"", "master_key: sk-x", "master_key"},
    {"", "drop_params: true", "drop_params"},
    {"", "num_retries: 3", "num_retries"},
    {"", "port: 4000", "port"},
    {"general_settings", "drop_params: true", "drop_params"},
    {"general_settings", "routing_strategy: simple-shuffle", "routing_strategy"},
    {"general_settings", "fallbacks: []", "fallbacks"},
    {"litellm_settings", "model_group_alias: {}", "model_group_alias"},
    {"litellm_settings", "master_key: sk-x", "master_key"},
    {"litellm_settings", "cooldown_time: 3", "cooldown_time"},
    {"router_settings", "drop_params: true", "drop_params"},
    {"router_settings", "database_url: x", "database_url"},
    {"entry", "api_key: x", "api_key"},
    {"entry", "temperature: 1", "temperature"},
    {"entry", "model: openai/x", "model"},
    {"entry", "max_input_tokens: 5", "max_input_tokens"},
    {"params", "base_model: x", "base_model"},
    {"params", "model_name: x", "model_name"},
    // litellm_settings
    {"litellm_settings", "drop_param: true", "drop_params"},
    {"litellm_settings", "drop-params: true", "drop_params"},
    {"litellm_settings", "dropParams: true", "drop_params"},
    {"litellm_settings", "params_drop: true", "drop_params"},
    {"litellm_settings", "DROP_PARAMS: true", "drop_params"},
    {"litellm_settings", "json_log: true", "json_logs"},
    {"litellm_settings", "jsonlogs: true", "json_logs"},
    {"litellm_settings", "request_timout: 3", "request_timeout"},
    {"litellm_settings", "default_fallback: []", "default_fallbacks"},
    {"litellm_settings", "context_window_fallback: []", "context_window_fallbacks"},
    {"litellm_settings", "sucess_callback: []", "success_callback"},
    {"litellm_settings", "verbose: true", "set_verbose"},
    {"litellm_settings", "mcp_semantic_filter: {}", "mcp_semantic_tool_filter"},
    // general_settings
    {"general_settings", "masterkey: sk-x", "master_key"},
    {"general_settings", "master_keys: sk-x", "master_key"},
    {"general_settings", "mater_key: sk-x", "master_key"},
    {"general_settings", "databse_url: x", "database_url"},
    {"general_settings", "db_url: x", "database_url"},
    {"general_settings", "store_prompt_in_spend_logs: true", "store_prompts_in_spend_logs"},
    {"general_settings", "store_prompts_in_spendlogs: true", "store_prompts_in_spend_logs"},
    {"general_settings", "store_models_in_db: true", "store_model_in_db"},
    {"general_settings", "litellm_key_header: X", "litellm_key_header_name"},
    {"general_settings", "alert: []", "alerting"},
    // router_settings
    {"router_settings", "num_retry: 3", "num_retries"},
    {"router_settings", "retries: 3", "num_retries"},
    {"router_settings", "colldown_time: 3", "cooldown_time"},
    {"router_settings", "cooldown: 3", "cooldown_time"},
    {"router_settings", "time_cooldown: 3", "cooldown_time"},
    {"router_settings", "routing_stratergy: x", "routing_strategy"},
    {"router_settings", "falbacks: []", "fallbacks"},
    {"router_settings", "fallback: []", "fallbacks"},
    {"router_settings", "fall_backs: []", "fallbacks"},
    {"router_settings", "model_group_aliases: {}", "model_group_alias"},
    {"router_settings", "model_alias: {}", "model_group_alias"},
    {"router_settings", "allowed_fail: 3", "allowed_fails"},
    {"router_settings", "enable_precall_checks: true", "enable_pre_call_checks"},
    {"router_settings", "max_fallback: 3", "max_fallbacks"},
    {"router_settings", "disable_cooldown: true", "disable_cooldowns"},
    // model_list
    {"entry", "litellm_param: {}", "litellm_params"},
    {"entry", "model-info: {}", "model_info"},
    {"entry", "fallback: []", "fallbacks"},
    {"params", "api_bas: x", "api_base"},
    {"params", "apibase: x", "api_base"},
    {"params", "apikey: x", "api_key"},
    {"params", "extra_header: {}", "extra_headers"},
    {"params", "headers: {}", "extra_headers"},
    {"params", "fallbaks: []", "fallbacks"},
    {"params", "supports_tool_call: true", "supports_tool_calling"},
    {"params", "support_vision: true", "supports_vision"},
    {"params", "temprature: 1", "temperature"},
    {"params", "max_token: 5", "max_tokens"},
    {"params", "timout: 5", "timeout"},
    {"params", "maxTokens: 5", "max_tokens"},
    {"params", "additional_dropped_params: []", "additional_drop_params"},
    {"info", "base_modle: x", "base_model"},
    {"info", "max_input_token: 5", "max_input_tokens"},
    {"info", "support_vision: true", "supports_vision"},
    // server_settings
    {"server_settings", "hosts: x", "host"},
    {"server_settings", "authport: 1", "auth_port"},
    // fallback names
    {"params", "fallbacks: [github_copilot/gemini-3-pro-preveiw]",
     "github_copilot/gemini-3-pro-preview"},
    {"params", "fallbacks: [gemini-3-pro]", "github_copilot/gemini-3-pro-preview"},
    {"params", "fallbacks: [github-copilot/gpt-5-mini]", "github_copilot/gpt-5-mini"},
    {"params", "fallbacks: [github_copilot/gpt5-mini]", "github_copilot/gpt-5-mini"},
    {"params", "fallbacks: [copilot/gpt-5-mini]", "github_copilot/gpt-5-mini"},
    {"params", "fallbacks: [github_copilot/gpt-5-minii]", "github_copilot/gpt-5-mini"},
    {"params", "fallbacks: [github_copilot/Claude-Opus-4-6]", "github_copilot/claude-opus-4.6"},
    {"router_settings", "default_fallbacks: [github_copilot/gpt-5_mini]",
     "github_copilot/gpt-5-mini"},
    {"router_settings", "fallbacks: [{github_copilot/claude-opus: [github_copilot/gpt-5-mini]}]",
     "github_copilot/claude-opus-4.6"},
    {"router_settings", "model_group_alias: {best: github_copilot/claude-opus-46}",
     "github_copilot/claude-opus-4.6"},
    // words
    {"router_settings", "routing_strategy: least_busy", "least-busy"},
    {"info", "mode: embeddings", "embedding"},
    {"params", "custom_llm_provider: githubcopilot", "github_copilot"},
};

std::string with(const Slip& slip) {
    std::string section(slip.section), line(slip.line), out;
    auto at = [&](const char* name, const char* indent) {
        return section == name ? indent + line + "\n" : std::string();
    };
    out += at("", "");
    bool other = section != "" && section != "entry" && section != "params" && section != "info";
    out += other ? section + ":\n  " + line + "\n" : "";
    if (section.empty() && (line.find("odel") == 1 || line.find("odels") == 1)) {
        return out;
    }
    out += "model_list:\n  - model_name: under-test\n" + at("entry", "    ") +
           "    litellm_params:\n      model: github_copilot/gpt-5\n" + at("params", "      ") +
           (section == "info" ? "    model_info:\n" + at("info", "      ") : "");
    for (const char* name : {"claude-opus-4.6", "gemini-3-pro-preview", "gpt-5-mini"}) {
        out += std::string("  - model_name: github_copilot/") + name +
               "\n    litellm_params:\n      model: github_copilot/" + name + "\n";
    }
    return out;
}

std::string first_suggestion(const Config& config) {
    for (const Diagnostic& diagnostic : config.diagnostics) {
        if (!diagnostic.suggestion.empty()) {
            return diagnostic.suggestion;
        }
    }
    return "";
}

}  // namespace

TEST_CASE("the first suggestion is what was meant") {
    int wrong = 0;
    std::string list;
    for (const Slip& slip : kSlips) {
        Config config = load(with(slip));
        std::string got = first_suggestion(config);
        if (got != slip.meant) {
            ++wrong;
            list += std::string(slip.section) + ": " + slip.line + " -> '" + got + "', not " +
                    slip.meant + "\n";
        }
    }
    CHECK(std::size(kSlips) >= 50);
    CHECK_MESSAGE(wrong <= 3, list);
    INFO(list);
    CHECK(wrong == 0);
}

// Every known key, with one letter left out, doubled or swapped, is found again in its own section.
TEST_CASE("a typing error in any long key of the settings is found") {
    int tried = 0, found = 0;
    for (const Key& key : keys()) {
        bool settings = key.section == Section::general_settings ||
                        key.section == Section::litellm_settings ||
                        key.section == Section::router_settings;
        if (!settings || key.name.size() < 8) {
            continue;
        }
        std::string name(key.name);
        size_t at = name.size() / 2;
        std::string swapped = name, missing = name, doubled = name;
        std::swap(swapped[at], swapped[at - 1]);
        missing.erase(at, 1);
        doubled.insert(at, 1, name[at]);
        for (const std::string& typed : {swapped, missing, doubled}) {
            if (typed == name || find_key(key.section, typed) != nullptr) {
                continue;
            }
            ++tried;
            auto guess = suggest_key(key.section, typed);
            found += guess && guess->key->name == key.name ? 1 : 0;
        }
    }
    CHECK(tried > 300);
    CHECK(found * 100 >= tried * 99);
}

// A key that is right is never suspected, and nothing is suggested for noise.
TEST_CASE("no suggestion without resemblance") {
    for (const char* name : {"qqqq", "x", "frobnicate", "zzz_yyy"}) {
        CHECK_FALSE(suggest_key(Section::general_settings, name));
        CHECK_FALSE(suggest_key(Section::root, name));
    }
}
