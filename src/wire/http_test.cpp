#include "wire/http.h"

#include <doctest/doctest.h>

using namespace belay;
using namespace belay::http;

namespace {

struct Outcome {
    Parse parse = Parse::bad;
    Head head;
    ParseError error;
};

// Parses `text`, and every prefix of it: a prefix is incomplete until the head is whole, and what
// is once refused stays refused.
Outcome request(std::string_view text, const HeadLimits& limits = kServerLimits) {
    Outcome out;
    bool refused = false;
    for (size_t size = 0; size <= text.size(); ++size) {
        const std::string copy(text.substr(0, size));  // its own buffer, so that overreads are seen
        Head head;
        ParseError error;
        const Parse state = parse_request(copy, limits, head, error);
        CHECK((!refused || state == Parse::bad));
        refused = state == Parse::bad;
        if (state == Parse::done) {
            CHECK(head.size <= size);
        }
    }
    out.parse = parse_request(text, limits, out.head, out.error);
    return out;
}

Outcome response(std::string_view text, std::string_view method = "POST") {
    Outcome out;
    out.parse = parse_response(text, kUpstreamLimits, method, out.head, out.error);
    return out;
}

std::string post(std::string_view headers) {
    return "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost:4000\r\n" + std::string(headers) +
           "\r\n";
}

}  // namespace

// A plain request is read with its headers, framing and size; what follows is left alone.
TEST_CASE("request") {
    const std::string text =
        post("Content-Length: 5\r\nAuthorization: \t Bearer x \t\r\nEmpty:\r\n");
    const std::string whole = text + "hello";
    const Outcome o = request(whole);
    REQUIRE(o.parse == Parse::done);
    CHECK(o.head.method == "POST");
    CHECK(o.head.target == "/v1/chat/completions");
    CHECK(o.head.minor_version == 1);
    CHECK(o.head.headers.size() == 4);
    CHECK(o.head.header("AUTHORIZATION") == "Bearer x");
    CHECK(o.head.header("empty").empty());
    CHECK(o.head.has("empty"));
    CHECK_FALSE(o.head.has("absent"));
    CHECK(o.head.body == BodyKind::length);
    CHECK(o.head.content_length == 5);
    CHECK(o.head.keep_alive);
    CHECK(o.head.size == text.size());
}

// Legal oddities are served.
TEST_CASE("oddities that are accepted") {
    CHECK(request("\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n").parse == Parse::done);
    CHECK(request("GET / HTTP/1.0\r\n\r\n").parse == Parse::done);
    CHECK_FALSE(request("GET / HTTP/1.0\r\n\r\n").head.keep_alive);
    CHECK(request("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n").head.keep_alive);
    CHECK_FALSE(request(post("Connection: x , Close\r\n")).head.keep_alive);
    CHECK(request("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n").parse == Parse::done);
    CHECK(request("GET / HTTP/1.1\r\nHost: [::1]:4000\r\n\r\n").parse == Parse::done);
    CHECK(request(post("X: caf\xc3\xa9\r\n")).parse == Parse::done);
    CHECK(request(post("X: a\tb\r\n")).head.header("x") == "a\tb");
    CHECK(request(post("Expect: 100-Continue\r\nContent-Length: 1\r\n")).head.expect_continue);
    CHECK(request(post("Transfer-Encoding: Chunked\r\n")).head.body == BodyKind::chunked);
    CHECK(request(post("Content-Length: 0\r\n")).head.body == BodyKind::none);
    CHECK(request(post("Content-Length: 000000000000000007\r\n")).head.content_length == 7);
}

// An absolute target is reduced to its path, provided that it names the same host.
TEST_CASE("absolute-form") {
    const Outcome o = request("GET http://a:4000/v1/models?x=1 HTTP/1.1\r\nHost: A:4000\r\n\r\n");
    REQUIRE(o.parse == Parse::done);
    CHECK(o.head.target == "/v1/models?x=1");
    CHECK(request("GET HTTPS://a HTTP/1.1\r\nHost: a\r\n\r\n").head.target == "/");
    CHECK(request("GET http://evil/ HTTP/1.1\r\nHost: a\r\n\r\n").parse == Parse::bad);
    CHECK(request("GET http://u@a/ HTTP/1.1\r\nHost: a\r\n\r\n").parse == Parse::bad);
}

// Whatever leaves a doubt about framing or meaning is refused, with the status to answer.
TEST_CASE("requests that are refused") {
    using namespace std::string_view_literals;
    struct Case {
        std::string text;
        int status;
    };
    const std::string start = "GET / HTTP/1.1\r\nHost: a\r\n";
    for (const Case& c : std::initializer_list<Case>{
             {start + "Content-Length: 5\r\nContent-Length: 5\r\n\r\n", 400},
             {start + "Content-Length: 5, 5\r\n\r\n", 400},
             {start + "Content-Length: +5\r\n\r\n", 400},
             {start + "Content-Length: -5\r\n\r\n", 400},
             {start + "Content-Length: 0x5\r\n\r\n", 400},
             {start + "Content-Length: 5 5\r\n\r\n", 400},
             {start + "Content-Length:\r\n\r\n", 400},
             {start + "Content-Length: 1234567890123456789\r\n\r\n", 400},
             {start + "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n", 400},
             {start + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
             {start + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
             {start + "Transfer-Encoding: gzip, chunked\r\n\r\n", 501},
             {start + "Transfer-Encoding: identity\r\n\r\n", 501},
             {start + "Transfer-Encoding: xchunked\r\n\r\n", 501},
             {start + "Transfer-Encoding:\r\n\r\n", 501},
             {"GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
             {start + "Transfer-Encoding : chunked\r\n\r\n", 400},
             {start + "Transfer\tEncoding: chunked\r\n\r\n", 400},
             {start + " folded\r\n\r\n", 400},
             {start + "X: a\r\n b\r\n\r\n", 400},
             {start + "X: a\nY: b\r\n\r\n", 400},
             {start + "X: a\rY: b\r\n\r\n", 400},
             {start + "X: a\r\n\n", 400},
             {start + "X: a\x01\r\n\r\n", 400},
             {start + "X: a\x7f\r\n\r\n", 400},
             {start + std::string("X: a\0b\r\n\r\n"sv), 400},
             {start + "X\r\n\r\n", 400},
             {start + ": x\r\n\r\n", 400},
             {start + "X(: x\r\n\r\n", 400},
             {start + "X\xc3: x\r\n\r\n", 400},
             {start + "Host: a\r\n\r\n", 400},
             {"GET / HTTP/1.1\r\n\r\n", 400},
             {"GET / HTTP/1.1\r\nHost:\r\n\r\n", 400},
             {"GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 400},
             {"GET / HTTP/1.1\r\nHost: a,b\r\n\r\n", 400},
             {"GET / HTTP/1.1\r\nHost: u@a\r\n\r\n", 400},
             {"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 400},
             {"GET / HTTP/1.1\r\nHost: a:\r\n\r\n", 400},
             {"GET / HTTP/1.1\r\nHost: a:x\r\n\r\n", 400},
             {"GET / HTTP/1.1\r\nHost: []\r\n\r\n", 400},
             {"GET / HTTP/1.1\nHost: a\r\n\r\n", 400},
             {"GET / HTTP/1.1 \r\nHost: a\r\n\r\n", 400},
             {"GET  / HTTP/1.1\r\nHost: a\r\n\r\n", 400},
             {"GET /  HTTP/1.1\r\nHost: a\r\n\r\n", 400},
             {"GET\t/ HTTP/1.1\r\n\r\n", 400},
             {" GET / HTTP/1.1\r\n\r\n", 400},
             {"GET / http/1.1\r\n\r\n", 400},
             {"GET /\r\n\r\n", 400},
             {"GET x HTTP/1.1\r\nHost: a\r\n\r\n", 400},
             {"GET * HTTP/1.1\r\nHost: a\r\n\r\n", 400},
             {"GET /#x HTTP/1.1\r\nHost: a\r\n\r\n", 400},
             {"GET /\x7f HTTP/1.1\r\nHost: a\r\n\r\n", 400},
             {"GET /\xc3 HTTP/1.1\r\nHost: a\r\n\r\n", 400},
             {"GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n", 400},
             {"GET / HTTP/1.2\r\nHost: a\r\n\r\n", 505},
             {"GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505},
             {"GET / HTTP/0.9\r\nHost: a\r\n\r\n", 505},
             {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 501},
             {"CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n", 405},
             {"TRACE / HTTP/1.1\r\nHost: a\r\n\r\n", 405},
             {"get / HTTP/1.1\r\nHost: a\r\n\r\n", 501},
             {std::string(40, 'A'), 501},
             {start + "Expect: nonsense\r\n\r\n", 417},
             {"\x16\x03\x01\x02", 400},
             {"\r\n\r\nGET / HTTP/1.1\r\n\r\n", 400},
             {"\rGET / HTTP/1.1\r\n\r\n", 400},
         }) {
        CAPTURE(c.text);
        const Outcome o = request(c.text);
        CHECK(o.parse == Parse::bad);
        CHECK(o.error.status == c.status);
        CHECK_FALSE(o.error.reason.empty());
    }
}

// Lines, the whole head and the number of headers are bounded before they are complete.
TEST_CASE("limits") {
    const auto status = [](const std::string& text) {
        Head head;
        ParseError error;
        return parse_request(text, kServerLimits, head, error) == Parse::bad ? error.status : 0;
    };
    const std::string start = "GET / HTTP/1.1\r\nHost: a\r\n";
    CHECK(status("GET /" + std::string(8191, 'a')) == 0);
    CHECK(status("GET /" + std::string(8192, 'a')) == 414);
    CHECK(status(start + "X: " + std::string(8189, 'a')) == 0);
    CHECK(status(start + "X: " + std::string(8190, 'a')) == 431);
    CHECK(status(start + std::string(8193, 'x')) == 431);
    std::string many = start;
    for (int i = 0; i < 99; ++i) {
        many += "X: y\r\n";
    }
    CHECK(status(many + "\r\n") == 0);
    CHECK(status(many + "X: y\r\n") == 431);
    std::string big = start;
    for (int i = 0; i < 4; ++i) {
        big += "X: " + std::string(8100, 'a') + "\r\n";
    }
    CHECK(status(big) == 0);
    CHECK(status(big + "Y: " + std::string(500, 'b')) == 431);
}

// Responses: reason optional, body kind by status and request method.
TEST_CASE("response") {
    struct Case {
        const char* text;
        const char* method;
        int status;
        BodyKind body;
        bool keep_alive;
    };
    for (const Case& c : std::initializer_list<Case>{
             {"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n", "POST", 200, BodyKind::length, true},
             {"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n", "HEAD", 200, BodyKind::none, true},
             {"HTTP/1.1 200\r\nTransfer-Encoding: chunked\r\n\r\n", "GET", 200, BodyKind::chunked,
              true},
             {"HTTP/1.1 200 \r\n\r\n", "GET", 200, BodyKind::until_close, false},
             {"HTTP/1.0 200 Fine by me\r\n\r\n", "GET", 200, BodyKind::until_close, false},
             {"HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\n", "GET", 200, BodyKind::length, false},
             {"HTTP/1.1 429 \xc3\xa9\r\nContent-Length: 1\r\nConnection: close\r\n\r\n", "GET", 429,
              BodyKind::length, false},
             {"HTTP/1.1 100 Continue\r\n\r\n", "POST", 100, BodyKind::none, true},
             {"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n", "POST", 103, BodyKind::none, true},
             {"HTTP/1.1 204 No Content\r\n\r\n", "POST", 204, BodyKind::none, true},
             {"HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n", "POST", 204, BodyKind::none,
              false},
             {"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", "GET", 304, BodyKind::none,
              true},
             {"HTTP/1.1 200 Connected\r\n\r\n", "CONNECT", 200, BodyKind::none, true},
             {"HTTP/1.1 407 No\r\nContent-Length: 2\r\n\r\n", "CONNECT", 407, BodyKind::length,
              true},
         }) {
        CAPTURE(c.text);
        const Outcome o = response(c.text, c.method);
        REQUIRE(o.parse == Parse::done);
        CHECK(o.head.status == c.status);
        CHECK(o.head.body == c.body);
        CHECK(o.head.keep_alive == c.keep_alive);
        CHECK(o.head.size == std::string_view(c.text).size());
    }
    for (const char* text :
         {"HTTP/1.1 20 OK\r\n\r\n", "HTTP/1.1 2000 OK\r\n\r\n", "HTTP/1.1  200 OK\r\n\r\n",
          "HTTP/1.1 099 No\r\n\r\n", "HTTP/1.1 600 No\r\n\r\n", "HTTP/2 200\r\n\r\n",
          "HTTP/1.1 200 OK\n\r\n", "ICY 200 OK\r\n\r\n", "HTTP/1.1 200 a\x01\r\n\r\n",
          "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
          "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n",
          "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
          "HTTP/1.1 200 OK\r\nSet Cookie: x\r\n\r\n"}) {
        CAPTURE(text);
        CHECK(response(text).parse == Parse::bad);
    }
    for (const char* text :
         {"", "HTTP", "HTTP/1.1", "HTTP/1.1 2", "HTTP/1.1 200", "HTTP/1.1 200 OK\r",
          "HTTP/1.1 200 OK\r\n", "HTTP/1.1 200 OK\r\nX", "HTTP/1.1 200 OK\r\nX: y\r\n\r"}) {
        CAPTURE(text);
        CHECK(response(text).parse == Parse::incomplete);
    }
}

// A head is reusable: nothing of the last message is left.
TEST_CASE("reuse") {
    Head head;
    ParseError error;
    CHECK(parse_request(post("Content-Length: 5\r\nConnection: close\r\nExpect: 100-continue\r\n"),
                        kServerLimits, head, error) == Parse::done);
    CHECK(parse_request("GET / HTTP/1.1\r\nHost: a\r\n\r\n", kServerLimits, head, error) ==
          Parse::done);
    CHECK(head.headers.size() == 1);
    CHECK(head.body == BodyKind::none);
    CHECK(head.content_length == 0);
    CHECK(head.keep_alive);
    CHECK_FALSE(head.expect_continue);
}

// Only the case of ASCII letters is passed over, at every length and place.
TEST_CASE("names are compared without their case") {
    const auto lowered = [](int c) { return c >= 'A' && c <= 'Z' ? c + 32 : c; };
    for (size_t size = 1; size <= 20; ++size) {
        for (size_t at = 0; at < size; ++at) {
            for (int a = 0; a < 256; ++a) {
                for (const int b : {a, a ^ 0x20, a ^ 0x80, a ^ 1}) {
                    std::string one(size, 'k');
                    std::string other(size, 'K');
                    one[at] = static_cast<char>(a);
                    other[at] = static_cast<char>(b);
                    REQUIRE(iequals(one, other) == (lowered(a) == lowered(b)));
                }
            }
        }
    }
    CHECK(iequals("", ""));
    CHECK_FALSE(iequals("a", ""));
    CHECK_FALSE(iequals("content-type", "content-typ"));
}

// Writers produce what the parser reads; control bytes cannot break out of a value.
TEST_CASE("writers") {
    std::string out;
    write_status_line(out, 429);
    write_header(out, "X-Note", "a\r\nSet-Cookie: x\tb");
    write_header(out, "Transfer-Encoding", "chunked");
    out += "\r\n";
    const Outcome o = response(out);
    REQUIRE(o.parse == Parse::done);
    CHECK(o.head.status == 429);
    CHECK(o.head.headers.size() == 2);
    CHECK(o.head.header("x-note") == "a  Set-Cookie: x b");
    out.clear();
    write_request_line(out, "POST", "/v1/x");
    CHECK(out == "POST /v1/x HTTP/1.1\r\n");
    out.clear();
    write_chunk(out, "");
    write_chunk(out, std::string(26, 'x'));
    CHECK(out == "1a\r\n" + std::string(26, 'x') + "\r\n");
    out.clear();
    write_status_line(out, 599);
    CHECK(out == "HTTP/1.1 599 Unknown\r\n");
}
