// Keys are found wherever LiteLLM's clients put them, judged in its words, and foreign web pages
// stay out.
#include "gateway/auth.h"

#include <doctest/doctest.h>

#include "gateway/gateway.h"
#include "wire/json.h"

using namespace belay;
using namespace belay::gateway;

namespace {

// A parsed head that keeps the text it points into.
struct Parsed {
    explicit Parsed(std::string_view lines, std::string_view target = "/v1/models")
        : text("GET " + std::string(target) + " HTTP/1.1\r\n" + std::string(lines) + "\r\n") {
        http::ParseError error;
        REQUIRE(http::parse_request(text, http::kServerLimits, head, error) == http::Parse::done);
    }
    std::string text;
    http::Head head;
};

Snapshot with_key(std::string key) {
    Snapshot snapshot;
    snapshot.master_key = Secret(std::move(key));
    return snapshot;
}

std::string message_of(const std::optional<std::string>& body) {
    REQUIRE(body.has_value());
    auto value = json::parse(*body);
    REQUIRE(value.ok());
    return std::string((*value)["error"]["message"].as_string());
}

}  // namespace

TEST_CASE("a key is found in every place that clients put it") {
    struct Case {
        const char* lines;
        const char* key;
    };
    for (const Case& c : {Case{"Host: x\r\nAuthorization: Bearer sk-a\r\n", "sk-a"},
                          Case{"Host: x\r\nauthorization: bearer sk-a\r\n", "sk-a"},
                          Case{"Host: x\r\nx-litellm-api-key: sk-b\r\n", "sk-b"},
                          Case{"Host: x\r\nx-litellm-api-key: Bearer sk-b\r\n", "sk-b"},
                          Case{"Host: x\r\napi-key: sk-c\r\n", "sk-c"},
                          Case{"Host: x\r\nx-api-key: sk-d\r\n", "sk-d"},
                          Case{"Host: x\r\nx-goog-api-key: sk-e\r\n", "sk-e"},
                          Case{"Host: x\r\nOcp-Apim-Subscription-Key: sk-f\r\n", "sk-f"},
                          Case{"Host: x\r\n", ""}}) {
        CAPTURE(c.lines);
        const Parsed parsed(c.lines);
        CHECK(find_key(parsed.head, "", "").key == c.key);
    }
}

TEST_CASE("the earlier place wins, whatever the order of the headers") {
    const Parsed parsed(
        "Host: x\r\nx-api-key: sk-late\r\nAuthorization: Bearer sk-mid\r\n"
        "x-litellm-api-key: sk-first\r\n");
    CHECK(find_key(parsed.head, "", "").key == "sk-first");
    const Parsed own("Host: x\r\nX-My-Key: sk-own\r\nx-litellm-api-key: sk-first\r\n");
    CHECK(find_key(own.head, "x-my-key", "").key == "sk-own");
}

TEST_CASE("a browser's session counts from this gateway's own pages, for changes strictly so") {
    struct Case {
        const char* method;
        const char* lines;
        bool foreign;
    };
    const Case cases[] = {
        {"GET", "", false},
        {"GET", "Sec-Fetch-Site: none\r\n", false},
        {"GET", "Sec-Fetch-Site: cross-site\r\n", true},
        {"POST", "Sec-Fetch-Site: same-origin\r\n", false},
        {"POST", "Sec-Fetch-Site: same-site\r\n", true},
        {"POST", "Sec-Fetch-Site: cross-site\r\nOrigin: http://localhost:4000\r\n", true},
        {"POST", "Sec-Fetch-Site: none\r\n", true},
        {"POST", "Origin: http://localhost:4000\r\n", false},
        {"DELETE", "Origin: http://localhost:4001\r\n", true},
        {"PATCH", "Origin: null\r\n", true},
        {"POST", "", true},
    };
    for (const Case& c : cases) {
        CAPTURE(c.method);
        CAPTURE(c.lines);
        Parsed request(std::string("Host: localhost:4000\r\nCookie: a=b; token=sk-x; c=d\r\n") +
                       c.lines);
        request.head.method = c.method;
        const SessionKey session = find_session(request.head);
        CHECK(session.key == "sk-x");
        CHECK(session.foreign == c.foreign);
    }
    for (const char* none : {"", "Cookie: mytoken=sk-x\r\n", "Cookie: token=ey.a.b\r\n"}) {
        const Parsed request(std::string("Host: localhost\r\n") + none);
        CHECK(find_session(request.head).key.empty());
    }
}

TEST_CASE("the query's key counts on Google's routes only") {
    const Parsed google("Host: x\r\n", "/v1beta/models?key=sk-q&alt=sse");
    CHECK(find_key(google.head, "", "key=sk-q&alt=sse").key == "sk-q");
    const Parsed openai("Host: x\r\n", "/v1/models?key=sk-q");
    CHECK(find_key(openai.head, "", "key=sk-q").key.empty());
}

TEST_CASE("keys are judged in LiteLLM's words, and never shown") {
    const Snapshot snapshot = with_key("sk-right-0123456789abcdef");
    CHECK_FALSE(check_key({"sk-right-0123456789abcdef"}, snapshot).has_value());
    CHECK(message_of(check_key({}, snapshot)) == "Authentication Error, No api key passed in.");
    CHECK(message_of(check_key({"sk-right", true}, snapshot)).find("Malformed API Key") !=
          std::string::npos);
    const std::string foreign = message_of(check_key({"abcd-efgh-ijkl-mnop"}, snapshot));
    CHECK(foreign.find("Received=abcd****mnop, expected to start with 'sk-'") != std::string::npos);
    const std::string unknown = message_of(check_key({"sk-wrong-secret-part-9876"}, snapshot));
    CHECK(unknown.find("sk-...9876") != std::string::npos);
    CHECK(unknown.find("secret-part") == std::string::npos);
    CHECK(check_key({"sk-right-0123456789abcde"}, snapshot).has_value());
    CHECK(check_key({"sk-right-0123456789abcdef0"}, snapshot).has_value());
}

TEST_CASE("a page of a foreign name or origin is refused, applications and our own page are not") {
    struct Case {
        const char* lines;
        int status;  // 0: may come in
    };
    for (const Case& c : {
             Case{"Host: localhost:4000\r\n", 0},
             Case{"Host: 127.0.0.1:4000\r\n", 0},
             Case{"Host: [::1]:4000\r\n", 0},
             Case{"Host: belay:4000\r\n", 0},
             Case{"Host: app.localhost\r\n", 0},
             Case{"Host: evil.example:4000\r\n", 421},
             Case{"Host: gate.lan\r\n", 0},
             Case{"Host: localhost:4000\r\nOrigin: http://localhost:4000\r\n", 0},
             Case{"Host: localhost:4000\r\nOrigin: http://localhost:3000\r\n", 403},
             Case{"Host: localhost:4000\r\nOrigin: https://evil.example\r\n", 403},
             Case{"Host: localhost:4000\r\nOrigin: null\r\n", 403},
             Case{"Host: localhost:4000\r\nOrigin: vscode-webview://abc\r\n", 0},
             Case{"Host: localhost:4000\r\nOrigin: https://mine.example\r\n", 0},
         }) {
        CAPTURE(c.lines);
        const Parsed parsed(c.lines);
        const auto foreign = check_browser(parsed.head, {"gate.lan"}, {"https://mine.example"});
        CHECK((foreign ? foreign->status : 0) == c.status);
    }
}

TEST_CASE("every spelling of a path finds its endpoint and the model in it") {
    struct Case {
        const char* path;
        Route route;
        const char* model;
    };
    for (const Case& c : {
             Case{"/v1/chat/completions", Route::chat, ""},
             Case{"/chat/completions/", Route::chat, ""},
             Case{"/engines/github_copilot/gpt-5-mini/chat/completions", Route::chat,
                  "github_copilot/gpt-5-mini"},
             Case{"/openai/deployments/gpt-4.1/chat/completions", Route::chat, "gpt-4.1"},
             Case{"/openai/deployments/a%2Fb/embeddings", Route::embeddings, "a%2Fb"},
             Case{"/v1/embeddings", Route::embeddings, ""},
             Case{"/v1/models", Route::models, ""},
             Case{"/v1/models/github_copilot%2Fgpt-5-mini", Route::model,
                  "github_copilot%2Fgpt-5-mini"},
             Case{"/v1/models/a/b", Route::model, "a/b"},
             Case{"/health/liveliness", Route::liveliness, ""},
             Case{"/health/readiness", Route::readiness, ""},
             Case{"/v1/chat/completions/x", Route::unknown, ""},
             Case{"/engines//chat/completions", Route::unknown, ""},
             Case{"/", Route::unknown, ""},
         }) {
        CAPTURE(c.path);
        const Routed routed = route(c.path);
        CHECK(routed.route == c.route);
        CHECK(routed.model == c.model);
    }
    CHECK(route("/health/liveliness").is_public);
    CHECK_FALSE(route("/health").is_public);
}
