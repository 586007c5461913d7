#include "admin/schema.h"

#include <cstdlib>
#include <fstream>
#include <set>
#include <sstream>

#include "admin/admin_testing.h"

namespace belay::admin {
namespace {

using governance::Role;
using testing::World;

constexpr Role kRoles[] = {Role::proxy_admin,   Role::proxy_admin_viewer,   Role::org_admin,
                           Role::internal_user, Role::internal_user_viewer, Role::team,
                           Role::customer};

std::string sample_path(std::string_view pattern) {
    std::string out;
    for (size_t at = 0; at < pattern.size(); ++at) {
        if (pattern[at] == '{') {
            at = pattern.find('}', at);
            out += "no-such-thing";
        } else {
            out += pattern[at];
        }
    }
    return out;
}

TEST_CASE("the checked-in OpenAPI document is the one that the tables make") {
    const std::string path = std::string(BELAY_SOURCE_DIR) + "/api/admin.openapi.json";
    const std::string made = openapi_document();
    if (std::getenv("BLESS") != nullptr) {
        std::ofstream(path) << made;
    }
    std::ifstream in(path);
    std::stringstream have;
    have << in.rdbuf();
    CHECK_MESSAGE(have.str() == made, "api/admin.openapi.json is old: run BLESS=1 test_admin");
    CHECK(json::parse(made).ok());
}

TEST_CASE("every route is found by its path, is named once and admits somebody") {
    std::set<std::string_view> ids;
    std::set<std::string> spellings;
    for (const Route& route : routes()) {
        CAPTURE(route.path);
        CHECK(ids.insert(route.id).second);
        CHECK((route.handler != nullptr));
        CHECK((route.roles & kAdmin) != 0);
        CHECK_FALSE(route.doc.empty());
        for (const std::string_view path : {route.path, route.also}) {
            if (path.empty()) {
                continue;
            }
            CHECK(spellings.insert(std::string(route.method) + std::string(path)).second);
            const Match match = find_route(route.method, sample_path(path));
            REQUIRE(match.route != nullptr);
            CHECK(match.route->id == route.id);
            CHECK(Management::serves(sample_path(path)));
        }
        std::set<std::string_view> names;
        for (const Fields table : route.body) {
            for (const Field& field : table) {
                CAPTURE(field.name);
                CHECK(names.insert(field.name).second);
            }
        }
    }
    CHECK_FALSE(Management::serves("/v1/chat/completions"));
    CHECK_FALSE(Management::serves("/key"));
    CHECK_FALSE(Management::serves("/key/generate/more"));
}

TEST_CASE("who only views never reaches a route that writes") {
    for (const Route& route : routes()) {
        if (route.effect == Effect::writes && route.access == Access::keyed) {
            CAPTURE(route.path);
            CHECK((route.roles & (kViewer | kUserViewer | kCustomer)) == 0);
        }
    }
}

// Deny by default: for each route and each role the answer is 403 with LiteLLM's text exactly when
// the table does not name the role, and never when it does.
TEST_CASE("every route answers every role as its row says") {
    World world;
    for (const Route& route : routes()) {
        for (const Role role : kRoles) {
            auto caller = std::make_shared<governance::Caller>();
            caller->role = role;
            caller->user_id = "nobody-in-particular";
            caller->key_hash = std::string(64, 'a');
            CAPTURE(route.path);
            CAPTURE(governance::role_name(role));
            const auto reply = world.ask_as(route.method, sample_path(route.path), "{}", caller);
            const bool named = (route.roles & role_bit(role)) != 0;
            const std::string wanted =
                "Authentication Error, Only proxy admin can be used to generate, delete, update "
                "info for new keys/users/teams. Route=" +
                std::string(route.path) +
                ". Your role=" + std::string(governance::role_name(role)) +
                ". Your user_id=nobody-in-particular";
            if (!named && route.access == Access::keyed) {
                CHECK(reply.status == 403);
                CHECK(reply.message() == wanted);
            } else {
                CHECK(reply.status != 405);
                CHECK(
                    (reply.status < 501 || route.path == "/cache/ping"));  // 503: there is no cache
            }
        }
    }
    CHECK(world.store.entities.empty() == false);  // the administrator's empty bodies made some
}

TEST_CASE("without a key nothing but the open routes answers") {
    World world;
    for (const Route& route : routes()) {
        CAPTURE(route.path);
        const auto reply = world.ask_as(route.method, sample_path(route.path), "{}", nullptr);
        if (route.access == Access::keyed) {
            CHECK(reply.status == 401);
            CHECK(reply.message() == "Authentication Error, No api key passed in.");
        } else {
            CHECK(Management::is_open(route.method, sample_path(route.path)));
        }
    }
}

TEST_CASE("a key's allowed_routes narrow what its role may call") {
    struct Case {
        const char* allowed;
        const char* method;
        const char* path;
        bool admitted;
    };
    const Case cases[] = {
        {"/key/info", "GET", "/key/info", true},
        {"/key/info", "GET", "/key/list", false},
        {"/key/*", "GET", "/key/list", true},
        {"/key/*", "GET", "/user/list", false},
        {"management_routes", "POST", "/key/generate", true},
        {"management_routes", "GET", "/spend/logs", false},
        {"info_routes", "GET", "/key/info", true},
        {"info_routes", "POST", "/key/generate", false},
        {"spend_tracking_routes", "GET", "/spend/logs", true},
        {"llm_api_routes", "GET", "/key/info", false},
    };
    for (const Case& c : cases) {
        governance::Caller caller;
        caller.role = Role::proxy_admin;
        caller.allowed_routes = {c.allowed};
        CAPTURE(c.allowed);
        CAPTURE(c.path);
        const Match match = find_route(c.method, c.path);
        REQUIRE(match.route != nullptr);
        CHECK(key_allows(*match.route, c.path, caller) == c.admitted);
    }
}

TEST_CASE("what does not fit a field is told with its place, kind and cure") {
    World world;
    struct Case {
        const char* method;
        const char* target;
        const char* body;
        const char* type;
        const char* where;
        const char* name;
    };
    const Case cases[] = {
        {"POST", "/key/generate", R"({"rpm_limit":"many"})", "int_parsing", "body", "rpm_limit"},
        {"POST", "/key/generate", R"({"rpm_limit":1.5})", "int_from_float", "body", "rpm_limit"},
        {"POST", "/key/generate", R"({"rpm_limit":-1})", "greater_than_equal", "body", "rpm_limit"},
        {"POST", "/key/generate", R"({"max_budget":"lots"})", "float_parsing", "body",
         "max_budget"},
        {"POST", "/key/generate", R"({"max_budget":[]})", "float_type", "body", "max_budget"},
        {"POST", "/key/generate", R"({"models":"gpt"})", "list_type", "body", "models"},
        {"POST", "/key/generate", R"({"metadata":[]})", "dict_type", "body", "metadata"},
        {"POST", "/key/generate", R"({"blocked":"perhaps"})", "bool_parsing", "body", "blocked"},
        {"POST", "/key/generate", R"({"key_alias":7})", "string_type", "body", "key_alias"},
        {"POST", "/key/generate", R"({"key_type":"odd"})", "literal_error", "body", "key_type"},
        {"POST", "/team/update", "{}", "missing", "body", "team_id"},
        {"POST", "/team/update", R"({"team_id":null})", "string_type", "body", "team_id"},
        {"GET", "/key/list?page=0", "", "greater_than_equal", "query", "page"},
        {"GET", "/key/list?size=101", "", "less_than_equal", "query", "size"},
        {"GET", "/key/list?size=x", "", "int_parsing", "query", "size"},
        {"GET", "/key/list?sort_order=up", "", "literal_error", "query", "sort_order"},
        {"POST", "/key/generate", "[1]", "model_attributes_type", "body", ""},
    };
    for (const Case& c : cases) {
        CAPTURE(c.target);
        CAPTURE(c.body);
        const auto reply = world.ask(c.method, c.target, c.body);
        CHECK(reply.status == 422);
        const Value& mistake = reply.body["detail"][size_t{0}];
        CHECK(mistake["type"].as_string() == c.type);
        CHECK(mistake["loc"][size_t{0}].as_string() == c.where);
        CHECK(mistake["loc"][size_t{1}].as_string() == c.name);
        CHECK_FALSE(mistake["msg"].as_string().empty());
    }
    const auto broken = world.post("/key/generate", "{");
    CHECK(broken.status == 422);
    CHECK(broken.body["detail"][size_t{0}]["type"].as_string() == "json_invalid");
    CHECK(world.get("/key/generate").status == 405);
    CHECK(world.store.entities.empty());
}

}  // namespace
}  // namespace belay::admin
