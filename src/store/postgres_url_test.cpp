// DATABASE_URL in all the ways people have it, and that no error gives away a piece of it.
#include "store/postgres_url.h"

#include <doctest/doctest.h>

#include <map>

namespace belay::store {
namespace {

std::string setting(const PostgresUrl& url, const std::string& name) {
    const std::map<std::string, std::string> settings(url.settings.begin(), url.settings.end());
    const auto at = settings.find(name);
    return at != settings.end() ? at->second : "";
}

// Guarantee: each part arrives where libpq expects it.
TEST_CASE("postgres url: parts") {
    struct Case {
        const char* url;
        const char* user;
        const char* password;
        const char* host;
        const char* port;
        const char* database;
        const char* schema;
        const char* sslmode;
    };
    for (const Case& c : {
             Case{"postgresql://", "", "", "", "", "", "", ""},
             Case{"postgres://db", "", "", "db", "", "", "", ""},
             Case{"postgresql://llmproxy:dbpassword9090@db:5432/litellm", "llmproxy",
                  "dbpassword9090", "db", "5432", "litellm", "", ""},
             Case{"postgresql://u%40x:p%2F%3A%23%3F%40%25@h/d%20b", "u@x", "p/:#?@%", "h", "",
                  "d b", "", ""},
             Case{"postgresql://u:a@b:c@h:1/d", "u", "a@b:c", "h", "1", "d", "", ""},
             Case{"postgresql://u@[::1]:6432/d", "u", "", "::1", "6432", "d", "", ""},
             Case{"postgresql://a:1,b:2,c/d", "", "", "a,b,c", "1,2,", "d", "", ""},
             Case{"postgresql://u@/d?host=/run/postgresql", "u", "", "/run/postgresql", "", "d", "",
                  ""},
             Case{"postgresql://u@%2Frun%2Fpg/d", "u", "", "/run/pg", "", "d", "", ""},
             Case{"postgresql://h/d?schema=litellm&sslmode=require&connection_limit=10"
                  "&pool_timeout=60&pgbouncer=true&sslaccept=strict",
                  "", "", "h", "", "d", "litellm", "require"},
             Case{"postgresql://h?ssl=true", "", "", "h", "", "", "", "require"},
             Case{"postgresql://h/d?user=u&password=p", "u", "p", "h", "", "d", "", ""},
         }) {
        CAPTURE(c.url);
        const Result<PostgresUrl> url = parse_postgres_url(c.url);
        REQUIRE(url.ok());
        CHECK(setting(*url, "user") == c.user);
        CHECK(url->password.reveal() == c.password);
        CHECK(setting(*url, "host") == c.host);
        CHECK(setting(*url, "port") == c.port);
        CHECK(setting(*url, "dbname") == c.database);
        CHECK(url->schema == c.schema);
        CHECK(setting(*url, "sslmode") == c.sslmode);
        CHECK(setting(*url, "password").empty());
    }
}

// Guarantee: a timeout of "none" is not taken over, others are.
TEST_CASE("postgres url: no endless wait") {
    CHECK(setting(*parse_postgres_url("postgresql://h?connect_timeout=0"), "connect_timeout") ==
          "");
    CHECK(setting(*parse_postgres_url("postgresql://h?connect_timeout=9"), "connect_timeout") ==
          "9");
}

// Guarantee: what cannot be understood is refused, and the refusal quotes nothing of it.
TEST_CASE("postgres url: refusals are discreet") {
    for (const char* url : {
             "mysql://u:sesame@h/d",
             "sesame",
             "",
             "postgresql://u:open/sesame@h/d",
             "postgresql://u:12/sesame@h/d",
             "postgresql://u:open?sesame@h/d",
             "postgresql://u:open#sesame@h/d",
             "postgresql://u:p@h:sesame/d",
             "postgresql://u:p@h:123456/d",
             "postgresql://u:p@h/d?sesame=1",
             "postgresql://u:p@h/d#sesame",
             "postgresql://u:p@h/d%00sesame",
         }) {
        CAPTURE(url);
        const Result<PostgresUrl> parsed = parse_postgres_url(url);
        REQUIRE(!parsed.ok());
        CHECK(parsed.error().kind == Kind::invalid_request);
        CHECK(parsed.error().message.find("sesame") == std::string::npos);
        CHECK(parsed.error().message.find("12") == std::string::npos);
        CHECK(parsed.error().detail.empty());
    }
    CHECK(!parse_postgres_url("postgresql://h/" + std::string(10'000, 'd')).ok());
}

// Guarantee: what the log may say of a URL has no password in it.
TEST_CASE("postgres url: description") {
    CHECK(
        parse_postgres_url("postgresql://u:sesame@db:5432/belay?sslpassword=sesame")->describe() ==
        "db:5432/belay");
}

}  // namespace
}  // namespace belay::store
