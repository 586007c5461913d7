// Every way to write where a Redis is; what is wrong is said without the password.
#include <doctest/doctest.h>

#include "redis/address.h"

using namespace belay;
using namespace belay::redis;

TEST_CASE("a URL names host, port, user, password, database and TLS") {
    struct Case {
        const char* url;
        const char* host;
        uint16_t port;
        bool tls;
        const char* user;
        const char* password;
        int db;
    };
    for (const Case& c : {
             Case{"redis://localhost", "localhost", 6379, false, "", "", 0},
             Case{"redis://10.0.0.1:7000/3", "10.0.0.1", 7000, false, "", "", 3},
             Case{"rediss://:p%40ss@cache.internal:6380", "cache.internal", 6380, true, "", "p@ss",
                  0},
             Case{"redis://me:a/b@h:1/2", "h", 1, false, "me", "a/b", 2},
             Case{"redis://me:secret@[::1]:6390/0", "::1", 6390, false, "me", "secret", 0},
             Case{"redis://h?db=4", "h", 6379, false, "", "", 4},
             Case{"unix:///run/redis.sock?db=2", "/run/redis.sock", 6379, false, "", "", 2},
             Case{"unix://u:p@/run/redis.sock", "/run/redis.sock", 6379, false, "u", "p", 0},
         }) {
        CAPTURE(c.url);
        const auto read = parse_redis_url(c.url);
        REQUIRE(read.ok());
        CHECK(read->host == c.host);
        CHECK(read->port == c.port);
        CHECK(read->tls == c.tls);
        CHECK(read->username == c.user);
        CHECK(read->password.reveal() == c.password);
        CHECK(read->db == c.db);
    }
}

TEST_CASE("what is no address is refused, and its password stays unsaid") {
    for (const char* url : {"localhost:6379", "http://h", "redis://:hunter2@h:port", "redis://h/x",
                            "redis://:hunter2@[::1", "unix://relative.sock", "redis://h:0",
                            "redis://h:70000", "redis://h/99999"}) {
        CAPTURE(url);
        const auto read = parse_redis_url(url);
        REQUIRE(!read.ok());
        CHECK(read.error().message.find("hunter2") == std::string::npos);
        CHECK(read.error().message.find("redis://user:password@host:6379/0") != std::string::npos);
    }
}
