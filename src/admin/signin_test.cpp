#include "admin/signin.h"

#include <doctest/doctest.h>
#include <stdlib.h>

#include <fstream>
#include <map>

#include "admin/assets.h"
#include "admin/signin_view.h"
#include "wire/json.h"

using namespace belay;
using namespace belay::admin;
using accounts::AccountView;
using accounts::DeviceFlow;
using accounts::Phase;

namespace {

class FixedClock final : public Clock {
  public:
    Mono mono() const override { return {}; }
    Wall wall() const override { return from_unix_seconds(1'790'000'000); }
};

const FixedClock kClock;

std::string header_of(const SigninReply& reply, std::string_view name) {
    for (const auto& [key, value] : reply.headers) {
        if (key == name) {
            return value;
        }
    }
    return {};
}

// The page on an account that the test plays, and a browser that keeps its cookie and token.
struct World {
    explicit World(SigninOptions options = {})
        : page({[this] { return std::make_shared<const AccountView>(view); },
                [this](std::string owner) {
                    calls.push_back("sign_in");
                    owners.push_back(owner);
                },
                [this](std::string) { calls.push_back("confirm"); },
                [this](std::string owner) { calls.push_back("cancel " + owner); },
                [this] { calls.push_back("sign_out"); }},
               kClock, std::move(options)) {}

    static SigninRequest get(std::string_view path) {
        SigninRequest r;
        r.method = "GET";
        r.path = path;
        r.host = "localhost:4001";
        r.sec_fetch_site = "same-origin";
        return r;
    }
    [[nodiscard]] SigninRequest post(std::string_view path, std::string_view body = "{}") const {
        SigninRequest r = get(path);
        r.method = "POST";
        r.content_type = "application/json";
        r.cookie = cookie;
        r.page_token = token;
        r.body = body;
        return r;
    }
    // Opens the page as a browser does; afterwards cookie, token and owner are known.
    std::string open() {
        SigninRequest r = get("/github");
        r.cookie = cookie;
        const SigninReply reply = page.handle(r);
        if (const std::string set = header_of(reply, "Set-Cookie"); !set.empty()) {
            cookie = set.substr(0, set.find(';'));
        }
        const size_t at = reply.body.find("data-token=\"") + 12;
        token = reply.body.substr(at, reply.body.find('"', at) - at);
        return reply.body;
    }
    std::string owner() {
        open();
        (void)page.handle(post("/github/start"));
        return owners.back();
    }
    json::Value status(std::string_view have = "") {
        SigninRequest r = get("/github/status");
        r.cookie = cookie;
        r.page_token = token;
        const std::string query = "have=" + std::string(have);
        r.query = query;
        return json::parse(page.handle(r).body).value();
    }

    AccountView view;
    std::vector<std::string> calls;
    std::vector<std::string> owners;
    std::string cookie;
    std::string token;
    SigninPage page;
};

AccountView waiting_for(const std::string& owner) {
    AccountView v;
    v.device = DeviceFlow::State::waiting;
    v.device_owner = owner;
    v.user_code = "WDJB-MJHT";
    v.verification_url = "https://github.com/login/device";
    v.code_expires_at = kClock.wall() + seconds(873);
    return v;
}

accounts::CataloguePtr some_models() {
    auto list = accounts::parse_catalogue(R"({"data":[
      {"id":"claude-opus-4.6","vendor":"Anthropic","model_picker_enabled":true},
      {"id":"claude-sonnet-4.6","vendor":"Anthropic","model_picker_enabled":true},
      {"id":"gemini-3-pro-preview","vendor":"Google","model_picker_enabled":true},
      {"id":"gpt-5-mini","vendor":"Azure OpenAI","model_picker_enabled":true},
      {"id":"gpt-5.3-codex","vendor":"OpenAI","model_picker_enabled":true},
      {"id":"gpt-5.4","vendor":"OpenAI","model_picker_enabled":true},
      {"id":"grok-code-fast-1","vendor":"xAI","model_picker_enabled":true},
      {"id":"text-embedding-3-small","vendor":"Azure OpenAI","capabilities":{"type":"embeddings"}},
      {"id":"claude-opus-4.7","vendor":"Anthropic","model_picker_enabled":true,"policy":{"state":"unconfigured"}}]})");
    return std::make_shared<const accounts::Catalogue>(std::move(list).value());
}

AccountView signed_in() {
    AccountView v;
    v.phase = Phase::signed_in;
    v.login = "octo-cat";
    v.plan = "Pro+";
    v.credits = true;
    v.catalogue = some_models();
    v.quotas = accounts::parse_user(
                   R"({"token_based_billing":true,"quota_snapshots":{"premium_interactions":
        {"entitlement":7000,"quota_remaining":5120.4,"percent_remaining":73.1,"quota_reset_at":1790812800}}})")
                   ->quotas;
    v.quotas.push_back(*accounts::parse_quota_header("x-usage-ratelimit-session",
                                                     "ent=0&rem=96&rst=2026-09-21T18:00:00Z"));
    return v;
}

// Every state of the page, as an owner called "me" sees it.
std::map<std::string, AccountView> every_state() {
    std::map<std::string, AccountView> states;
    states["welcome"] = {};
    states["asking"] = {};
    states["asking"].device = DeviceFlow::State::starting;
    states["asking"].device_owner = "me";
    states["waiting"] = waiting_for("me");
    states["waiting-slowed"] = waiting_for("me");
    states["waiting-slowed"].device_slowed = true;
    states["waiting-offline"] = waiting_for("me");
    states["waiting-offline"].device_offline = true;
    states["elsewhere"] = waiting_for("another");
    for (const auto& [name, state] : {std::pair{"expired", DeviceFlow::State::expired},
                                      std::pair{"denied", DeviceFlow::State::denied},
                                      std::pair{"failed", DeviceFlow::State::failed}}) {
        states[name].device = state;
        states[name].device_owner = "me";
    }
    states["failed"].device_problem =
        "This client id may not sign in by device code. Choose another profile.";
    states["checking"].phase = Phase::starting;
    states["ready"] = signed_in();
    states["confirm"] = signed_in();
    states["confirm"].device = DeviceFlow::State::success;
    states["confirm"].device_owner = "me";
    states["confirm"].pending_login = "jane-doe";
    states["needs_login"].phase = Phase::needs_login;
    states["refused"].phase = Phase::refused;
    states["refused"].login = "octo-cat";
    states["refused"].problem = accounts::describe_refusal("no_copilot_access", "", "", "");
    states["unreachable"].phase = Phase::unreachable;
    states["unreachable"].problem.text = "The network or GitHub is not answering (no route).";
    return states;
}

PanelContext context_of(const AccountView& view, std::string_view owner = "me") {
    PanelContext c{view,
                   decide_state(view, owner),
                   kClock.wall(),
                   "TOKEN",
                   "http://localhost:4000",
                   "~/.config/litellm/github_copilot",
                   "v1",
                   "/github"};
    c.may_begin_by_itself = true;
    return c;
}

}  // namespace

TEST_CASE("every state has a page of its own with a way on") {
    std::map<std::string, std::string> headings;
    for (const auto& [name, view] : every_state()) {
        CAPTURE(name);
        const PanelContext c = context_of(view);
        const std::string want = name.substr(0, name.find('-'));
        CHECK(state_name(c.state) == want);
        const std::string panel = render_panel(c);
        CHECK(panel.find("<h1>") != std::string::npos);
        CHECK_FALSE(describe_state(c).empty());
        const bool passing = want == "checking" || want == "unreachable";
        CHECK((panel.find("<button") != std::string::npos || passing));
        headings[want] = panel.substr(0, panel.find("</h1>"));
    }
    std::map<std::string, int> seen;
    for (const auto& [name, heading] : headings) {
        ++seen[heading];
    }
    CHECK(seen.size() == 13);
}

TEST_CASE("nothing from outside reaches the page as markup") {
    const std::string evil = "<script>alert(1)</script>\"'&";
    AccountView v = signed_in();
    v.login = evil;
    v.plan = evil;
    v.notice = evil;
    v.warnings = {evil};
    const auto check = [&](const AccountView& view) {
        const std::string page = render_page(context_of(view));
        CHECK(page.find("<script>alert") == std::string::npos);
        CHECK(page.find("&lt;script&gt;alert") != std::string::npos);
    };
    check(v);
    AccountView refused;
    refused.phase = Phase::refused;
    refused.problem.title = evil;
    refused.problem.text = evil;
    refused.problem.url = "https://github.com/\"><script>alert(1)</script>";
    check(refused);
    AccountView code = waiting_for("me");
    code.user_code = evil;
    check(code);
}

TEST_CASE("the code is shown to the session that asked for it, and to nobody else") {
    World w;
    w.view = waiting_for(w.owner());
    CHECK(w.open().find("WDJB") != std::string::npos);
    CHECK(w.status()["html"].as_string().find("WDJB") != std::string::npos);
    CHECK(w.status()["expires_in"].as_int() == 873);

    World other;
    other.view = w.view;
    const std::string page = other.open();
    CHECK(page.find("WDJB") == std::string::npos);
    CHECK(page.find("another window") != std::string::npos);
    // The cookie alone (other local services receive it too) opens no status.
    SigninRequest r = World::get("/github/status");
    r.cookie = w.cookie;
    CHECK(w.page.handle(r).status == 403);
    CHECK(w.page.handle(r).body.find("WDJB") == std::string::npos);
}

TEST_CASE("foreign hosts are refused before anything else") {
    World w;
    struct Case {
        const char* host;
        int status;
    } cases[] = {{"localhost:4001", 200},    {"127.0.0.1:4001", 200},
                 {"[::1]:4001", 200},        {"localhost", 200},
                 {"evil.io", 421},           {"evil.io:4001", 421},
                 {"localhost.evil.io", 421}, {"", 421},
                 {"192.168.1.5:4001", 421},  {"box.lan:4001", 421}};
    for (const Case& c : cases) {
        CAPTURE(c.host);
        SigninRequest r = World::get("/github");
        r.host = c.host;
        CHECK(w.page.handle(r).status == c.status);
    }
    SigninOptions options;
    options.hosts = {"box.lan:4001"};
    World named(options);
    SigninRequest r = World::get("/github");
    r.host = "box.lan:4001";
    CHECK(named.page.handle(r).status == 200);
}

TEST_CASE("a change needs this very page, its token, JSON and POST") {
    World w;
    w.open();
    struct Case {
        const char* name;
        std::function<void(SigninRequest&)> spoil;
        int status;
    } cases[] = {
        {"fine", [](SigninRequest&) {}, 202},
        {"old browser",
         [](SigninRequest& r) {
             r.sec_fetch_site = "";
             r.origin = "http://localhost:4001";
         },
         202},
        {"cross-site", [](SigninRequest& r) { r.sec_fetch_site = "cross-site"; }, 403},
        {"same-site: another port", [](SigninRequest& r) { r.sec_fetch_site = "same-site"; }, 403},
        {"typed", [](SigninRequest& r) { r.sec_fetch_site = "none"; }, 403},
        {"foreign origin",
         [](SigninRequest& r) {
             r.sec_fetch_site = "";
             r.origin = "http://localhost:9999";
         },
         403},
        {"null origin",
         [](SigninRequest& r) {
             r.sec_fetch_site = "";
             r.origin = "null";
         },
         403},
        {"no origin", [](SigninRequest& r) { r.sec_fetch_site = ""; }, 403},
        {"no token", [](SigninRequest& r) { r.page_token = ""; }, 403},
        {"wrong token", [](SigninRequest& r) { r.page_token = "00"; }, 403},
        {"no cookie", [](SigninRequest& r) { r.cookie = ""; }, 403},
        {"text/plain", [](SigninRequest& r) { r.content_type = "text/plain"; }, 415},
        {"no type", [](SigninRequest& r) { r.content_type = ""; }, 415},
        {"no JSON", [](SigninRequest& r) { r.body = "takeover"; }, 400},
        {"an array", [](SigninRequest& r) { r.body = "[]"; }, 400},
        {"GET", [](SigninRequest& r) { r.method = "GET"; }, 405},
        {"PUT", [](SigninRequest& r) { r.method = "PUT"; }, 405},
    };
    for (const Case& c : cases) {
        CAPTURE(c.name);
        for (const char* path :
             {"/github/start", "/github/confirm", "/github/cancel", "/github/signout"}) {
            SigninRequest r = w.post(path);
            c.spoil(r);
            const size_t before = w.calls.size();
            CHECK(w.page.handle(r).status == c.status);
            CHECK((w.calls.size() > before) == (c.status == 202));
        }
    }
}

TEST_CASE("without JavaScript the form does the same, by the token in its field") {
    World w;
    const std::string html = w.open();
    CHECK(html.find("<form method=\"post\" action=\"/github/start\">") != std::string::npos);
    const std::string good = "token=" + w.token + "&takeover=false";
    SigninRequest r = w.post("/github/start", good);
    r.content_type = "application/x-www-form-urlencoded";
    r.page_token = "";
    const SigninReply reply = w.page.handle(r);
    CHECK(reply.status == 303);
    CHECK(header_of(reply, "Location") == "/github");
    CHECK(w.calls == std::vector<std::string>{"sign_in"});
    r.body = "token=00&takeover=false";
    CHECK(w.page.handle(r).status == 403);
    // While something is under way the page reloads itself, only then.
    w.view = waiting_for(w.owners.back());
    CHECK(w.open().find("http-equiv=\"refresh\"") != std::string::npos);
    w.view = signed_in();
    CHECK(w.open().find("http-equiv=\"refresh\"") == std::string::npos);
}

TEST_CASE("taking over ends the other sign-in first") {
    World w;
    w.open();
    w.view = waiting_for("terminal");
    (void)w.page.handle(w.post("/github/start", R"({"takeover":true})"));
    CHECK(w.calls == std::vector<std::string>{"cancel terminal", "sign_in"});
}

TEST_CASE("the panel is sent only when it changed") {
    World w;
    w.view = signed_in();
    w.open();
    const json::Value first = w.status();
    CHECK(first.has("html"));
    CHECK(first["state"].as_string() == "ready");
    const json::Value second = w.status(first["key"].as_string());
    CHECK_FALSE(second.has("html"));
    w.view.login = "somebody";
    CHECK(w.status(first["key"].as_string()).has("html"));
}

TEST_CASE("a page that another site opened begins nothing by itself") {
    World w;
    for (const auto& [site, begins] :
         {std::pair{"none", true}, std::pair{"same-origin", true}, std::pair{"", true},
          std::pair{"cross-site", false}, std::pair{"same-site", false}}) {
        SigninRequest r = World::get("/github");
        r.sec_fetch_site = site;
        const bool found = w.page.handle(r).body.find("data-begin=\"yes\"") != std::string::npos;
        CHECK(found == begins);
    }
    CHECK(w.calls.empty());
}

TEST_CASE("with a link token the page tells nothing and changes nothing without it") {
    SigninOptions options;
    options.link_token = Secret("0123456789abcdef");
    World w(options);
    w.view = signed_in();
    CHECK(w.open().find("octo-cat") == std::string::npos);
    SigninRequest r = World::get("/github");
    r.link_token = "0123456789abcdef";
    r.cookie = w.cookie;
    const std::string page = w.page.handle(r).body;
    CHECK(page.find("octo-cat") != std::string::npos);
    const size_t at = page.find("data-token=\"") + 12;
    w.token = page.substr(at, page.find('"', at) - at);
    CHECK(w.page.handle(w.post("/github/signout")).status == 403);
    SigninRequest with = w.post("/github/signout");
    with.link_token = "0123456789abcdef";
    CHECK(w.page.handle(with).status == 202);
}

TEST_CASE("every reply forbids framing, sniffing, caching and foreign content") {
    World w;
    for (const char* path : {"/github", "/github/status", "/github/start", "/nothing"}) {
        CAPTURE(path);
        const SigninReply reply = w.page.handle(World::get(path));
        CHECK(header_of(reply, "Content-Security-Policy").starts_with("default-src 'none'"));
        CHECK(header_of(reply, "Content-Security-Policy").find("unsafe") == std::string::npos);
        CHECK(header_of(reply, "X-Content-Type-Options") == "nosniff");
        CHECK(header_of(reply, "X-Frame-Options") == "DENY");
        CHECK(header_of(reply, "Cache-Control") == "no-store");
    }
    CHECK(w.page.handle(World::get("/")).status == 303);
    CHECK(w.page.handle(World::get("/nothing")).status == 404);
}

TEST_CASE("the assets are compiled in, and the page uses nothing else") {
    World w;
    const std::string page = w.open();
    CHECK(page.find("style=\"") == std::string::npos);  // the policy would drop it silently
    CHECK(page.find("<style") == std::string::npos);
    CHECK(page.find("onclick") == std::string::npos);
    CHECK(page.find("http://") == std::string::npos);
    for (const char* name : {"signin.css", "signin.js", "icon.svg"}) {
        CAPTURE(name);
        REQUIRE(find_asset(name));
        CHECK(page.find(std::string("/github/assets/") + name + "?v=") != std::string::npos);
        const std::string path = std::string("/github/assets/") + name;
        const SigninReply reply = w.page.handle(World::get(path));
        CHECK(reply.status == 200);
        CHECK(reply.body.size() > 100);
        CHECK(header_of(reply, "Cache-Control") == "no-cache");
    }
    CHECK(w.page.handle(World::get("/github/assets/../signin.cpp")).status == 404);
}

TEST_CASE("initials") {
    CHECK(initials("octocat") == "OC");
    CHECK(initials("jane-doe") == "JD");
    CHECK(initials("a-b-c") == "AB");
    CHECK(initials("X") == "X");
    CHECK(initials("") == "?");
}

// Not a test: writes every state as a page for tests/browser/states.mjs to look at.
TEST_CASE("write the states" * doctest::skip()) {
    const char* dir = getenv("BELAY_STATES_DIR");
    REQUIRE(dir != nullptr);
    for (const auto& [name, view] : every_state()) {
        std::ofstream(std::string(dir) + "/" + name + ".html") << render_page(context_of(view));
    }
}
