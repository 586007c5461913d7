#include "admin/admin_testing.h"

namespace belay::admin {
namespace {

using testing::Reply;
using testing::World;

constexpr std::string_view kChosen = "sk-chosen-0123456789abcdef";

TEST_CASE("a generated key is known by its hash, and its clear text is given once") {
    World world;
    const Reply made = world.post(
        "/key/generate",
        R"({"key_alias":"ci","models":["gpt-5-mini"],"max_budget":10.0,"budget_duration":"30d",
            "rpm_limit":60,"duration":"24h","tags":["night"],"metadata":{"a":1}})");
    REQUIRE_MESSAGE(made.status == 200, made.text);
    const std::string key(made.body["key"].as_string());
    const std::string hash = governance::key_hash(key);
    CHECK(key.substr(0, 3) == "sk-");
    CHECK(made.body["token"].as_string() == hash);
    CHECK(made.body["token_id"].as_string() == hash);
    CHECK(made.body["key_name"].as_string() == governance::key_name(key));
    CHECK(made.body["max_budget"].number_text() == "10.0");
    CHECK(made.body["spend"].number_text() == "0.0");
    CHECK(made.body["expires"].as_string() == "2026-10-04T09:00:00.000Z");
    CHECK(made.body["budget_reset_at"].as_string().substr(0, 10) == "2026-11-01");
    CHECK(made.body["metadata"]["tags"][size_t{0}].as_string() == "night");
    CHECK(made.body["created_at"].as_string() == "2026-10-03T09:00:00.000Z");
    CHECK(made.body["user_id"].as_string() == "default_user_id");
    CHECK(made.body["team_id"].is_null());

    const auto caller = world.directory.caller(hash);
    REQUIRE(caller != nullptr);
    CHECK(caller->key_alias == "ci");
    for (const char* target : {"/key/info?key=", "/key/list?return_full_object=true&key_hash="}) {
        const Reply shown = world.get(target + hash);
        CHECK(shown.status == 200);
        CHECK(shown.text.find(key) == std::string::npos);
    }
    for (const auto& [id, entity] : world.store.entities) {
        CHECK(json::dump(entity.doc).find(key) == std::string::npos);
    }
}

TEST_CASE("/key/info echoes the key as it was given, and the caller's own without one") {
    World world;
    const std::string key = world.key_of("{}");
    const std::string hash = governance::key_hash(key);
    CHECK(world.get("/key/info?key=" + key).body["key"].as_string() == key);
    CHECK(world.get("/key/info?key=" + hash).body["key"].as_string() == hash);
    const Reply own = world.get("/key/info", key);
    CHECK(own.body["key"].as_string() == hash);
    CHECK_FALSE(own.body["info"].has("token"));
    CHECK(world.get("/key/info?key=sk-unknown-0123456789").status == 404);
}

TEST_CASE("each mistake in a new key has its status and names itself") {
    World world;
    world.post("/key/generate", R"({"key_alias":"taken"})");
    world.post("/team/new", R"({"team_id":"t","models":["a","b*"]})");
    world.settings.upperbound_key_generate_params =
        *json::parse(R"({"max_budget":100,"rpm_limit":1000,"duration":"30d"})");
    struct Case {
        const char* body;
        int status;
        const char* part;
    };
    const Case cases[] = {
        {R"({"max_budget":-1})", 400, "max_budget cannot be negative"},
        {R"({"soft_budget":-0.5})", 400, "soft_budget cannot be negative"},
        {R"({"budget_duration":"soon"})", 400, "budget_duration"},
        {R"({"duration":"1x"})", 400, "duration"},
        {R"({"budget_limits":[{"budget_duration":"1d"}]})", 400, "budget_limits"},
        {R"({"model_max_budget":{"m":{"budget_limit":"x"}}})", 400, "model_max_budget"},
        {R"({"key_alias":"taken"})", 400, "Key with alias 'taken' already exists"},
        {R"({"key":"short"})", 400, "sk-"},
        {R"({"key":"pk-0123456789abcdef01"})", 400, "sk-"},
        {R"({"team_id":"none"})", 404, "Team not found, passed team_id=none"},
        {R"({"budget_id":"none"})", 400, "Budget not found"},
        {R"({"team_id":"t","models":["c"]})", 403, "Model=c"},
        {R"({"max_budget":101})", 400, "max_budget is over max limit"},
        {R"({"rpm_limit":1001})", 400, "rpm_limit is over max limit"},
        {R"({"duration":"31d"})", 400, "duration is over max limit"},
    };
    const size_t before = world.store.entities.size();
    for (const Case& c : cases) {
        CAPTURE(c.body);
        const Reply reply = world.post("/key/generate", c.body);
        CHECK(reply.status == c.status);
        CHECK_MESSAGE(reply.message().find(c.part) != std::string_view::npos, reply.text);
    }
    CHECK(world.store.entities.size() == before);
    CHECK(world.post("/key/generate", R"({"team_id":"t","models":["a","b-2"]})").status == 200);
}

TEST_CASE("an update changes what is named, null clears, the rest stays") {
    World world;
    const std::string key = world.key_of(R"({"rpm_limit":5,"tpm_limit":7,"max_budget":3.5,
                                            "budget_duration":"1d","metadata":{"a":1}})");
    const std::string start = R"({"key":")" + key + R"(",)";
    Reply changed = world.post("/key/update", start + R"("tpm_limit":10})");
    CHECK(changed.status == 200);
    CHECK(changed.body["key"].as_string() == key);
    CHECK(changed.body["tpm_limit"].as_int() == 10);
    changed = world.post("/key/update", start + R"("tpm_limit":null,"budget_duration":null})");
    CHECK(changed.body["tpm_limit"].is_null());
    CHECK(changed.body["budget_reset_at"].is_null());
    CHECK(changed.body["rpm_limit"].as_int() == 5);
    CHECK(changed.body["max_budget"].number_text() == "3.5");
    CHECK(changed.body["metadata"]["a"].as_int() == 1);
    CHECK(world.post("/key/update", R"({"key":"sk-none-0123456789ab","rpm_limit":1})").status ==
          404);
    CHECK(world.directory.caller(governance::key_hash(key))->scopes[0].limits.rpm == 5);
}

TEST_CASE("a deleted key is gone at once and kept for reports") {
    World world;
    const std::string key = world.key_of(R"({"key_alias":"old"})");
    const Reply gone = world.post("/key/delete", R"({"key_aliases":["old"]})");
    CHECK(gone.body["deleted_keys"][size_t{0}].as_string() == "old");
    CHECK(world.directory.caller(governance::key_hash(key)) == nullptr);
    CHECK(world.get("/key/info?key=" + key).status == 404);
    CHECK(world.post("/key/delete", R"({"keys":[")" + key + R"("]})").status == 404);
    const Reply kept = world.get("/key/list?status=deleted");
    CHECK(kept.body["total_count"].as_int() == 1);
    CHECK(kept.body["keys"][size_t{0}]["key_alias"].as_string() == "old");
}

TEST_CASE("a regenerated key keeps its row; the old secret ends now or after the grace period") {
    World world;
    const std::string key = world.key_of(R"({"key_alias":"a","rpm_limit":5})");
    const Reply fresh =
        world.post("/key/" + key + "/regenerate", R"({"grace_period":"1h","max_budget":2})");
    REQUIRE_MESSAGE(fresh.status == 200, fresh.text);
    const std::string next(fresh.body["key"].as_string());
    CHECK(next != key);
    CHECK(fresh.body["key_alias"].as_string() == "a");
    CHECK(fresh.body["rpm_limit"].as_int() == 5);
    CHECK(fresh.body["max_budget"].as_int() == 2);
    CHECK(fresh.body["rotation_count"].as_int() == 1);
    const auto old = world.directory.caller(governance::key_hash(key));
    REQUIRE(old != nullptr);
    CHECK(old->key_hash == governance::key_hash(next));
    CHECK(old->expires_ms == unix_millis(world.clock.now) + 3'600'000);
    CHECK(world.get("/key/list").body["total_count"].as_int() == 1);

    const Reply last = world.post("/key/regenerate", R"({"key":")" + next + R"("})");
    CHECK(last.body["rotation_count"].as_int() == 2);
    CHECK(world.directory.caller(governance::key_hash(next)) == nullptr);
    CHECK(world
              .post("/key/regenerate", R"({"key":")" + std::string(last.body["key"].as_string()) +
                                           R"(","new_key":")" + std::string(kChosen) + R"("})")
              .body["key"]
              .as_string() == kChosen);
}

TEST_CASE("blocking, unblocking and resetting what was spent") {
    World world;
    const std::string key = world.key_of(R"({"spend":4.25})");
    const std::string hash = governance::key_hash(key);
    CHECK(world.post("/key/block", R"({"key":")" + key + R"("})").body["blocked"].as_bool());
    CHECK(world.directory.caller(hash)->blocked);
    world.post("/key/unblock", R"({"key":")" + hash + R"("})");
    CHECK_FALSE(world.directory.caller(hash)->blocked);
    CHECK(world.get("/key/info?key=" + hash).body["info"]["spend"].number_text() == "4.25");
    CHECK(world.post("/key/" + hash + "/reset_spend", R"({"reset_to":5})").status == 400);
    CHECK(world.post("/key/" + hash + "/reset_spend", R"({"reset_to":-1})").status == 400);
    CHECK(world.post("/key/" + hash + "/reset_spend", R"({"reset_to":1.5})").status == 200);
    CHECK(world.get("/key/info?key=" + hash).body["info"]["spend"].number_text() == "1.5");
}

TEST_CASE("people reach their own keys and no others") {
    World world;
    const std::string ann = world.user_key("ann");
    const std::string bob = world.user_key("bob");
    const std::string viewer = world.user_key("vic", "internal_user_viewer");
    const std::string hash = governance::key_hash(bob);

    CHECK(world.get("/key/info?key=" + hash, ann).status == 403);
    CHECK(world.post("/key/delete", R"({"keys":[")" + hash + R"("]})", ann).status == 403);
    CHECK(world.post("/key/update", R"({"key":")" + hash + R"(","user_id":"ann"})", ann).status ==
          403);
    CHECK(world
              .post("/key/update",
                    R"({"key":")" + governance::key_hash(ann) + R"(","user_id":"bob"})", ann)
              .status == 403);
    CHECK(world.post("/key/" + hash + "/regenerate", "{}", ann).status == 403);
    CHECK(world.post("/key/block", R"({"key":")" + hash + R"("})", ann).status == 403);
    CHECK(world.post("/key/generate", R"({"user_id":"bob"})", ann).status == 403);
    CHECK(world.post("/key/generate", R"({"spend":-5})", ann).status == 403);
    CHECK(world.post("/key/generate", R"({"metadata":{"copilot_account":"bob"}})", ann).status ==
          403);
    CHECK(world.post("/key/generate", "{}", viewer).status == 403);
    CHECK(world.directory.caller(hash)->user_id == "bob");

    const Reply own = world.post("/key/generate", R"({"key_alias":"mine"})", ann);
    CHECK(own.body["user_id"].as_string() == "ann");
    const Reply list = world.get("/key/list", ann);
    CHECK(list.body["total_count"].as_int() == 2);
    CHECK(world.get("/key/list?user_id=bob", ann).body["total_count"].as_int() == 0);
    CHECK(world.get("/key/aliases", bob).body["total_count"].as_int() == 0);
}

TEST_CASE("a team's keys are for its admins, and for members by the team's permissions") {
    World world;
    const std::string lead = world.user_key("lead");
    const std::string member = world.user_key("member");
    const std::string outsider = world.user_key("outsider");
    world.post("/team/new", R"({"team_id":"t","members_with_roles":
        [{"role":"admin","user_id":"lead"},{"role":"user","user_id":"member"}]})");
    const std::string_view body = R"({"team_id":"t"})";
    const Reply made = world.post("/key/generate", body, lead);
    REQUIRE_MESSAGE(made.status == 200, made.text);
    const std::string hash(made.body["token"].as_string());
    CHECK(world.post("/key/generate", body, outsider).status == 403);
    const Reply refused = world.post("/key/generate", body, member);
    CHECK(refused.status == 401);
    CHECK(refused.body["error"]["type"].as_string() == "team_member_permission_error");
    CHECK(world.get("/key/info?key=" + hash, member).status == 200);
    CHECK(world.get("/key/info?key=" + hash, outsider).status == 403);
    CHECK(world.post("/key/block", R"({"key":")" + hash + R"("})", lead).status == 200);
    CHECK(world
              .post("/team/permissions_update",
                    R"({"team_id":"t","team_member_permissions":["/key/generate"]})", lead)
              .status == 200);
    CHECK(world.post("/key/generate", body, member).status == 200);
    CHECK(world.post("/key/service-account/generate", body, lead).body["user_id"].is_null());
    CHECK(world.post("/key/service-account/generate", "{}").status == 400);
}

TEST_CASE("leading a team gives no hold of a key whose owner stands above") {
    World world;
    const std::string lead = world.user_key("lead");
    world.user_key("root", "proxy_admin");
    world.user_key("elsewhere");
    world.post("/team/new", R"({"team_id":"t","members_with_roles":
        [{"role":"admin","user_id":"lead"},{"role":"user","user_id":"root"}]})");
    const std::string key = world.key_of(R"({"team_id":"t","user_id":"root"})");
    const std::string named = R"({"key":")" + key + R"("})";
    CHECK(world.post("/key/generate", R"({"team_id":"t","user_id":"root"})", lead).status == 403);
    CHECK(world.post("/key/generate", R"({"team_id":"t","user_id":"elsewhere"})", lead).status ==
          403);
    CHECK(world.post("/key/regenerate", named, lead).status == 403);
    CHECK(world.post("/key/update", named, lead).status == 403);
    CHECK(world.post("/key/generate", R"({"organization_id":"o"})", lead).status == 403);
    CHECK(world.directory.caller(governance::key_hash(key))->is_admin());
}

TEST_CASE("lists are cut into pages in the order that is asked for") {
    World world;
    for (int i = 0; i < 7; ++i) {
        world.key_of(R"({"key_alias":"k)" + std::to_string(i) + R"(","max_budget":)" +
                     std::to_string(i) + "}");
    }
    const Reply page = world.get(
        "/key/list?size=3&page=3&sort_by=max_budget&sort_order=asc&return_full_object=true");
    CHECK(page.body["total_count"].as_int() == 7);
    CHECK(page.body["total_pages"].as_int() == 3);
    CHECK(page.body["current_page"].as_int() == 3);
    REQUIRE(page.body["keys"].size() == 1);
    CHECK(page.body["keys"][size_t{0}]["key_alias"].as_string() == "k6");
    CHECK(world.get("/key/list?page=9999999").body["keys"].size() == 0);
    CHECK(world.get("/key/aliases?search=k1").body["aliases"].size() == 1);
    CHECK(world.get("/key/list?key_alias=k&substring_matching=true").body["total_count"].as_int() ==
          7);
}

TEST_CASE("a change that another instance made first is seen, and neither is lost") {
    World world;
    const std::string key = world.key_of(R"({"rpm_limit":1})");
    const std::string hash = governance::key_hash(key);
    world.store.before_apply = [&] {
        auto& entity = world.store.entities.at({EntityKind::key, hash});
        entity.doc.set("tpm_limit", 99);
        entity.version = ++world.store.last;
    };
    const Reply changed = world.post("/key/update", R"({"key":")" + key + R"(","rpm_limit":2})");
    CHECK(changed.status == 200);
    CHECK(changed.body["rpm_limit"].as_int() == 2);
    CHECK(changed.body["tpm_limit"].as_int() == 99);
}

TEST_CASE("while the store is away writes say so and reads go on") {
    World world;
    const std::string key = world.key_of("{}");
    world.store.away = true;
    const Reply refused = world.post("/key/generate", "{}");
    CHECK(refused.status == 503);
    CHECK(refused.body["error"]["type"].as_string() == "no_db_connection");
    CHECK(refused.message() == "No connected db.");
    CHECK(world.get("/key/info?key=" + key).status == 200);
}

}  // namespace
}  // namespace belay::admin
