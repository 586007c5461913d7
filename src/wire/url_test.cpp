#include "wire/url.h"

#include <doctest/doctest.h>

using namespace belay;

// A URL is taken apart, lower-cased where case means nothing, and put together again.
TEST_CASE("parse_url") {
    struct Case {
        const char* text;
        Url expected;
        const char* origin;
        const char* target;
    };
    for (const Case& c : std::initializer_list<Case>{
             {"https://API.github.com",
              {true, "api.github.com", 443, "", ""},
              "https://api.github.com",
              "/"},
             {"http://localhost:4141/v1?a=b",
              {false, "localhost", 4141, "/v1", "a=b"},
              "http://localhost:4141",
              "/v1?a=b"},
             {"HTTP://127.0.0.1:80/", {false, "127.0.0.1", 80, "/", ""}, "http://127.0.0.1", "/"},
             {"https://[::1]:8443?x", {true, "::1", 8443, "", "x"}, "https://[::1]:8443", "/?x"},
             {"https://a_b-c.d1/%20;x",
              {true, "a_b-c.d1", 443, "/%20;x", ""},
              "https://a_b-c.d1",
              "/%20;x"},
         }) {
        CAPTURE(c.text);
        const auto url = parse_url(c.text);
        REQUIRE(url.ok());
        CHECK(url.value() == c.expected);
        CHECK(url.value().origin() == c.origin);
        CHECK(url.value().target() == c.target);
    }
}

// Spellings that other readers understand differently are refused.
TEST_CASE("URLs that are refused") {
    for (const char* text : {"",
                             "http://",
                             "https:///x",
                             "ftp://a",
                             "//a",
                             "a",
                             "http:/a",
                             "http://u@a",
                             "http://u:p@a",
                             "http://a#b",
                             "http://a/#b",
                             "http://a b",
                             "http://a/\n",
                             "http://\xc3\xa9",
                             "http://a\\b",
                             "http://a:",
                             "http://a:0",
                             "http://a:65536",
                             "http://a:123456",
                             "http://a:8x",
                             "http://a:-1",
                             "http://.a",
                             "http://a..b",
                             "http://a.",
                             "http://127.1",
                             "http://0177.0.0.1",
                             "http://0x7f.1",
                             "http://2130706433",
                             "http://1.2.3.4.5",
                             "http://256.1.1.1",
                             "http://a.0x7f",
                             "http://[::1",
                             "http://::1",
                             "http://[]",
                             "http://[1.2.3.4]",
                             "http://[::1]x",
                             "http://[fe80::1%25eth0]",
                             "http://a%2eb",
                             "http://a,b",
                             "http://*"}) {
        CAPTURE(text);
        CHECK_FALSE(parse_url(text).ok());
    }
    CHECK_FALSE(parse_url("http://" + std::string(64, 'a')).ok());
    CHECK_FALSE(parse_url("http://a/" + std::string(9000, 'a')).ok());
}

// Joining neither doubles nor loses the slash, and keeps only the new query.
TEST_CASE("join") {
    for (const char* base : {"https://a/v1", "https://a/v1/", "https://a/v1//?q=1"}) {
        CHECK(join(parse_url(base).value(), "/models?x=1").target() == "/v1/models?x=1");
        CHECK(join(parse_url(base).value(), "models").target() == "/v1/models");
    }
    CHECK(join(parse_url("https://a").value(), "x").target() == "/x");
}

// Only paths that mean the same before and after decoding and normalisation pass.
TEST_CASE("safe_path") {
    for (const char* text : {"/", "/v1/models", "/v1/", "/a.b/..c/.d", "/v1/x%20y", "/caf%C3%A9",
                             "/v1/models/a%2Fb", "/a%2F"}) {
        CAPTURE(text);
        REQUIRE(safe_path(text).ok());
        CHECK(safe_path(text).value() == text);
    }
    CHECK(safe_path("/a?b=//../%2e").value() == "/a");
    for (const char* text :
         {"",          "*",       "a",       "//",        "/a//b",       "/./a",
          "/a/.",      "/..",     "/a/../b", "/%2e%2e/a", "/a%5cb",      "/a\\b",
          "/a%00",     "/a;b",    "/a%3Bb",  "/a%",       "/a%2",        "/a%zz",
          "/a\x01",    "/a\x7f",  "/a%0a",   "/a b",      "/\xc3",       "/%2fa",
          "/a%2f%2fb", "/a%2F/b", "/a/%2fb", "/a/..%2fb", "/a%2f..%2fb", "/a%2f."}) {
        CAPTURE(text);
        CHECK_FALSE(safe_path(text).ok());
    }
}

// Encoding then decoding is the identity for any bytes; broken escapes stay as they are.
TEST_CASE("percent coding") {
    std::string all;
    for (int c = 0; c < 256; ++c) {
        all += static_cast<char>(c);
    }
    CHECK(percent_decode(percent_encode(all)) == all);
    CHECK(percent_encode("aZ09-._~ /+") == "aZ09-._~%20%2F%2B");
    CHECK(percent_decode("a+b%41%4%zz%") == "a+bA%4%zz%");
}

// Queries and forms: first value, '+' as space, names decoded too.
TEST_CASE("query_value and parse_form") {
    CHECK(query_value("a=1&b=x+y%26z&b=2&c", "b") == "x y&z");
    CHECK(query_value("a=1&&c", "c").empty());
    CHECK(query_value("%61=1", "a") == "1");
    CHECK(query_value("", "a").empty());
    const auto form = parse_form("a=1&&b=+&c&=d");
    REQUIRE(form.size() == 4);
    CHECK(form[1] == std::pair<std::string, std::string>("b", " "));
    CHECK(form[2] == std::pair<std::string, std::string>("c", ""));
    CHECK(form[3] == std::pair<std::string, std::string>("", "d"));
}

// Loopback is what the machine's own stack keeps to itself, and nothing that only looks like it.
TEST_CASE("is_loopback_host") {
    for (const char* host : {"localhost", "LOCALHOST", "a.localhost", "127.0.0.1", "127.255.1.2",
                             "::1", "[::1]", "::ffff:127.0.0.1", "0:0:0:0:0:0:0:1"}) {
        CAPTURE(host);
        CHECK(is_loopback_host(host));
    }
    for (const char* host :
         {"", "localhost.evil.com", "127.0.0.1.evil.com", "0.0.0.0", "::", "128.0.0.1", "127.1",
          "notlocalhost", ".localhost", "0177.0.0.1", "::2"}) {
        CAPTURE(host);
        CHECK_FALSE(is_loopback_host(host));
    }
}
