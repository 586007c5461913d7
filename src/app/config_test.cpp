#include "app/config.h"

#include "app/config_names.h"
#include "app/config_testing.h"
#include "wire/json.h"

using namespace belay;
using namespace belay::app;
using namespace belay::app::testing;

namespace {

using Names = std::vector<std::string>;

const std::string kOpus = "github_copilot/claude-opus-4.6";
const std::string kGemini = "github_copilot/gemini-3-pro-preview";
const std::string kMini = "github_copilot/gpt-5-mini";

}  // namespace

// The set-up this gateway replaces loads without a complaint and routes as its author meant.
TEST_CASE("a LiteLLM configuration for Copilot loads as it stands") {
    std::string path = std::string(BELAY_SOURCE_DIR) + "/tests/config/copilot_chain.yaml";
    auto loaded = load_config(path, map_env({}));
    REQUIRE(loaded.ok());
    const Config& config = *loaded;
    for (const Diagnostic& diagnostic : config.diagnostics) {
        CHECK_MESSAGE(diagnostic.severity == Severity::note, render(diagnostic));
    }
    CHECK(config.files == Names{path});
    CHECK(chain_names(config.table, kOpus) == Names{kOpus, kGemini, kMini});
    CHECK(chain_names(config.table, kGemini) == Names{kGemini, kMini});
    CHECK(chain_names(config.table, kMini) == Names{kMini});
    CHECK(chain_names(config.table, "gpt-99") == Names{"gpt-99", kGemini, kMini});
    CHECK(match_name(config.table, "gpt-99").match == Match::catch_all);
    CHECK(config.server.host == "0.0.0.0");
    CHECK(config.server.port == 4000);
    CHECK(config.table.settings.drop_params);
    CHECK(config.litellm.set_verbose);
    CHECK_FALSE(config.litellm.json_logs);
    CHECK(config.general.store_prompts_in_spend_logs);
    const routing::Deployment& opus = deployment(config, kOpus);
    CHECK(opus.provider == "github_copilot");
    CHECK(opus.model == "claude-opus-4.6");
    CHECK(opus.capabilities.tools == true);
    CHECK(opus.defaults.is_null());  // control keys never reach the request body
    REQUIRE(opus.extra_headers.size() == 3);
    CHECK(opus.extra_headers[2] ==
          std::pair<std::string, std::string>("User-Agent", "GithubCopilot/1.155.0"));
    const auto& embedding = deployment(config, "github_copilot/text-embedding-3-small");
    CHECK(embedding.mode == routing::Mode::embedding);
}

// Without a file the default chain is served, any Copilot model by its name, and "*".
TEST_CASE("the built-in configuration") {
    Config config = default_config(map_env({{"LITELLM_MASTER_KEY", "sk-of-the-environment"}}));
    CHECK(config.diagnostics.empty());
    CHECK(config.built_in_models);
    CHECK(chain_names(config.table, kOpus) == Names{kOpus, kGemini, kMini});
    CHECK(match_name(config.table, "github_copilot/gpt-4.1").group == "github_copilot/*");
    CHECK(chain_names(config.table, "other/model").back() == kMini);
    CHECK(deployment(config, kOpus).drop_params == true);
    CHECK(deployment(config, kOpus).line == 0);
    CHECK(config.general.master_key.equals("sk-of-the-environment"));
    CHECK(load("general_settings: {master_key: sk-abc}").built_in_models);
}

// The environment fills references at any depth; what is missing is named, its value is nothing.
TEST_CASE("environment references") {
    Config config = load(
        "environment_variables: {INNER: os.environ/OUTER, PLAIN: sk-plain-value}\n"
        "general_settings: {master_key: os.environ/PLAIN, database_url: os.environ/ABSENT}\n"
        "router_settings: {num_retries: os.environ/RETRIES}\n" +
            one_model("api_key: os.environ/INNER\nextra_headers: {X-A: os.environ/OUTER}\n"
                      "tags: [os.environ/OUTER]"),
        {{"OUTER", "secret-outer"}, {"RETRIES", "7"}});
    CHECK(config.general.master_key.equals("sk-plain-value"));
    CHECK(config.general.database_url.empty());
    CHECK(config.table.settings.num_retries == 7);
    const routing::Deployment& m = deployment(config, "m");
    CHECK(m.api_key.equals("secret-outer"));
    CHECK(m.extra_headers.at(0).second == "secret-outer");
    CHECK(m.tags == Names{"secret-outer"});
    REQUIRE(config.environment_variables.size() == 2);
    CHECK(config.environment_variables[0].second == "secret-outer");
    const Diagnostic* missing = find(config, "ABSENT");
    REQUIRE(missing != nullptr);
    CHECK(missing->severity == Severity::warning);
    CHECK(missing->line == 2);
    CHECK(all(config).find("secret-outer") == std::string::npos);
}

// A wrong value that came from the environment is named by its variable, never quoted.
TEST_CASE("no value of the environment and no secret in a diagnostic") {
    Config config = load(
        "router_settings: {num_retries: os.environ/RETRIES}\n"
        "general_settings:\n  master_key: [sk-list-secret-77]\n  masterkeys: sk-typo-secret-88\n" +
            one_model("api_base: https://user:pass-secret-99@host/v1\napi_keys: word-secret-66"),
        {{"RETRIES", "env-secret-55"}});
    std::string text = all(config);
    for (const Diagnostic& diagnostic : config.diagnostics) {
        text += diagnostic.excerpt + "\n";
    }
    CHECK(text.find("RETRIES") != std::string::npos);
    for (const char* secret : {"secret-55", "secret-66", "secret-77", "secret-88", "secret-99"}) {
        CHECK_MESSAGE(text.find(secret) == std::string::npos, text);
    }
}

// Several deployments of one name, each with its own limits and an id that is stable.
TEST_CASE("deployments of one name") {
    const char* text =
        "model_list:\n"
        "  - model_name: gpt\n"
        "    litellm_params: {model: azure/prod, api_base: 'https://a.example', api_key: k1, rpm: "
        "60,\n"
        "      timeout: '30', stream_timeout: 5.5, max_retries: 0, weight: 2, order: 1,\n"
        "      api_version: 2024-10-21, cooldown_time: 9}\n"
        "    model_info: {id: first, base_model: gpt-5, max_input_tokens: 1000, supports_vision: "
        "no}\n"
        "  - model_name: gpt\n"
        "    litellm_params: {model: gpt-5, api_key: k2}\n"
        "  - model_name: gpt\n"
        "    litellm_params: {model: gpt-5, api_key: k2}\n";
    Config config = load(text);
    CHECK_MESSAGE(config.diagnostics.empty(), all(config));
    auto group = deployments_of(config.table, "gpt");
    REQUIRE(group.size() == 3);
    const routing::Deployment& a = *group[0];
    CHECK(a.id == "first");
    CHECK(a.provider == "azure");
    CHECK(a.timeout == routing::Seconds(30));
    CHECK(a.stream_timeout == routing::Seconds(5.5));
    CHECK(a.num_retries == 0);
    CHECK(a.rpm == 60);
    CHECK(a.weight == 2.0);
    CHECK(a.order == 1);
    CHECK(a.api_version == "2024-10-21");
    CHECK(a.cooldown_time == routing::Seconds(9));
    CHECK(a.base_model == "gpt-5");
    CHECK(a.capabilities.max_input_tokens == 1000);
    CHECK(a.capabilities.vision == false);
    CHECK(a.model_info["id"].as_string() == "first");
    CHECK(group[1]->provider == "openai");
    CHECK(group[1]->api_base == "https://api.openai.com/v1");
    CHECK(group[1]->id != group[2]->id);
    CHECK(load(text).table.deployments[1]->id == group[1]->id);
}

// An id does not tell the secret behind a reference, and does not change with it.
TEST_CASE("deployment ids do not follow the environment") {
    std::string text = one_model("api_key: os.environ/KEY");
    CHECK(load(text, {{"KEY", "one-value"}}).table.deployments[0]->id ==
          load(text, {{"KEY", "two-value"}}).table.deployments[0]->id);
}

// Unknown parameters go to the model as defaults; settings and misspelt settings do not.
TEST_CASE("request defaults") {
    Config config = load(one_model(
        "temperature: 0.2\nreasoning_effort: high\nthinking: {type: enabled, budget_tokens: 1024}\n"
        "some_vendor_thing: [1, yes]\nextra_body: {top_k: 3, temperature: 0.4}\n"
        "supports_vision: true\ndrop_params: 'true'\nadditional_drop_params: [thinking, 'a[*].b']\n"
        "allowed_openai_params: [tools]\nfallback: [x]\ninput_cost_per_token: 1e-6"));
    const routing::Deployment& m = deployment(config, "m");
    CHECK(json::dump(m.defaults) == R"({"temperature":0.4,"reasoning_effort":"high",)"
                                    R"("thinking":{"type":"enabled","budget_tokens":1024},)"
                                    R"("some_vendor_thing":[1,true],"top_k":3})");
    CHECK(m.drop_params == true);
    CHECK(m.additional_drop_params == Names{"thinking", "a[*].b"});
    CHECK(m.allowed_openai_params == Names{"tools"});
    CHECK(m.capabilities.vision == true);
    const Diagnostic* misspelt = find(config, "'fallback'");
    REQUIRE(misspelt != nullptr);
    CHECK(misspelt->suggestion == "fallbacks");
}

// US$ per token become exact prices, from litellm_params or from model_info, in any spelling.
TEST_CASE("prices") {
    Config config =
        load(one_model("input_cost_per_token: 5e-06\noutput_cost_per_token: 0.000025\n"
                       "cache_read_input_token_cost: 5.0e-7\n"
                       "input_cost_per_token_above_200k_tokens: 0.00001"));
    REQUIRE(deployment(config, "m").price);
    const chat::PriceCard& card = *deployment(config, "m").price;
    CHECK(card.input.nanocredits == 500'000'000'000);
    CHECK(card.output.nanocredits == 2'500'000'000'000);
    REQUIRE(card.cache_read);
    CHECK(card.cache_read->nanocredits == 50'000'000'000);
    CHECK_FALSE(card.cache_write);
    CHECK(card.long_context_above == 200'000);
    CHECK(card.long_input.nanocredits == 1'000'000'000'000);
    CHECK(card.long_output == card.output);
    CHECK_FALSE(deployment(load(one_model("")), "m").price);
    CHECK(load(one_model("input_cost_per_token: -1")).table.deployments.empty());
}

// Lower settings give way to higher ones; the environment stands in when the file is silent.
TEST_CASE("settings and where they come from") {
    Config config = load(
        "router_settings: {num_retries: 4, cooldown_time: 0, retry_after: 1.5, max_fallbacks: 2,\n"
        "  enable_tag_filtering: true, tag_filtering_match_any: false, disable_cooldowns: yes}\n"
        "litellm_settings: {num_retries: 9, request_timeout: 120, allowed_fails: 7,\n"
        "  modify_params: true, json_logs: true, expose_router_debug_in_errors: false}\n"
        "general_settings: {litellm_key_header_name: X-Key, max_request_size_mb: 8}\n" +
        one_model(""));
    const routing::Settings& s = config.table.settings;
    CHECK(s.num_retries == 4);
    CHECK(s.timeout == routing::Seconds(120));
    CHECK(s.cooldown_time == routing::Seconds(0));
    CHECK(s.retry_after == routing::Seconds(1.5));
    CHECK(s.max_fallbacks == 2);
    CHECK(s.allowed_fails == 7);
    CHECK(s.modify_params);
    CHECK(s.enable_tag_filtering);
    CHECK_FALSE(s.tag_filtering_match_any);
    CHECK(s.disable_cooldowns);
    CHECK_FALSE(s.expose_router_debug_in_errors);
    CHECK(config.litellm.json_logs);
    CHECK(config.general.litellm_key_header_name == "X-Key");
    CHECK(config.general.max_request_size_mb == 8.0);
    Config plain = load(one_model(""), {{"DEFAULT_MAX_RETRIES", "6"},
                                        {"ROUTER_MAX_FALLBACKS", "3"},
                                        {"DATABASE_URL", "postgresql://db"},
                                        {"STORE_MODEL_IN_DB", "True"}});
    CHECK(plain.table.settings.num_retries == 6);
    CHECK(plain.table.settings.max_fallbacks == 3);
    CHECK(plain.table.settings.timeout == routing::Seconds(6000));
    CHECK_FALSE(plain.general.database_url.empty());
    CHECK(plain.general.store_model_in_db);
    CHECK(plain.general.master_key.empty());
}

// A credential and router-wide parameters fill what a deployment leaves out, and only that.
TEST_CASE("credential_list and default_litellm_params") {
    Config config = load(
        "credential_list:\n"
        "  - credential_name: shared\n"
        "    credential_values: {api_key: from-credential, api_base: 'https://cred.example/v1'}\n"
        "router_settings: {default_litellm_params: {timeout: 11, api_base: "
        "'https://no.example'}}\n" +
        one_model("litellm_credential_name: shared\napi_key: own"));
    const routing::Deployment& m = deployment(config, "m");
    CHECK(m.api_key.equals("own"));
    CHECK(m.api_base == "https://cred.example/v1");
    CHECK(m.timeout == routing::Seconds(11));
    Config wrong = load("credential_list: [{credential_name: shared, credential_values: {}}]\n" +
                        one_model("litellm_credential_name: shard"));
    CHECK(find(wrong, "did you mean shared?") != nullptr);
}

// The provider is the prefix, or custom_llm_provider, or the family of a bare name.
TEST_CASE("providers") {
    struct Row {
        const char* params;
        const char* provider;  // "" = refused
        const char* model;
        const char* base;
    };
    const Row rows[] = {
        {"model: github_copilot/gpt-5", "github_copilot", "gpt-5", ""},
        {"model: groq/llama-3", "groq", "llama-3", "https://api.groq.com/openai/v1"},
        {"model: openrouter/a/b", "openrouter", "a/b", "https://openrouter.ai/api/v1"},
        {"model: ollama/qwen3", "ollama", "qwen3", "http://localhost:11434/v1"},
        {"{model: ollama/q, api_base: 'http://box:11434'}", "ollama", "q", "http://box:11434/v1"},
        {"{model: meta-llama/L, custom_llm_provider: hosted_vllm, api_base: 'http://v/v1'}",
         "hosted_vllm", "meta-llama/L", "http://v/v1"},
        {"{model: openai/x, base_url: 'http://b/v1'}", "openai", "x", "http://b/v1"},
        {"model: gpt-5", "openai", "gpt-5", "https://api.openai.com/v1"},
        {"model: o3-mini", "openai", "o3-mini", "https://api.openai.com/v1"},
        {"model: claude-opus-4", "anthropic", "claude-opus-4", ""},
        {"model: meta-llama/L", "", "", ""},
        {"model: llama-3", "", "", ""},
        {"model: bedrock/x", "", "", ""},
        {"model: github-copilot/gpt-5", "", "", ""},
        {"{model: openai/x, api_base: 'ftp://b'}", "", "", ""},
        {"model: 'openai/*'", "", "", ""},
        {"model: openai/", "", "", ""},
        {"api_key: x", "", "", ""},
    };
    for (const Row& row : rows) {
        CAPTURE(row.params);
        std::string params(row.params);
        params = params[0] == '{' ? params : "{" + params + "}";
        Config config =
            load("model_list:\n  - model_name: m\n    litellm_params: " + params + "\n");
        CHECK(config.table.deployments.empty() == (row.provider[0] == '\0'));
        CHECK(config.has_errors() == (row.provider[0] == '\0'));
        if (!config.table.deployments.empty()) {
            CHECK(config.table.deployments[0]->provider == row.provider);
            CHECK(config.table.deployments[0]->model == row.model);
            CHECK(config.table.deployments[0]->api_base == row.base);
        }
    }
    Config hint = load("model_list: [{model_name: m, litellm_params: {model: github-copilot/x}}]");
    CHECK(find(hint, "did you mean github_copilot/x?") != nullptr);
    Config keyed = load("model_list: [{model_name: m, litellm_params: {model: groq/x}}]",
                        {{"GROQ_API_KEY", "of-env"}});
    CHECK(keyed.table.deployments[0]->api_key.equals("of-env"));
}

// A wildcard entry keeps its star; "*" served by "*" offers the providers that can be reached.
TEST_CASE("wildcards") {
    Config config = load(
        "model_list:\n"
        "  - {model_name: 'openai/*', litellm_params: {model: 'openai/*', api_key: k}}\n"
        "  - {model_name: 'openai/gpt-*', litellm_params: {model: 'openai/gpt-*', api_key: k}}\n"
        "  - {model_name: openai/gpt-5, litellm_params: {model: openai/gpt-5, api_key: k}}\n");
    CHECK(match_name(config.table, "openai/o3").group == "openai/*");
    CHECK(match_name(config.table, "openai/gpt-4").group == "openai/gpt-*");
    CHECK(match_name(config.table, "openai/gpt-5").match == Match::exact);
    CHECK(match_name(config.table, "gpt-5").group == "openai/gpt-5");
    CHECK(deployment(config, "openai/*").model == "*");
    Config everything = load("model_list: [{model_name: '*', litellm_params: {model: '*'}}]",
                             {{"GROQ_API_KEY", "k"}});
    CHECK(group_names(everything.table) == Names{"github_copilot/*", "groq/*", "*"});
    CHECK_FALSE(everything.has_errors());
}

// One bad row never takes the others with it.
TEST_CASE("an invalid deployment is left out") {
    Config config = load(
        "model_list:\n"
        "  - just text\n"
        "  - {model_name: no-params}\n"
        "  - {litellm_params: {model: openai/x}}\n"
        "  - {model_name: bad, litellm_params: {model: github_copilot/a, timeout: -1}}\n"
        "  - {model_name: bad2, litellm_params: {model: github_copilot/a, extra_headers: {'a b': "
        "c}}}\n"
        "  - {model_name: bad3, litellm_params: {model: github_copilot/a, extra_headers: {a: "
        "\"b\\nc\"}}}\n"
        "  - {model_name: 'a*b*', litellm_params: {model: github_copilot/a}}\n"
        "  - {model_name: good, litellm_params: {model: github_copilot/a}}\n");
    CHECK(group_names(config.table) == Names{"good"});
    CHECK(config.has_errors());
    CHECK_FALSE(config.is_fatal());
    for (int line = 2; line <= 8; ++line) {
        bool told = false;
        for (const Diagnostic& d : config.diagnostics) {
            told = told || (d.line == line && d.severity == Severity::error);
        }
        CHECK_MESSAGE(told, "line " << line << "\n" << all(config));
    }
    CHECK(load("model_list: [1]").is_fatal());
}

// Wrong settings are fatal, with place and cure; unknown keys never are.
TEST_CASE("wrong values") {
    struct Row {
        const char* text;
        int column;
        const char* part;
    };
    const Row rows[] = {
        {"router_settings: {timeout: -1}", 28, "seconds"},
        {"router_settings: {timeout: 30s}", 28, "without a unit"},
        {"router_settings: {num_retries: many}", 32, "whole number"},
        {"router_settings: {num_retries: 1.5}", 32, "whole number"},
        {"router_settings: {disable_cooldowns: perhaps}", 38, "true or false"},
        {"router_settings: {routing_strategy: simple-shufle}", 37, "did you mean simple-shuffle?"},
        {"router_settings: [a]", 18, "a mapping"},
        {"litellm_settings: text", 19, "a mapping"},
        {"model_list: {a: b}", 13, "a list"},
        {"server_settings: {port: 70000}", 25, "1 to 65535"},
        {"server_settings: {port: 4000, auth_port: 4000}", 42, "its own port"},
        {"general_settings: {litellm_key_header_name: 'a b'}", 45, "header name"},
        {"general_settings: {master_key: \"sk-a\\nb\"}", 32, "no header can carry"},
        {"general_settings: {maximum_spend_logs_retention_period: soon}", 57, "30s, 5m"},
        {"environment_variables: {A: [1]}", 25, "text value"},
    };
    for (const Row& row : rows) {
        CAPTURE(row.text);
        Config config = load(row.text);
        const Diagnostic* found = find(config, row.part);
        REQUIRE_MESSAGE(found != nullptr, all(config));
        CHECK(found->fatal);
        CHECK(found->line == 1);
        CHECK(found->column == row.column);
        CHECK(config.is_fatal());
    }
    CHECK_FALSE(
        load("zzz: 1\ngeneral_settings: {qqq: 2}\nrouter_settings: {health_check_interval: 3}")
            .has_errors());
}

TEST_CASE("a file that is no configuration is an error with its place") {
    Diagnostic problem;
    auto loaded = load_config_text("model_list:\n  - [", "my.yaml", map_env({}), &problem);
    REQUIRE_FALSE(loaded.ok());
    CHECK(loaded.error().message.starts_with("my.yaml:"));
    CHECK(problem.fatal);
    CHECK(problem.line >= 2);
    CHECK_FALSE(load_config_text("- a\n- b\n", "my.yaml", map_env({})).ok());
    CHECK_FALSE(load_config("/nonexistent/config.yaml", map_env({})).ok());
    CHECK_FALSE(load_config("/", map_env({})).ok());
}

TEST_CASE("duplicate keys are told with both places") {
    Config config = load("router_settings: {num_retries: 1}\nrouter_settings: {num_retries: 2}\n");
    CHECK(config.table.settings.num_retries == 2);
    const Diagnostic* twice = find(config, "second time");
    REQUIRE(twice != nullptr);
    CHECK(twice->line == 2);
    CHECK(twice->message.find("line 1, column 1") != std::string::npos);
}

TEST_CASE("the path of the file") {
    CHECK(find_config_path("given.yaml", map_env({{"CONFIG_FILE_PATH", "env.yaml"}})) ==
          "given.yaml");
    CHECK(find_config_path("", map_env({{"CONFIG_FILE_PATH", "env.yaml"}})) == "env.yaml");
}
