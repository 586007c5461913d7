#include "governance/caller.h"

#include <doctest/doctest.h>

using namespace belay;
using namespace belay::governance;

// Roles are read by exactly their names.
TEST_CASE("roles") {
    for (const char* name : {"proxy_admin", "proxy_admin_viewer", "org_admin", "internal_user",
                             "internal_user_viewer", "team", "customer"}) {
        const auto role = parse_role(name);
        REQUIRE(role.has_value());
        CHECK(role_name(*role) == name);
    }
    for (const char* name : {"", "admin", "Proxy_admin", "proxy_admin "}) {
        CHECK_FALSE(parse_role(name).has_value());
    }
}

// Names match themselves, stars any text.
TEST_CASE("model patterns") {
    struct Case {
        const char* pattern;
        const char* model;
        bool matches;
    };
    for (const auto& c : {Case{"gpt-5", "gpt-5", true},
                          {"gpt-5", "gpt-5-mini", false},
                          {"openai/*", "openai/gpt-5", true},
                          {"openai/*", "openai/", true},
                          {"openai/*", "azure/gpt-5", false},
                          {"openai/*", "openai", false},
                          {"*", "anything", true},
                          {"*", "", true},
                          {"*-mini", "gpt-5-mini", true},
                          {"*-mini", "gpt-5-mini-2", false},
                          {"a*b*c", "aXbYc", true},
                          {"a*b*c", "abc", true},
                          {"a*b*c", "acb", false},
                          {"a*a", "a", false},
                          {"", "", true},
                          {"", "x", false},
                          {"x/*", "x/*", true}}) {
        CAPTURE(c.pattern);
        CAPTURE(c.model);
        CHECK(matches_model(c.pattern, c.model) == c.matches);
    }
}

// Every list that says something must allow the model; an alias is judged by what it stands for.
TEST_CASE("forbidden models") {
    Caller caller;
    CHECK(forbids_model(caller, "gpt-5", "") == nullptr);
    caller.model_lists = {{ScopeKind::key, {"gpt-5", "openai/*"}},
                          {ScopeKind::team, {"gpt-5", "gpt-6", "*/x"}}};
    caller.aliases = {{"fast", "gpt-5"}, {"gpt-5-free", "gpt-7"}};
    const auto whose = [&](const char* model, const char* group) {
        const auto* list = forbids_model(caller, model, group);
        return list == nullptr ? std::string() : std::string(scope_kind_name(list->whose));
    };
    CHECK(whose("gpt-5", "gpt-5") == "");
    CHECK(whose("gpt-6", "gpt-6") == "api_key");
    CHECK(whose("openai/y", "openai/y") == "team");
    CHECK(whose("openai/x", "") == "");
    CHECK(whose("fast", "gpt-5") == "");
    CHECK(whose("gpt-5-free", "") == "api_key");
    CHECK(whose("router-alias", "gpt-5") == "");
    CHECK(whose("router-alias", "") == "api_key");
    caller.model_lists = {{ScopeKind::key, {}}};
    CHECK(whose("gpt-5", "gpt-5") == "api_key");
    caller.model_lists = {{ScopeKind::user, {"no-default-models"}}};
    CHECK(whose("gpt-5", "gpt-5") == "user");
}
