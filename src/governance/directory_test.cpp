#include "governance/directory.h"

#include <doctest/doctest.h>

#include <thread>

#include "base/clock.h"
#include "governance/documents.h"
#include "governance/entity_store.h"
#include "governance/keys.h"

using namespace belay;
using namespace belay::governance;

namespace {

int64_t next_version = 1;

Entity entity(EntityKind kind, const char* id, const char* text) {
    auto doc = json::parse(text);
    REQUIRE(doc.ok());
    return {kind, id, std::move(*doc), next_version++};
}

NanoCredits usd(const char* text) { return *parse_usd(text); }

std::string scope_line(const Caller& caller) {
    std::string line;
    for (const auto& scope : caller.scopes) {
        line += (line.empty() ? "" : " ") + std::string(scope_kind_name(scope.kind)) + ":" +
                scope.id + (scope.budgets_apply ? "" : "(counts)");
    }
    return line;
}

std::string names(const std::vector<Directory::EntityPtr>& entities) {
    std::string line;
    for (const auto& one : entities) {
        line += (line.empty() ? "" : " ") + one->id;
    }
    return line;
}

std::string denied_by(const Caller& caller, const char* model) {
    const auto* list = forbids_model(caller, model, model);
    return list == nullptr ? "" : std::string(scope_kind_name(list->whose));
}

}  // namespace

// Who a request counts for: a team's key counts for member and team, its owner's budget does not
// refuse; the organization is the key's or its team's.
TEST_CASE("scopes") {
    Directory directory;
    directory.apply(
        {entity(EntityKind::key, "personal", R"({"user_id":"u","key_name":"sk-...aaaa"})"),
         entity(EntityKind::key, "team", R"({"user_id":"u","team_id":"t","key_alias":"ci",
                                             "key_name":"sk-...bbbb"})"),
         entity(EntityKind::key, "service", R"({"team_id":"t","organization_id":"o2"})"),
         entity(EntityKind::key, "bare", "{}"),
         entity(EntityKind::key, "tagged", R"({"metadata":{"tags":["x","unknown"]}})"),
         entity(EntityKind::user, "u", R"({"max_budget":5,"user_role":"proxy_admin_viewer",
                                           "user_email":"U@example.com"})"),
         entity(EntityKind::team, "t", R"({"organization_id":"o1","max_budget":7,
                                           "metadata":{"tags":["z"]}})"),
         entity(EntityKind::tag, "x", R"({"max_budget":1})")});
    const std::string global = " global:litellm-proxy-budget";
    const auto line = [&](const char* key) { return scope_line(*directory.caller(key)); };
    CHECK(line("personal") == "api_key:personal user:u" + global);
    CHECK(line("team") ==
          "api_key:team team_member:t/u team:t user:u(counts) organization:o1" + global);
    CHECK(line("service") == "api_key:service team:t organization:o2" + global);
    CHECK(line("bare") == "api_key:bare" + global);
    CHECK(line("tagged") == "api_key:tagged" + global + " tag:x");
    CHECK(directory.caller("nobody") == nullptr);
    CHECK(directory.caller("") == nullptr);

    const CallerPtr team = directory.caller("team");
    CHECK(team == directory.caller("team"));  // made once
    CHECK(team->scopes[0].shown == "ci (sk-...bbbb)");
    CHECK(team->scopes[1].shown == "u in Team=t");
    CHECK(team->scopes[2].limits.budgets[0].most == usd("7"));
    CHECK(team->tags == std::vector<std::string>{"z"});
    CHECK(team->role == Role::proxy_admin_viewer);
    CHECK(team->user_email == "U@example.com");
    CHECK(directory.caller("bare")->role == Role::internal_user);
    CHECK(directory.caller("bare")->scopes[0].shown == "sk-...");

    const CallerPtr user = directory.caller_of_user("u");
    REQUIRE(user != nullptr);
    CHECK(scope_line(*user) == "user:u" + global);
    CHECK(directory.caller_of_user("x") == nullptr);
    CHECK(scope_line(*directory.master()) == "global:litellm-proxy-budget(counts)");
    CHECK(directory.master()->is_admin());
}

// Fields give the limits that LiteLLM's documents mean, from the entity, its budget or its team.
TEST_CASE("limits") {
    Directory directory;
    directory.apply(
        {entity(EntityKind::budget, "b", R"({"max_budget":3,"budget_duration":"7d","rpm_limit":9,
            "budget_reset_at":"2026-10-05T00:00:00Z","model_max_budget":{"m":{"max_budget":1}}})"),
         entity(EntityKind::key, "own",
                R"({"max_budget":0.1,"budget_duration":"30d","tpm_limit":100,
            "rpm_limit":60,"max_parallel_requests":4,"soft_budget":0.05,"spend":0.000000000015,
            "budget_reset_at":"2026-11-01T00:00:00Z","max_premium_requests":1.5,
            "budget_limits":[{"budget_duration":"1d","max_budget":0.02},
                             {"budget_duration":"1h","max_budget":0.01}],
            "model_max_budget":{"gpt-5":{"budget_limit":0.07,"time_period":"1d"},
                                "o3":{"max_budget":1,"budget_duration":"30d"},"raw":2},
            "model_rpm_limit":{"gpt-5":5},"metadata":{"model_tpm_limit":{"o4":7},
            "temp_budget_increase":1,"temp_budget_expiry":"2026-12-01T00:00:00Z"}})"),
         entity(EntityKind::key, "by_budget", R"({"budget_id":"b"})"),
         entity(EntityKind::key, "both", R"({"budget_id":"b","max_budget":1,"rpm_limit":null})"),
         entity(EntityKind::key, "lost", R"({"budget_id":"gone"})"),
         entity(EntityKind::key, "credits", R"({"metadata":{"max_credits":150,"credits_floor":500.5,
            "premium_floor":3,"copilot_account":"acct-ana"}})"),
         entity(EntityKind::account, "acct-ana", R"({"user_id":"ana"})"),
         entity(EntityKind::key, "odd", R"({"max_budget":"x","rpm_limit":-3,"tpm_limit":"9"})"),
         entity(EntityKind::key, "huge", R"({"max_budget":1e300,"rpm_limit":1e300})"),
         entity(EntityKind::team, "t", R"({"team_member_budget":2,"team_member_rpm_limit":3})"),
         entity(EntityKind::team, "t2", R"({"metadata":{"team_member_budget_id":"b"}})"),
         entity(EntityKind::team_member, "t/u2", R"({"max_budget_in_team":9})"),
         entity(EntityKind::key, "m1", R"({"team_id":"t","user_id":"u1"})"),
         entity(EntityKind::key, "m2", R"({"team_id":"t","user_id":"u2"})"),
         entity(EntityKind::key, "m3", R"({"team_id":"t2","user_id":"u3"})")});

    const Scope own = directory.caller("own")->scopes[0];
    REQUIRE(own.limits.budgets.size() == 3);
    CHECK(own.limits.budgets[0].most == usd("0.1"));
    CHECK(own.limits.budgets[0].duration == "30d");
    CHECK(own.limits.budgets[0].refuse_at_equal);
    CHECK(own.limits.budgets[0].reset_at_ms == unix_millis(parse_utc("2026-11-01T00:00:00Z")));
    CHECK(own.limits.budgets[0].most_at(unix_millis(parse_utc("2026-11-30T00:00:00Z"))) ==
          usd("1.1"));
    CHECK(own.limits.budgets[0].most_at(unix_millis(parse_utc("2026-12-01T00:00:00Z"))) ==
          usd("0.1"));
    CHECK(own.limits.budgets[2].duration == "1h");
    CHECK(own.limits.budgets[2].most == usd("0.01"));
    CHECK(own.limits.soft_budget == usd("0.05"));
    CHECK(own.limits.rpm == 60);
    CHECK(own.limits.tpm == 100);
    CHECK(own.limits.max_parallel == 4);
    CHECK(own.limits.premium_milli == 1500);
    CHECK(own.spent_before.value == 2);  // half a nano-credit is rounded once
    REQUIRE(own.limits.models.size() == 4);
    CHECK(own.limits.models[0].model == "gpt-5");
    CHECK(own.limits.models[0].budget->most == usd("0.07"));
    CHECK(own.limits.models[0].budget->duration == "1d");
    CHECK(own.limits.models[0].rpm == 5);
    CHECK(own.limits.models[1].budget->duration == "30d");
    CHECK(own.limits.models[2].budget->most == usd("2"));
    CHECK(own.limits.models[3].model == "o4");
    CHECK(own.limits.models[3].tpm == 7);

    const auto limits = [&](const char* key, size_t scope = 0) {
        return directory.caller(key)->scopes[scope].limits;
    };
    CHECK(limits("by_budget").budgets[0].most == usd("3"));
    CHECK(limits("by_budget").budgets[0].duration == "7d");
    CHECK(limits("by_budget").rpm == 9);
    CHECK(limits("by_budget").models.size() == 1);
    CHECK(limits("both").budgets[0].most == usd("1"));
    CHECK(limits("both").budgets[0].duration.empty());
    CHECK(limits("both").rpm == 9);
    CHECK(limits("lost").empty());
    CHECK(limits("credits").budgets[0].most == usd("1.5"));
    CHECK(directory.caller("credits")->credits_floor == 500'500'000'000);
    CHECK(directory.caller("credits")->account == "acct-ana");
    // What makes no sense is the strictest, never "no limit".
    CHECK(limits("odd").budgets[0].most.value == 0);
    CHECK(limits("odd").rpm == 0);
    CHECK(limits("odd").tpm == 0);
    CHECK(limits("huge").budgets[0].most.value == INT64_MAX);
    CHECK(limits("huge").rpm == INT64_MAX);
    CHECK(limits("m1", 1).budgets[0].most == usd("2"));
    CHECK(limits("m1", 1).rpm == 3);
    CHECK(limits("m2", 1).budgets[0].most == usd("9"));
    CHECK(limits("m3", 1).budgets[0].most == usd("3"));
}

// Which models: lists of key, member, team, user, organization; access groups; the special names.
TEST_CASE("models") {
    Directory directory;
    directory.set_defaults({.access_groups = {{"beta", {"gpt-6"}}, {"none", {}}}});
    directory.apply(
        {entity(EntityKind::access_group, "g1", R"({"access_group_name":"fast",
            "access_model_names":["mini"]})"),
         entity(EntityKind::model, "dep", R"({"model_name":"o3","model_info":{
            "access_groups":["beta"]}})"),
         entity(EntityKind::team, "t", R"({"models":["gpt-5","mini"],"default_team_member_models":
            ["gpt-5"],"model_aliases":{"small":"mini"}})"),
         entity(EntityKind::team, "all", R"({"models":["all-proxy-models"]})"),
         entity(EntityKind::team_member, "t/boss", R"({"allowed_models":["mini"]})"),
         entity(EntityKind::user, "none", R"({"models":["no-default-models"]})"),
         entity(EntityKind::organization, "o", R"({"models":["gpt-5"]})"),
         entity(EntityKind::key, "k1", R"({"models":[]})"),
         entity(EntityKind::key, "k2", R"({"models":["beta","x/*"],"aliases":{"a":"gpt-6"}})"),
         entity(EntityKind::key, "k3", R"({"models":[],"access_group_ids":["g1"]})"),
         entity(EntityKind::key, "k4", R"({"models":[],"access_group_ids":["unknown"]})"),
         entity(EntityKind::key, "k5", R"({"models":["none"]})"),
         entity(EntityKind::key, "k6", R"({"models":["all-team-models"],"team_id":"t",
            "user_id":"boss"})"),
         entity(EntityKind::key, "k7", R"({"models":["all-team-models"]})"),
         entity(EntityKind::key, "k8", R"({"models":["all-proxy-models"],"team_id":"all",
            "user_id":"none"})"),
         entity(EntityKind::key, "k9", R"({"user_id":"none"})"),
         entity(EntityKind::key, "k10", R"({"organization_id":"o"})"),
         entity(EntityKind::key, "k11", R"({"team_id":"t","user_id":"other"})")});
    struct Case {
        const char* key;
        const char* model;
        const char* denied_by;
    };
    for (const auto& c : {Case{"k1", "anything", ""}, {"k2", "gpt-6", ""},
                          {"k2", "o3", ""},           {"k2", "x/y", ""},
                          {"k2", "gpt-5", "api_key"}, {"k2", "a", ""},
                          {"k3", "mini", ""},         {"k3", "gpt-5", "api_key"},
                          {"k4", "mini", "api_key"},  {"k5", "mini", "api_key"},
                          {"k6", "mini", ""},         {"k6", "gpt-5", "team_member"},
                          {"k6", "small", ""},        {"k7", "mini", "api_key"},
                          {"k8", "any", ""},          {"k9", "any", "user"},
                          {"k10", "gpt-5", ""},       {"k10", "mini", "organization"},
                          {"k11", "gpt-5", ""},       {"k11", "mini", "team_member"}}) {
        CAPTURE(c.key);
        CAPTURE(c.model);
        CHECK(denied_by(*directory.caller(c.key), c.model) == c.denied_by);
    }
}

// What else a Caller says: state, routes, metadata under the team's, the word about prompts.
TEST_CASE("the rest of a caller") {
    Directory directory;
    directory.apply(
        {entity(EntityKind::team, "t", R"({"blocked":true,"team_alias":"T","metadata":{"a":1,"b":1,
            "store_prompts_in_spend_logs":true,"allow_client_mock_response":true}})"),
         entity(EntityKind::team, "quiet", R"({"metadata":{"turn_off_message_logging":true}})"),
         entity(EntityKind::key, "k", R"({"team_id":"t","blocked":true,"key_type":"llm_api",
            "expires":"2026-10-01T00:00:00Z","metadata":{"b":2,"tags":["p","p","q"]}})"),
         entity(EntityKind::key, "k2", R"({"team_id":"quiet","allowed_routes":["/v1/models"],
            "key_type":"llm_api","metadata":{"store_prompts_in_spend_logs":true}})"),
         entity(EntityKind::key, "k3", R"({"expires":"soon"})"),
         entity(EntityKind::key, "old", R"({"active_token_id":"k","revoke_at":
            "2026-09-01T00:00:00Z"})"),
         entity(EntityKind::key, "older", R"({"active_token_id":"gone"})"),
         entity(EntityKind::key, "first", R"({"active_token_id":"old","revoke_at":
            "2026-09-20T00:00:00Z"})"),
         entity(EntityKind::key, "loop", R"({"active_token_id":"loop"})"),
         entity(EntityKind::key, "odd", R"({"active_token_id":7})")});
    const CallerPtr k = directory.caller("k");
    CHECK(k->blocked);
    CHECK(k->team_blocked);
    CHECK(k->team_alias == "T");
    CHECK(k->expires_ms == unix_millis(parse_utc("2026-10-01T00:00:00Z")));
    CHECK(k->allowed_routes == std::vector<std::string>{"llm_api_routes"});
    CHECK(k->metadata["a"].as_int() == 1);
    CHECK(k->metadata["b"].as_int() == 2);
    CHECK(k->tags == std::vector<std::string>{"p", "q"});
    CHECK(k->store_prompts == true);
    CHECK(k->allow_client_mock);
    CHECK(directory.caller("k2")->store_prompts == false);
    CHECK(directory.caller("k2")->allowed_routes == std::vector<std::string>{"/v1/models"});
    CHECK_FALSE(directory.caller("k3")->store_prompts.has_value());
    CHECK(directory.caller("k3")->expires_ms == 1);  // no time: over, not for ever
    // The secret before a regeneration is the same key, for a while.
    const CallerPtr old = directory.caller("old");
    CHECK(old->key_hash == "k");
    CHECK(old->expires_ms == unix_millis(parse_utc("2026-09-01T00:00:00Z")));
    CHECK(directory.caller("older") == nullptr);
    // Regenerated twice: still the newest key's limits, until the first of the periods is over.
    CHECK(directory.caller("first")->key_hash == "k");
    CHECK(directory.caller("first")->team_id == "t");
    CHECK(directory.caller("first")->expires_ms == old->expires_ms);
    CHECK(directory.caller("loop") == nullptr);
    CHECK(directory.caller("odd") == nullptr);
}

// LiteLLM's proxy budget of 0 is no budget, unlike a key's.
TEST_CASE("the global budget") {
    Directory directory;
    directory.apply({entity(EntityKind::key, "k", "{}")});
    Directory::Defaults defaults;
    defaults.global.budgets = {BudgetWindow()};
    directory.set_defaults(defaults);
    CHECK(directory.caller("k")->scopes.back().limits.empty());
    defaults.global.budgets[0].most = usd("5");
    directory.set_defaults(defaults);
    CHECK(directory.caller("k")->scopes.back().limits.budgets[0].most == usd("5"));
}

// Customers and tags have scopes when something is known of them; a default budget makes all known.
TEST_CASE("customers") {
    Directory directory;
    directory.apply({entity(EntityKind::customer, "c", R"({"blocked":true,"spend":1})"),
                     entity(EntityKind::customer, "rich", R"({"max_budget":100})"),
                     entity(EntityKind::budget, "b", R"({"max_budget":2,"rpm_limit":1})"),
                     entity(EntityKind::tag, "x", R"({"budget_id":"b"})")});
    REQUIRE(directory.customer("c") != nullptr);
    CHECK(directory.customer("c")->blocked);
    CHECK(directory.customer("c")->limits.empty());
    CHECK(directory.customer("new") == nullptr);
    CHECK(directory.tag("x")->limits.budgets[0].most == usd("2"));
    CHECK(directory.tag("y") == nullptr);

    directory.set_defaults({.customer_budget_id = "b"});
    REQUIRE(directory.customer("new") != nullptr);
    CHECK(directory.customer("new") == directory.customer("new"));
    CHECK(directory.customer("new")->limits.budgets[0].most == usd("2"));
    CHECK(directory.customer("new")->limits.rpm == 1);
    CHECK(directory.customer("rich")->limits.budgets[0].most == usd("100"));
    BudgetWindow window;
    window.most = usd("4");
    directory.set_defaults({.customer_budget = window});
    CHECK(directory.customer("new")->limits.budgets[0].most == usd("4"));
    CHECK(directory.customer("rich")->limits.budgets.size() == 1);
}

// Indexes follow every change, and what is deleted is gone from all of them.
TEST_CASE("indexes") {
    Directory directory;
    const uint64_t before = directory.generation();
    directory.apply(
        {entity(EntityKind::key, "k1", R"({"key_alias":"a","user_id":"u","team_id":"t"})"),
         entity(EntityKind::key, "k2", R"({"key_alias":"b","user_id":"u"})"),
         entity(EntityKind::user, "u", R"({"user_email":"Ana@Example.com","teams":["t2"]})"),
         entity(EntityKind::team, "t", "{}"), entity(EntityKind::team, "t2", "{}"),
         entity(EntityKind::team_member, "t/u", "{}"),
         entity(EntityKind::team_member, "t/v", R"({"user_id":"v","team_id":"t"})")});
    CHECK(directory.generation() == before + 1);
    CHECK(directory.version() == next_version - 1);
    CHECK(directory.key_by_alias("a")->id == "k1");
    CHECK(directory.user_by_email("ana@example.COM")->id == "u");
    CHECK(names(directory.keys_of_user("u")) == "k1 k2");
    CHECK(names(directory.keys_of_team("t")) == "k1");
    CHECK(names(directory.members_of_team("t")) == "t/u t/v");
    CHECK(names(directory.teams_of_user("u")) == "t t2");
    CHECK(names(directory.list(EntityKind::key)) == "k1 k2");
    CHECK(names(directory.list(EntityKind::key,
                               [](const Entity& one) { return one.id == "k2"; })) == "k2");
    CHECK(directory.count(EntityKind::team) == 2);

    const CallerPtr held = directory.caller("k1");
    Entity late = entity(EntityKind::key, "k1", R"({"key_alias":"late"})");
    directory.apply({entity(EntityKind::key, "k1", R"({"key_alias":"c","user_id":"v"})"),
                     {EntityKind::key, "k2", {}, next_version++},
                     {EntityKind::team_member, "t/u", {}, next_version++},
                     {EntityKind::user, "u", {}, next_version++}});
    directory.apply({late});        // an older write that arrives afterwards
    CHECK(held->key_alias == "a");  // a reader keeps what it holds
    CHECK(directory.caller("k1")->key_alias == "c");
    CHECK(directory.key_by_alias("a") == nullptr);
    CHECK(directory.key_by_alias("late") == nullptr);
    CHECK(directory.key_by_alias("b") == nullptr);
    CHECK(directory.user_by_email("ana@example.com") == nullptr);
    CHECK(names(directory.keys_of_user("u")).empty());
    CHECK(names(directory.keys_of_user("v")) == "k1");
    CHECK(names(directory.keys_of_team("t")).empty());
    CHECK(names(directory.members_of_team("t")) == "t/v");
    CHECK(names(directory.teams_of_user("u")).empty());
    CHECK(directory.caller("k2") == nullptr);
    CHECK(directory.find(EntityKind::key, "k2") == nullptr);
}

// Readers on other threads see either the state before a write or the one after it.
TEST_CASE("readers beside a writer") {
    Directory directory;
    directory.apply({entity(EntityKind::key, "k", R"({"key_alias":"0","user_id":"0"})")});
    std::atomic<bool> done{false};
    std::atomic<int> torn{0};
    std::vector<std::thread> readers;
    for (int i = 0; i < 2; ++i) {
        readers.emplace_back([&] {
            while (!done) {
                const CallerPtr caller = directory.caller("k");
                torn += caller == nullptr || caller->key_alias != caller->user_id;
                (void)directory.customer("c");
                torn += directory.list(EntityKind::key).size() != 1;
            }
        });
    }
    for (int i = 0; i < 300; ++i) {
        const std::string n = std::to_string(i);
        json::Value doc = json::Value::object();
        doc.set("key_alias", n);
        doc.set("user_id", n);
        directory.apply({{EntityKind::key, "k", doc, next_version++}});
    }
    done = true;
    for (auto& reader : readers) {
        reader.join();
    }
    CHECK(torn == 0);
}

TEST_CASE("a key is found under the secret's hash, and where it stood before there was one") {
    Directory directory;
    const std::string old_hash = key_hash("sk-from-before-0123");
    directory.apply({entity(EntityKind::key, old_hash.c_str(), R"({"key_alias":"old"})")});
    directory.set_key_secret(Secret("0123456789abcdef"));
    CHECK(directory.key_id("sk-from-before-0123") == old_hash);
    CHECK(directory.caller(directory.key_id("sk-from-before-0123"))->key_alias == "old");

    const std::string id = directory.key_id("sk-new-0123456789");
    CHECK(id.size() == 64);
    CHECK(id != key_hash("sk-new-0123456789"));
    directory.apply({entity(EntityKind::key, id.c_str(), R"({"key_alias":"new"})")});
    // The key, its id and LiteLLM's hash of it all name it; a hash lets nobody in.
    CHECK(directory.id_of("sk-new-0123456789") == id);
    CHECK(directory.id_of(id) == id);
    CHECK(directory.id_of(key_hash("sk-new-0123456789")) == id);
    CHECK(directory.caller(directory.key_id(id)) == nullptr);
    CHECK(directory.caller(directory.key_id(old_hash)) == nullptr);
}

TEST_CASE("a seat is its owner's: who has connected one, and which keys it serves") {
    Directory directory;
    directory.apply(
        {entity(EntityKind::account, "acct-a", R"({"user_id":"ann","connected_at":"2026-10-01"})"),
         entity(EntityKind::account, "acct-b", R"({"user_id":"bob"})"),
         entity(EntityKind::key, "anns", R"({"user_id":"ann"})"),
         entity(EntityKind::key, "bobs", R"({"user_id":"bob"})"),
         entity(EntityKind::key, "stolen",
                R"({"user_id":"bob","metadata":{"copilot_account":"acct-a"}})"),
         entity(EntityKind::key, "lead", R"({"user_id":"ann","seat_withheld":true})"),
         entity(EntityKind::key, "service", R"({"metadata":{"copilot_account":"acct-a"}})"),
         entity(EntityKind::team, "t", R"({"metadata":{"copilot_account":"acct-a"}})"),
         entity(EntityKind::key, "teams", R"({"team_id":"t"})"),
         entity(EntityKind::key, "gone", R"({"metadata":{"copilot_account":"acct-x"}})")});
    for (const auto& [key, account] : {std::pair{"anns", "acct-a"},
                                       {"bobs", ""},
                                       {"stolen", ""},
                                       {"lead", ""},
                                       {"service", "acct-a"},
                                       {"teams", ""},
                                       {"gone", ""}}) {
        CAPTURE(key);
        CHECK(directory.caller(key)->account == account);
    }
}

TEST_CASE("a directory that has missed deletions begins anew") {
    struct Restored final : EntityStore {
        int64_t asked_first = -1;
        Result<std::vector<Entity>> changes_since(int64_t version, size_t /*limit*/) override {
            asked_first = asked_first < 0 ? version : asked_first;
            if (version > 1) {
                Error error;
                error.code = "reload";
                return error;
            }
            if (version == 1) {
                return std::vector<Entity>{};
            }
            return std::vector<Entity>{
                {EntityKind::team, "kept", json::Value::object({{"team_id", "kept"}}), 1}};
        }
        Result<std::vector<Entity>> apply(const std::vector<Change>& /*changes*/) override {
            return std::vector<Entity>{};
        }
        [[nodiscard]] bool reachable() const override { return true; }
    };
    Restored store;
    Directory directory;
    directory.apply({{EntityKind::team, "gone", json::Value::object({{"team_id", "gone"}}), 7}});
    bool models = false;
    const auto changed = read_changes(store, directory, &models);
    REQUIRE(changed.ok());
    CHECK(*changed);
    CHECK(models);
    CHECK(store.asked_first == 7);
    CHECK(directory.find(EntityKind::team, "gone") == nullptr);
    CHECK(directory.find(EntityKind::team, "kept") != nullptr);
    CHECK(directory.version() == 1);
}
