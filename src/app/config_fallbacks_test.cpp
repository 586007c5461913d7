#include "app/config_names.h"
#include "app/config_testing.h"
#include "wire/json.h"

using namespace belay;
using namespace belay::app;
using namespace belay::app::testing;

namespace {

using Names = std::vector<std::string>;

// Models a, b, c on Copilot; `a` may have further lines.
std::string abc(std::string_view of_a = "", std::string_view beside_a = "") {
    std::string out = "model_list:\n";
    for (std::string name : {"a", "b", "c"}) {
        out += "  - model_name: " + name + "\n    litellm_params:\n      model: github_copilot/" +
               name + "\n";
        if (name == "a") {
            out += of_a.empty() ? "" : "      " + std::string(of_a) + "\n";
            out += beside_a.empty() ? "" : "    " + std::string(beside_a) + "\n";
        }
    }
    return out;
}

}  // namespace

// Fallbacks count wherever LiteLLM's users write them, in every shape.
TEST_CASE("places and shapes of fallbacks") {
    struct Row {
        std::string text;
        Names chain;  // of a
    };
    const Row rows[] = {
        {abc("fallbacks: [b, c]"), {"a", "b", "c"}},
        {abc("fallbacks: b"), {"a", "b"}},
        {abc("fallbacks: [{model: c, temperature: 0}, b]"), {"a", "c", "b"}},
        {abc("fallbacks: [{a: [c, b]}]"), {"a", "c", "b"}},
        {abc("fallbacks: {a: [c]}"), {"a", "c"}},
        {abc("", "fallbacks: [c]"), {"a", "c"}},
        {abc("fallbacks: [b]", "fallbacks: [c]"), {"a", "b"}},
        {abc("fallbacks:", "fallbacks: [c]"), {"a", "c"}},
        {abc() + "router_settings: {fallbacks: [{a: [b]}]}", {"a", "b"}},
        {abc() + "router_settings: {fallbacks: {a: [b, c]}}", {"a", "b", "c"}},
        {abc() + "litellm_settings: {fallbacks: [{a: [b]}, {b: [c]}]}", {"a", "b", "c"}},
        {abc() + "litellm_settings: {fallbacks: [{a: [b]}]}\n"
                 "router_settings: {fallbacks: [{a: [c]}]}",
         {"a", "c"}},
        {abc() + "litellm_settings: {default_fallbacks: [c]}", {"a", "c"}},
        {abc() + "router_settings: {default_fallbacks: [b], fallbacks: [{b: [c]}]}",
         {"a", "b", "c"}},
        {abc() + "router_settings: {fallbacks: [{'*': [c]}]}", {"a", "c"}},
        {abc("fallbacks: [b]") + "router_settings: {fallbacks: [{a: [c]}]}", {"a", "b"}},
        {abc("fallbacks: [b, c]") + "router_settings: {max_fallbacks: 1}", {"a", "b"}},
        {abc("fallbacks: [b]") + "router_settings: {fallbacks: [{b: [a]}]}", {"a", "b"}},
    };
    for (const Row& row : rows) {
        CAPTURE(row.text);
        Config config = load(row.text);
        CHECK_FALSE_MESSAGE(config.has_errors(), all(config));
        CHECK(chain_names(config.table, "a") == row.chain);
    }
}

// The other members of an object entry override the request.
TEST_CASE("object entries keep their overrides") {
    Config config = load(abc("fallbacks: [{model: c, temperature: 0, messages: []}]"));
    const auto& target = deployment(config, "a").fallbacks.at(0);
    CHECK(target.group == "c");
    CHECK(json::dump(target.overrides) == R"({"temperature":0,"messages":[]})");
}

TEST_CASE("fallbacks for long prompts and refused content") {
    Config config = load(abc() +
                         "router_settings:\n  context_window_fallbacks: [{a: [b]}]\n"
                         "litellm_settings:\n  content_policy_fallbacks: [{a: [c]}]\n");
    CHECK(names(config.table.context_window_fallbacks.find("a")->second) == "b");
    CHECK(names(config.table.content_policy_fallbacks.find("a")->second) == "c");
}

// Fallbacks of another model inside an entry are used for that model, and told.
TEST_CASE("a map of other models inside litellm_params") {
    Config config = load(abc("fallbacks: [{b: [c]}]"));
    CHECK(chain_names(config.table, "b") == Names{"b", "c"});
    CHECK(chain_names(config.table, "a") == Names{"a"});
    CHECK(find(config, "stand in the entry of 'a'") != nullptr);
}

TEST_CASE("aliases") {
    Config config =
        load(abc("fallbacks: [b]") +
             "router_settings:\n  model_group_alias:\n    gpt-4: a\n"
             "    secret-name: {model: b, hidden: true}\n    wrong: bb\n    none: {}\n");
    CHECK(config.table.aliases.at("gpt-4").group == "a");
    CHECK_FALSE(config.table.aliases.at("gpt-4").hidden);
    CHECK(config.table.aliases.at("secret-name").hidden);
    CHECK(match_name(config.table, "gpt-4").match == Match::alias);
    CHECK(chain_names(config.table, "gpt-4") == Names{"gpt-4", "b"});
    CHECK(find(config, "'bb' in model_group_alias.wrong matches no model") != nullptr);
    CHECK(find(config, "the alias 'none' names no model") != nullptr);
}

// A name that matches no model is told with its place; the chain goes on without it.
TEST_CASE("names that match no model") {
    Config config = load(abc("fallbacks: [nothing-like-it, c]"));
    const Diagnostic* found = find(config, "nothing-like-it");
    REQUIRE(found != nullptr);
    CHECK(found->severity == Severity::error);
    CHECK_FALSE(found->fatal);
    CHECK(found->line == 5);
    CHECK(found->column == 19);
    CHECK(chain_names(config.table, "a") == Names{"a", "c"});
    CHECK(find(load(abc() + "router_settings: {fallbacks: [{zz: [b]}]}"), "never used") != nullptr);
    CHECK(find(load(abc("fallbacks: [a]")), "falls back to itself") != nullptr);
}

// A catch-all takes every name, so a misspelt one would silently go to it: it is told all the same.
TEST_CASE("a misspelt name behind a catch-all or a pattern") {
    const std::string everything =
        "  - {model_name: '*', litellm_params: {model: github_copilot/x}}\n";
    const std::string pattern =
        "  - {model_name: 'openai/*', litellm_params: {model: 'openai/*', api_key: k}}\n"
        "  - {model_name: openai/gpt-5-mini, litellm_params: {model: openai/gpt-5-mini, api_key: "
        "k}}\n";
    auto suggestion = [](const std::string& name, const std::string& wild) -> std::string {
        Config config = load(abc("fallbacks: ['" + name + "']") + wild);
        for (const Diagnostic& d : config.diagnostics) {
            if (d.severity == Severity::warning) {
                return d.suggestion.empty() ? "(none)" : d.suggestion;
            }
        }
        return "";
    };
    const std::string opus =
        "  - {model_name: claude-opus, litellm_params: {model: github_copilot/claude-opus-4.6}}\n";
    CHECK(suggestion("claude-opsu", everything + opus) == "claude-opus");
    CHECK(suggestion("something-else", everything) == "(none)");
    CHECK(suggestion("b", everything) == "");
    CHECK(suggestion("openai/gpt-5-mni", pattern) == "openai/gpt-5-mini");
    CHECK(suggestion("openai/gpt-4-mini", pattern) == "");  // another model of the pattern
    CHECK(suggestion("openai/gpt-5-mini", pattern) == "");
}

TEST_CASE("wrong shapes are told, the rest is kept") {
    Config config = load(abc("fallbacks: [[b], c]"));
    CHECK(config.has_errors());
    CHECK(chain_names(config.table, "a") == Names{"a", "c"});
    CHECK(load(abc() + "router_settings: {fallbacks: [b]}").has_errors());
    CHECK(load(abc() + "router_settings: {fallbacks: b}").has_errors());
    CHECK(load(abc() + "router_settings: {fallbacks: 5}").is_fatal());
    CHECK(load(abc("fallbacks: [{b: [{c: [a]}]}]")).has_errors());
}
