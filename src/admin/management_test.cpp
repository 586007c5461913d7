#include "admin/management.h"

#include "admin/admin_testing.h"
#include "admin/password.h"
#include "admin/secrets.h"

namespace belay::admin {
namespace {

using testing::Reply;
using testing::World;

// ---- users, teams, organizations
// -----------------------------------------------------------------

TEST_CASE("a user is unique by id and by address, and goes with keys and memberships") {
    World world;
    const Reply made = world.post(
        "/user/new", R"({"user_id":"u","user_email":"U@x.org","max_budget":5,"teams":[]})");
    REQUIRE_MESSAGE(made.status == 200, made.text);
    CHECK(made.body["user_email"].as_string() == "U@x.org");
    CHECK(made.body["user_role"].as_string() == "internal_user");
    CHECK_FALSE(made.body["key"].as_string().empty());
    CHECK(world.post("/user/new", R"({"user_id":"u"})").status == 409);
    CHECK(world.post("/user/new", R"({"user_email":"u@X.ORG"})").status == 409);
    CHECK(world.post("/user/new", R"({"user_id":"v","auto_create_key":false})")
              .body["key"]
              .as_string()
              .empty());
    CHECK(world.post("/user/new", R"({"user_id":"a/b"})").status == 400);
    CHECK(world.post("/user/new", R"({"user_id":"w","teams":["none"]})").status == 404);

    world.post("/team/new", R"({"team_id":"t"})");
    world.post("/team/member_add", R"({"team_id":"t","member":{"role":"user","user_id":"u"}})");
    const Reply info = world.get("/user/info?user_id=u");
    CHECK(info.body["keys"].size() == 1);
    CHECK(info.body["teams"][size_t{0}]["team_memberships"].size() == 1);
    const Reply changed = world.post("/user/update", R"({"user_id":"u","password":"a-long-one"})");
    CHECK(changed.body["data"]["max_budget"].as_int() == 5);
    CHECK(changed.text.find("password") == std::string::npos);
    CHECK(world.get("/user/list?user_email=x.or").body["total"].as_int() == 1);
    CHECK(world.get("/user/list?role=internal_user&page_size=1").body["total_pages"].as_int() == 2);

    CHECK(world.post("/user/delete", R"({"user_ids":["u"]})").text == "1");
    CHECK(world.get("/user/info?user_id=u").status == 404);
    CHECK(world.directory.count(EntityKind::key) == 0);
    CHECK(world.directory.count(EntityKind::team_member) == 0);
    CHECK(world.get("/team/info?team_id=t").body["team_info"]["members"].size() == 0);
    CHECK(world.post("/user/delete", R"({"user_ids":["u"]})").status == 404);
}

TEST_CASE("people change what is their own business and nothing that is not") {
    World world;
    const std::string ann = world.user_key("ann");
    world.user_key("bob");
    CHECK(world.post("/user/update", R"({"user_id":"ann","user_alias":"Ann"})", ann).status == 200);
    for (const char* body :
         {R"({"user_id":"ann","user_role":"proxy_admin"})", R"({"user_id":"ann","max_budget":9})",
          R"({"user_id":"ann","models":["*"]})", R"({"user_id":"bob","user_alias":"x"})",
          R"({"user_id":"ann","metadata":{"copilot_account":"bob"}})"}) {
        CAPTURE(body);
        CHECK(world.post("/user/update", body, ann).status == 403);
    }
    CHECK(world.get("/user/info?user_id=bob", ann).status == 403);
    CHECK(world.get("/user/list", ann).status == 403);
    CHECK(world.post("/user/new", R"({"user_id":"eve","user_role":"proxy_admin"})", ann).status ==
          403);
    CHECK(world.get("/user/info", ann).body["user_id"].as_string() == "ann");
}

TEST_CASE("a team's members come and go in all three places at once") {
    World world;
    CHECK(world
              .post("/team/new", R"({"team_id":"t","team_alias":"T","max_budget":10,
        "soft_budget":5,"members_with_roles":[{"role":"admin","user_id":"lead"}]})")
              .status == 200);
    CHECK(world.post("/team/new", R"({"team_id":"t"})").status == 400);
    CHECK(world.post("/team/new", R"({"team_alias":"x","max_budget":1,"soft_budget":1})").status ==
          400);
    const Reply added =
        world.post("/team/member_add",
                   R"({"team_id":"t","member":[{"role":"user","user_email":"new@x.org"}],
            "max_budget_in_team":2.5,"budget_duration":"1d"})");
    REQUIRE_MESSAGE(added.status == 200, added.text);
    CHECK(added.body["members_with_roles"].size() == 2);
    const std::string user(added.body["updated_users"][size_t{0}]["user_id"].as_string());
    CHECK(added.body["updated_team_memberships"][size_t{0}]["litellm_budget_table"]["max_budget"]
              .number_text() == "2.5");
    CHECK(world
              .post("/team/member_add",
                    R"({"team_id":"t","member":{"role":"user","user_id":"lead"}})")
              .body["error"]["type"]
              .as_string() == "team_member_already_in_team");
    const Reply changed = world.post(
        "/team/member_update", R"({"team_id":"t","user_id":")" + user +
                                   R"(","role":"admin","max_budget_in_team":4,"rpm_limit":3})");
    CHECK(changed.body["role"].as_string() == "admin");
    CHECK(changed.body["max_budget_in_team"].as_int() == 4);
    const auto key = world.key_of(R"({"team_id":"t","user_id":")" + user + R"("})");
    const auto caller = world.directory.caller(governance::key_hash(key));
    bool limited = false;
    for (const auto& scope : caller->scopes) {
        limited = limited || (scope.kind == governance::ScopeKind::team_member &&
                              scope.limits.rpm == 3 && scope.limits.budgets.size() == 1);
    }
    CHECK(limited);

    const std::string gone = R"({"team_id":"t","user_email":"new@x.org"})";
    CHECK(world.post("/team/member_delete", gone).status == 200);
    CHECK(world.post("/team/member_delete", gone).status == 400);
    CHECK(world.directory.caller(governance::key_hash(key)) == nullptr);
    CHECK(world.get("/user/info?user_id=" + user).body["teams"].size() == 0);

    CHECK(world.post("/team/update", R"({"team_id":"t","tpm_limit":10})")
              .body["data"]["tpm_limit"]
              .as_int() == 10);
    CHECK(world.post("/team/update", R"({"team_id":"t","tpm_limit":null})")
              .body["data"]["max_budget"]
              .as_int() == 10);
    CHECK(world.post("/team/delete", R"({"team_ids":["t"]})").status == 200);
    CHECK(world.get("/team/info?team_id=t").status == 404);
    CHECK(world.post("/team/delete", R"({"team_ids":["t"]})").status == 404);
    CHECK(world.get("/v2/team/list?status=deleted").body["total"].as_int() == 1);
}

TEST_CASE("a team's admin leads it, within what those above have set") {
    World world;
    const std::string lead = world.user_key("lead");
    const std::string other = world.user_key("other");
    world.post("/team/new", R"({"team_id":"t","max_budget":10,
                                "members_with_roles":[{"role":"admin","user_id":"lead"}]})");
    const auto update = [&](const char* body, const std::string& key) {
        return world.post("/team/update", body, key).status;
    };
    CHECK(update(R"({"team_id":"t","team_alias":"x"})", lead) == 200);
    CHECK(update(R"({"team_id":"t","max_budget":9})", lead) == 200);
    CHECK(update(R"({"team_id":"t","max_budget":11})", lead) == 403);
    CHECK(update(R"({"team_id":"t","max_budget":null})", lead) == 403);
    CHECK(update(R"({"team_id":"t","spend":0})", lead) == 403);
    CHECK(update(R"({"team_id":"t","team_alias":"y"})", other) == 403);
    CHECK(world.get("/team/info?team_id=t", other).status == 403);
    CHECK(world.get("/team/list", other).body.size() == 0);
    CHECK(world.post("/team/new", "{}", lead).status == 403);
}

TEST_CASE("an organization bounds its teams, and its admin manages inside it") {
    World world;
    const std::string boss = world.user_key("boss");
    const Reply made = world.post("/organization/new",
                                  R"({"organization_id":"o","organization_alias":"O",
                                      "models":["a"],"max_budget":100,"rpm_limit":50})");
    REQUIRE_MESSAGE(made.status == 200, made.text);
    CHECK(made.body["litellm_budget_table"]["max_budget"].as_int() == 100);
    CHECK(world.post("/organization/new", "{}").status == 400);
    world.post("/organization/member_add",
               R"({"organization_id":"o","member":{"role":"org_admin","user_id":"boss"}})");
    struct Case {
        const char* body;
        int status;
    };
    for (const Case& c : {Case{R"({"organization_id":"o","models":["a"],"max_budget":100})", 200},
                          Case{R"({"organization_id":"o","models":["b"]})", 400},
                          Case{R"({"organization_id":"o","max_budget":101})", 400},
                          Case{R"({"organization_id":"o","rpm_limit":51})", 400},
                          Case{R"({"team_alias":"outside"})", 403}}) {
        CAPTURE(c.body);
        CHECK(world.post("/team/new", c.body, boss).status == c.status);
    }
    CHECK(world.post("/user/new", R"({"user_id":"in","organizations":["o"]})", boss).status == 200);
    CHECK(world.get("/user/list", boss).body["total"].as_int() == 2);
    CHECK(world.ask("DELETE", "/organization/delete", R"({"organization_ids":["o"]})").status ==
          400);
    CHECK(world
              .ask("DELETE", "/organization/member_delete",
                   R"({"organization_id":"o","user_id":"in"})", boss)
              .status == 200);
}

TEST_CASE("customers, budgets and tags: made, changed, referred to, removed") {
    World world;
    CHECK(world.post("/budget/new", R"({"budget_id":"b","max_budget":3,"tpm_limit":2})").status ==
          200);
    CHECK(world.post("/budget/new", R"({"budget_id":"b"})").status == 400);
    CHECK(world.post("/budget/update", R"({"budget_id":"b","rpm_limit":7})")
              .body["tpm_limit"]
              .as_int() == 2);
    CHECK(world.post("/customer/new", R"({"user_id":"c","budget_id":"b"})").status == 200);
    CHECK(world.post("/end_user/new", R"({"user_id":"c"})").status == 400);
    CHECK(world.get("/end_user/info?end_user_id=c")
              .body["litellm_budget_table"]["max_budget"]
              .as_int() == 3);
    REQUIRE(world.directory.customer("c") != nullptr);
    CHECK(world.directory.customer("c")->limits.tpm == 2);
    CHECK(world.post("/customer/block", R"({"user_ids":["c"]})").body["blocked_users"].size() == 1);
    CHECK(world.directory.customer("c")->blocked);
    CHECK(world.post("/customer/delete", R"({"user_ids":["c"]})")
              .body["deleted_customers"]
              .as_int() == 1);
    CHECK(world.get("/customer/info?end_user_id=c").status == 404);
    CHECK(world.post("/budget/delete", R"({"id":"b"})").status == 200);
    CHECK(world.post("/budget/info", R"({"budgets":["b"]})").body.size() == 0);

    CHECK(world.post("/tag/new", R"({"name":"night","max_budget":1})").status == 200);
    CHECK(world.post("/tag/new", R"({"name":"night"})").status == 400);
    world.queries.tags = {{"seen", {}}};
    CHECK(world.get("/tag/list").body.size() == 2);
    CHECK(world.post("/tag/info", R"({"names":["night"]})").body["night"]["name"].as_string() ==
          "night");
    CHECK(world.post("/tag/delete", R"({"name":"night"})").body["message"].as_string() ==
          "Tag night deleted successfully");
    CHECK(world.post("/tag/delete", R"({"name":"night"})").status == 404);
}

// ---- models, credentials, chains
// -----------------------------------------------------------------

constexpr std::string_view kUpstreamKey = "sk-upstream-canary-0123456789";

TEST_CASE("a model's secrets are sealed where it is stored and shown nowhere") {
    World world;
    const std::string body = R"({"model_name":"m","litellm_params":{"model":"openai/gpt-x",
        "api_base":"http://127.0.0.1:1","api_key":")" +
                             std::string(kUpstreamKey) +
                             R"(","rpm":5,"extra_headers":{"Authorization":")" +
                             std::string(kUpstreamKey) + R"("}},"model_info":{"id":"m-1"}})";
    const Reply made = world.post("/model/new", body);
    REQUIRE_MESSAGE(made.status == 200, made.text);
    CHECK(made.body["model_id"].as_string() == "m-1");
    CHECK(made.body["model_info"]["db_model"].as_bool());
    CHECK(world.models_changed == 1);
    world.post("/credentials", R"({"credential_name":"c","credential_values":{"api_key":")" +
                                   std::string(kUpstreamKey) + R"("}})");
    std::string everything;
    for (const auto& [id, entity] : world.store.entities) {
        everything += json::dump(entity.doc);
    }
    for (const char* target :
         {"/model/info", "/v2/model/info", "/credentials", "/credentials/by_name/c",
          "/credentials/by_model/m-1", "/config/yaml"}) {
        const Reply shown = world.get(target);
        CHECK(shown.status == 200);
        everything += shown.text;
        CHECK(shown.text.find("sealed:") == std::string::npos);
    }
    CHECK((everything + made.text).find(kUpstreamKey) == std::string::npos);

    const auto stored = world.directory.find(EntityKind::model, "m-1");
    const auto opened = open_members(stored->doc["litellm_params"], *world.seal, "model/m-1");
    REQUIRE(opened.ok());
    CHECK((*opened)["api_key"].as_string() == kUpstreamKey);
    CHECK((*opened)["extra_headers"]["Authorization"].as_string() == kUpstreamKey);
    CHECK((*opened)["rpm"].as_int() == 5);
}

TEST_CASE("models: made once, changed, gone; those of the file cannot be edited") {
    World world;
    auto table = std::make_shared<routing::Table>();
    auto deployment = std::make_shared<routing::Deployment>();
    deployment->id = "from-file";
    deployment->group = "gpt-5-mini";
    deployment->provider = "github_copilot";
    deployment->model = "gpt-5-mini";
    deployment->rpm = 7;
    table->deployments.push_back(deployment);
    world.table = table;
    const std::string body =
        R"({"model_name":"m","litellm_params":{"model":"openai/x"},"model_info":{"id":"m-1"}})";
    CHECK(world.post("/model/new", body).status == 200);
    CHECK(world.post("/model/new", body).status == 400);
    CHECK(world.post("/model/new", R"({"model_name":"m","litellm_params":{}})").status == 400);
    CHECK(world.ask("PATCH", "/model/m-1/update", R"({"litellm_params":{"rpm":9}})")
              .body["litellm_params"]["rpm"]
              .as_int() == 9);
    CHECK(world.post("/model/update", R"({"model_info":{"id":"from-file"},"model_name":"x"})")
              .message()
              .find("Can't edit model") != std::string_view::npos);
    const Reply all = world.get("/v2/model/info?search=gpt");
    CHECK(all.body["total_count"].as_int() == 1);
    const Value& info = all.body["data"][size_t{0}]["model_info"];
    CHECK_FALSE(info["db_model"].as_bool(true));
    CHECK(info["input_cost_per_token"].is_number());
    CHECK(world.get("/model_group/info?model_group=gpt-5-mini")
              .body["data"][size_t{0}]["rpm"]
              .as_int() == 7);
    const std::string key = world.key_of(R"({"models":["gpt-5-mini"]})");
    CHECK(world.get("/model/info", key).body["data"].size() == 1);
    CHECK(world.post("/model/delete", R"({"id":"m-1"})").body["message"].as_string() ==
          "Model: m-1 deleted successfully");
    CHECK(world.post("/model/delete", R"({"id":"m-1"})").status == 400);
    const Reply gone = world.get("/model/info?litellm_model_id=m-1");
    CHECK(gone.status == 400);
    CHECK(gone.message().find("Model id = m-1 not found on litellm proxy") !=
          std::string_view::npos);
    world.settings.store_model_in_db = false;
    const Reply off = world.post("/model/new", body);
    CHECK(off.status == 500);
    CHECK(off.message().find("STORE_MODEL_IN_DB") != std::string_view::npos);

    CHECK(world.post("/fallback", R"({"model":"none","fallback_models":["gpt-5-mini"]})").status ==
          404);
    for (const char* chain : {R"(["none"])", R"(["gpt-5-mini"])", "[]"}) {
        CHECK(world
                  .post("/fallback",
                        R"({"model":"gpt-5-mini","fallback_models":)" + std::string(chain) + "}")
                  .status == 400);
    }
    CHECK(world.get("/fallback/gpt-5-mini").status == 404);
    auto other = std::make_shared<routing::Deployment>(*deployment);
    other->id = "o";
    other->group = "other/one";
    table->deployments.push_back(other);
    CHECK(world.post("/fallback", R"({"model":"gpt-5-mini","fallback_models":["other/one"]})")
              .status == 200);
    CHECK(world.get("/fallback/gpt-5-mini").body["fallback_models"][size_t{0}].as_string() ==
          "other/one");
    CHECK(world.ask("DELETE", "/fallback/gpt-5-mini").status == 200);
    CHECK(world.get("/fallback/gpt-5-mini").status == 404);
}

TEST_CASE("stored settings lie over the file's, are told by field, and never hold the master key") {
    World world;
    world.settings.router_settings = *json::parse(R"({"num_retries":2,"timeout":30})");
    CHECK(world.post("/config/update", R"({"router_settings":{"num_retries":7}})")
              .body["message"]
              .as_string() == "Config updated successfully");
    CHECK(world.models_changed == 1);
    const Reply shown = world.get("/router/settings");
    CHECK(shown.body["current_values"]["num_retries"].as_int() == 7);
    CHECK(shown.body["current_values"]["timeout"].as_int() == 30);
    CHECK(world.post("/config/update", R"({"general_settings":{"master_key":"sk-x"}})").status ==
          400);
    CHECK(world.post("/config/field/update", R"({"field_name":"alerting","field_value":["slack"]})")
              .status == 200);
    CHECK(world.get("/config/field/info?field_name=alerting").body["stored_in_db"].as_bool());
    CHECK(world.post("/config/field/update", R"({"field_name":"odd","field_value":1})").status ==
          400);
    CHECK(world.post("/config/field/delete", R"({"field_name":"alerting"})").status == 200);
    const Reply secret =
        world.post("/config/update", R"({"environment_variables":{"X_KEY":"canary-value-1"}})");
    CHECK(secret.status == 200);
    for (const auto& [id, entity] : world.store.entities) {
        CHECK(json::dump(entity.doc).find("canary-value-1") == std::string::npos);
    }
}

// ---- spend
// ---------------------------------------------------------------------------------------

TEST_CASE("daily activity adds up by day, newest first, with parts by model and key") {
    World world;
    for (const char* date : {"2026-10-01", "2026-10-02", "2026-10-02"}) {
        ledger::DaySum sum;
        sum.date = date;
        sum.key = "k";
        sum.key_alias = "alias";
        sum.user = "u";
        sum.model = "gpt";
        sum.provider = "openai";
        sum.metrics.cost = NanoCredits{1'000'000'000};
        sum.metrics.requests = 2;
        sum.metrics.successes = 1;
        sum.metrics.failures = 1;
        sum.metrics.prompt_tokens = 10;
        world.queries.days.push_back(sum);
    }
    CHECK(world.get("/user/daily/activity").status == 400);
    const Reply page = world.get(
        "/user/daily/activity?start_date=2026-10-01&end_date=2026-10-03&page=1&page_size=1");
    REQUIRE_MESSAGE(page.status == 200, page.text);
    REQUIRE(page.body["results"].size() == 1);
    const Value& day = page.body["results"][size_t{0}];
    CHECK(day["date"].as_string() == "2026-10-02");
    CHECK(day["metrics"]["spend"].number_text() == "0.02");
    CHECK(day["metrics"]["api_requests"].as_int() == 4);
    const Value& model = day["breakdown"]["models"]["gpt"];
    CHECK(model["metrics"]["failed_requests"].as_int() == 2);
    CHECK(model["api_key_breakdown"]["k"]["metadata"]["key_alias"].as_string() == "alias");
    CHECK(page.body["metadata"]["total_pages"].as_int() == 2);
    CHECK(page.body["metadata"]["has_more"].as_bool());
    CHECK(page.body["metadata"]["total_spend"].number_text() == "0.02");
    CHECK(world.get("/user/daily/activity/aggregated?start_date=2026-10-01&end_date=2026-10-03")
              .body["metadata"]["total_spend"]
              .number_text() == "0.03");
    const Reply days =
        world.get("/spend/logs?start_date=2026-09-30&end_date=2026-10-03&summarize=true");
    CHECK(days.body.size() == 4);
    CHECK(days.body[size_t{0}]["spend"].number_text() == "0.0");
    CHECK(days.body[size_t{2}]["k"].number_text() == "0.02");
    const Reply csv =
        world.get("/user/daily/activity/export?start_date=2026-10-01&end_date=2026-10-03");
    CHECK(csv.text.substr(0, 5) == "date,");
}

TEST_CASE("who may not see everything asks the ledger for their own rows only") {
    World world;
    const std::string ann = world.user_key("ann");
    const std::string lead = world.user_key("lead");
    world.post("/team/new",
               R"({"team_id":"t","members_with_roles":[{"role":"admin","user_id":"lead"},
                                                       {"role":"user","user_id":"ann"}]})");
    CHECK(world.get("/spend/logs/ui", ann).status == 200);
    CHECK(world.queries.asked_pages.back().user == "ann");
    CHECK(world.get("/spend/logs/v2?user_id=bob", ann).status == 403);
    CHECK(world.get("/spend/logs?user_id=bob", ann).status == 403);
    CHECK(world.get("/spend/logs/ui?team_id=t", ann).status == 200);
    CHECK(world.queries.asked_pages.back().user == "ann");
    CHECK(world.get("/spend/logs/ui?team_id=t", lead).status == 200);
    CHECK(world.queries.asked_pages.back().user.empty());
    CHECK(world.queries.asked_pages.back().team == "t");
    const std::string days = "?start_date=2026-10-01&end_date=2026-10-02";
    CHECK(world.get("/user/daily/activity" + days, ann).status == 200);
    CHECK(world.queries.asked_days.back().users == std::vector<std::string>{"ann"});
    CHECK(world.get("/user/daily/activity" + days + "&user_id=bob", ann).status == 403);
    CHECK(world.get("/team/daily/activity" + days + "&team_ids=other", ann).status == 403);
    CHECK(world.get("/team/daily/activity" + days, ann).status == 200);
    CHECK(world.queries.asked_days.back().users == std::vector<std::string>{"ann"});
    CHECK(world.get("/team/daily/activity" + days, lead).status == 200);
    CHECK(world.queries.asked_days.back().users.empty());
}

// ---- signing in
// ----------------------------------------------------------------------------------

TEST_CASE("signing in gives a session cookie that ends, and wrong passwords run out") {
    World world;
    world.settings.ui_password = Secret("open-sesame");
    const auto login = [&](const std::string& user, const std::string& password) {
        return world.ask_as("POST", "/v2/login",
                            R"({"username":")" + user + R"(","password":")" + password + R"("})",
                            nullptr);
    };
    const Reply in = login("admin", "open-sesame");
    REQUIRE_MESSAGE(in.status == 200, in.text);
    CHECK(in.body["redirect_url"].as_string() == "/ui/?login=success");
    std::string cookie;
    for (const auto& [name, value] : in.headers) {
        if (name == "Set-Cookie") {
            cookie = value;
        }
    }
    CHECK(cookie.find("; HttpOnly; SameSite=Strict; Max-Age=86400") != std::string::npos);
    const std::string key = cookie.substr(6, cookie.find(';') - 6);
    CHECK(in.text.find(key) == std::string::npos);
    const auto caller = world.directory.caller(governance::key_hash(key));
    REQUIRE(caller != nullptr);
    CHECK(caller->is_admin());
    CHECK(caller->expires_ms == unix_millis(world.clock.now) + 86'400'000);
    CHECK(world.get("/key/list", key).body["total_count"].as_int() == 0);
    CHECK(world.key_of("{}") != key);  // a key of the master key's is no administrator's
    CHECK(world.post("/logout", "{}", key).status == 200);
    CHECK(world.directory.caller(governance::key_hash(key)) == nullptr);

    world.post("/user/new", R"({"user_id":"u","user_email":"u@x.org"})");
    const Reply invited = world.post("/invitation/new", R"({"user_id":"u"})");
    const std::string link(invited.body["id"].as_string());
    const std::string claim = R"({"invitation_link":")" + link + R"(","user_id":"u","password":)";
    CHECK(world.ask_as("POST", "/onboarding/claim_token", claim + R"("short"})", nullptr).status ==
          400);
    CHECK(world.ask_as("POST", "/onboarding/claim_token", claim + R"("long-enough"})", nullptr)
              .status == 200);
    CHECK(world.ask_as("POST", "/onboarding/claim_token", claim + R"("long-enough"})", nullptr)
              .status == 401);
    CHECK(login("U@x.org", "long-enough").body["user_role"].as_string() == "internal_user");

    const Reply bad = login("admin", "guess");
    CHECK(bad.status == 401);
    CHECK(bad.message() ==
          "Invalid credentials used to access UI.\nNot valid credentials for admin");
    for (int i = 1; i < LoginGuard::kMost; ++i) {
        CHECK(login("nobody", "guess").status == 401);
    }
    CHECK(login("admin", "open-sesame").status == 429);
    world.clock.now += seconds(61);
    CHECK(login("admin", "open-sesame").status == 200);
}

TEST_CASE("passwords are salted, and only the right one matches") {
    const std::string a = hash_password("correct horse");
    CHECK(a != hash_password("correct horse"));
    CHECK(password_matches("correct horse", a));
    CHECK_FALSE(password_matches("correct horsf", a));
    // Made with LiteLLM's hash_password().
    constexpr std::string_view kTheirs =
        "scrypt:"
        "AAECAwQFBgcICQoLDA0ODyWzdoQDZvTTsOIeQUR2Z2480Oia9EMDVqI0zgtloCG1";
    CHECK(password_matches("correct horse", kTheirs));
    CHECK_FALSE(password_matches("correct horsf", kTheirs));
    CHECK_FALSE(password_matches("", "scrypt:"));
    for (const char* stored : {"", "scrypt", "scrypt:30:8:1:ab:cd",
                               "5e884898da28047151d0e56f8dc62"
                               "92773603d0d6aabbdd62a11ef721d"
                               "1542d8"}) {
        CHECK_FALSE(password_matches("password", stored));
    }
}

TEST_CASE("the audit log tells who did what, without secrets") {
    World world;
    world.settings.store_audit_logs = true;
    world.post("/model/new", R"({"model_name":"m","litellm_params":{"model":"openai/x",
        "api_key":"sk-upstream-canary-0123456789"},"model_info":{"id":"m-1"}})");
    world.post("/model/delete", R"({"id":"m-1"})");
    const Reply log = world.get("/audit?table_name=LiteLLM_ProxyModelTable&sort_order=asc");
    REQUIRE(log.body["total"].as_int() == 2);
    CHECK(log.body["audit_logs"][size_t{0}]["object_id"].as_string() == "m-1");
    CHECK(world.get("/audit?action=deleted").body["total"].as_int() == 1);
    CHECK(log.text.find("litellm_params") == std::string::npos);
    const std::string id(log.body["audit_logs"][size_t{0}]["id"].as_string());
    CHECK(world.get("/audit/" + id).body["id"].as_string() == id);
}

}  // namespace
}  // namespace belay::admin
