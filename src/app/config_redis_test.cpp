// Which Redis a file asks for, in each of LiteLLM's ways, and that none is used unasked.
#include "app/config.h"
#include "app/config_testing.h"

using namespace belay;
using namespace belay::app;

namespace {

Config load(const std::string& text, std::map<std::string, std::string, std::less<>> env = {}) {
    auto loaded = load_config_text(text, "config.yaml", map_env(std::move(env)));
    REQUIRE(loaded.ok());
    return std::move(*loaded);
}

}  // namespace

TEST_CASE("a file names its Redis in each of LiteLLM's ways") {
    using Env = std::map<std::string, std::string, std::less<>>;
    struct Case {
        const char* yaml;
        Env env;
        const char* where;
        const char* password;
        int db;
        bool tls;
    };
    for (const Case& c : {
             Case{"router_settings: {redis_host: cache, redis_port: 7000, redis_password: p, "
                  "redis_db: 3}",
                  {},
                  "cache:7000",
                  "p",
                  3,
                  false},
             Case{"router_settings: {redis_host: cache}",
                  {{"REDIS_URL", "redis://elsewhere"},
                   {"REDIS_PASSWORD", "env"},
                   {"REDIS_PORT", "1"}},
                  "cache:1",
                  "env",
                  0,
                  false},
             Case{"router_settings: {redis_url: 'rediss://:p@cache:6380/2'}",
                  {},
                  "cache:6380",
                  "p",
                  2,
                  true},
             Case{"router_settings: {redis_url: os.environ/MY_REDIS}",
                  {{"MY_REDIS", "unix:///run/r.sock"}},
                  "/run/r.sock",
                  "",
                  0,
                  false},
             Case{"litellm_settings: {cache: true}",
                  {{"REDIS_URL", "redis://env-host:7"}},
                  "env-host:7",
                  "",
                  0,
                  false},
             Case{"litellm_settings: {cache: true, cache_params: {type: redis}}",
                  {{"REDIS_HOST", "h"}, {"REDIS_SSL", "True"}},
                  "h:6379",
                  "",
                  0,
                  true},
             Case{"litellm_settings: {cache_params: {type: redis, host: h, port: '6390', password: "
                  "p}}",
                  {},
                  "h:6390",
                  "p",
                  0,
                  false},
         }) {
        CAPTURE(c.yaml);
        const Config config = load(c.yaml, c.env);
        CHECK_FALSE(config.is_fatal());
        REQUIRE(config.redis.address.has_value());
        CHECK(config.redis.address->shown() == c.where);
        CHECK(config.redis.address->password.reveal() == c.password);
        CHECK(config.redis.address->db == c.db);
        CHECK(config.redis.address->tls == c.tls);
        CHECK(config.redis.name_space == "belay");
        CHECK(config.redis.deadline == milliseconds(50));
    }
    const Config tuned = load(
        "litellm_settings: {cache: true, cache_params: {type: redis, host: h, namespace: team, "
        "socket_timeout: 0.2}}");
    CHECK(tuned.redis.name_space == "team");
    CHECK(tuned.redis.deadline == milliseconds(200));
}

TEST_CASE("a file that asks for no Redis gets none") {
    for (const char* yaml :
         {"router_settings: {num_retries: 1}",
          "litellm_settings: {cache: true, cache_params: {type: local}}",
          "litellm_settings: {cache: false, cache_params: {type: redis, host: h}}"}) {
        CAPTURE(yaml);
        CHECK_FALSE(load(yaml, {{"REDIS_URL", "redis://h"}, {"REDIS_HOST", "h"}})
                        .redis.address.has_value());
    }
}

TEST_CASE("a Redis that cannot be meant is refused, without its password") {
    for (const char* yaml :
         {"litellm_settings: {cache: true}", "router_settings: {redis_url: 'redis://:hunter2@h:x'}",
          "router_settings: {redis_host: h, redis_db: 99999}"}) {
        CAPTURE(yaml);
        const Config config = load(yaml);
        CHECK(config.is_fatal());
        CHECK_FALSE(config.redis.address.has_value());
        for (const auto& diagnostic : config.diagnostics) {
            CHECK(diagnostic.message.find("hunter2") == std::string::npos);
        }
    }
    const Config unknown = load("router_settings: {redis_host: h}", {{"REDIS_PORT", "x"}});
    CHECK(unknown.is_fatal());
}
