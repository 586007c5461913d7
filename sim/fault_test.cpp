#include "sim/fault.h"

#include <doctest/doctest.h>

#include <fstream>
#include <set>

#include "sim/testing.h"

using namespace belay;
using namespace belay::sim;
using belay::sim::testing::Bench;
using belay::sim::testing::chat_text;
using belay::sim::testing::Event;
using belay::sim::testing::events_of;

namespace {

constexpr std::string_view kChat =
    R"({"model":"gpt-4.1","messages":[{"role":"user","content":"Hello"}],"stream":true})";
constexpr std::string_view kPlain =
    R"({"model":"gpt-4.1","messages":[{"role":"user","content":"Hello"}]})";
constexpr std::string_view kResponses =
    R"({"model":"gpt-5.3-codex","input":"Hello","stream":true})";
constexpr std::string_view kMessages =
    R"({"model":"claude-opus-4.6","max_tokens":500,"messages":[{"role":"user","content":"Hello"}],"stream":true})";

std::string one(std::string_view fault, std::string_view more = {}) {
    return R"({"faults":[{"fault":")" + std::string(fault) + "\"" + std::string(more) + "}]}";
}

}  // namespace

// Every name in the list is a fault, no name is there twice, and every http fault has a status.
TEST_CASE("faults: the list is complete and free of doubles") {
    std::set<std::string_view> seen;
    for (const auto name : fault_names()) {
        CAPTURE(name);
        CHECK(seen.insert(name).second);
        const auto fault = find_fault(name);
        REQUIRE(fault.has_value());
        CHECK(fault->name == name);
        if (fault->kind == FaultKind::http) {
            CHECK(fault->status >= 200);
        }
    }
    CHECK(seen.size() > 130);
    CHECK(!find_fault("no_such_fault").has_value());
}

// The error matrix: status and code of the rows that decide how a gateway reacts.
TEST_CASE("faults: http errors") {
    struct Row {
        std::string_view fault;
        int status;
        std::string_view text;
        std::string_view retry_after;
    };
    for (const Row& row :
         {Row{"quota_exceeded", 402, "\"code\":\"quota_exceeded\"", "432000"},
          Row{"session_quota_exceeded", 402, "session_quota_exceeded", "7200"},
          Row{"user_weekly_rate_limited", 429, "weekly rate limit", "259200"},
          Row{"user_global_rate_limited", 429, "user_global_rate_limited:pro_plus", "300"},
          Row{"model_not_supported", 400, "The requested model is not supported.", ""},
          Row{"token_expired", 401, "unauthorized: token expired", ""},
          Row{"tpm_forbidden", 403, "access to this endpoint is forbidden", ""},
          Row{"misdirected", 421, "Misdirected Request", ""},
          Row{"api_version_retired", 466, "no longer supported", ""},
          Row{"goaway_503", 503, "HTTP/2 GOAWAY connection terminated", ""},
          Row{"bad_gateway", 502, "<html>", ""}, Row{"html_200", 200, "<html>", ""},
          Row{"empty_400", 400, "", ""}}) {
        CAPTURE(row.fault);
        Bench bench(one(row.fault));
        const Reply r = bench.call("/chat/completions", kChat);
        CHECK(r.status == row.status);
        CHECK(r.header("retry-after") == row.retry_after);
        CHECK(r.body().find(row.text) != std::string::npos);
        CHECK(bench.state()["charged_nano"].as_int() == 0);
    }
}

// Which calls a rule hits.
TEST_CASE("faults: matching by path, model, account, stream, nth, count") {
    struct Row {
        std::string_view rule;
        std::string_view hits;  // of four calls: plain gpt, stream gpt, codex, opus
    };
    for (const Row& row :
         {Row{"", "1111"}, Row{R"(,"path":"/chat/completions")", "1100"},
          Row{R"(,"path":"/v1/*")", "0001"}, Row{R"(,"model":"gpt-*")", "1110"},
          Row{R"(,"model":"claude-opus-4.6")", "0001"}, Row{R"(,"stream":false)", "1000"},
          Row{R"(,"nth":2)", "0100"}, Row{R"(,"from":3)", "0011"}, Row{R"(,"count":1)", "1000"},
          Row{R"(,"account":"max")", "0000"}, Row{R"(,"probability":0)", "0000"},
          Row{R"(,"path":"/models")", "0000"}}) {
        CAPTURE(row.rule);
        Bench bench(one("rate_limited", row.rule));
        std::string hits;
        hits += bench.call("/chat/completions", kPlain).status == 429 ? '1' : '0';
        hits += bench.call("/chat/completions", kChat).status == 429 ? '1' : '0';
        hits += bench.call("/responses", kResponses).status == 429 ? '1' : '0';
        hits += bench.call("/v1/messages", kMessages).status == 429 ? '1' : '0';
        CHECK(hits == row.hits);
    }
}

// A fault inside a 200 stream stands exactly where it says, in the protocol's own shape, and
// nothing follows it.
TEST_CASE("faults: errors inside the stream") {
    struct Row {
        std::string_view path;
        std::string_view body;
        std::string_view content;  // marks a content event
        std::string_view error;
    };
    for (const Row& row :
         {Row{"/chat/completions", kChat, "\"content\":\"Hello", R"({"error":{"message")"},
          Row{"/responses", kResponses, "output_text.delta", "\"type\":\"response.failed\""},
          Row{"/v1/messages", kMessages, "text_delta",
              R"({"type":"error","error":{"type":"billing_error")"}}) {
        CAPTURE(row.path);
        Bench early(one("in_stream_quota"));
        const Reply first = early.call(row.path, row.body);
        CHECK(first.status == 200);
        CHECK(first.body().find(row.content) == std::string::npos);
        CHECK(events_of(first).back().data.find(row.error) != std::string::npos);
        CHECK(early.state()["charged_nano"].as_int() == 0);
        Bench late(one("late_quota"));
        const Reply second = late.call(row.path, row.body);
        CHECK(second.body().find(row.content) != std::string::npos);
        CHECK(events_of(second).back().data.find(row.error) != std::string::npos);
        CHECK(second.body().find("[DONE]") == std::string::npos);
        CHECK(second.body().find("message_stop") == std::string::npos);
        CHECK(late.state()["charged_nano"].as_int().value_or(0) > 0);
    }
}

// A plain call cannot fail inside a stream: it gets the HTTP form of the same error.
TEST_CASE("faults: in-stream faults on plain calls") {
    Bench bench(one("in_stream_quota"));
    CHECK(bench.call("/chat/completions", kPlain).status == 402);
}

// Overrides make any error there is.
TEST_CASE("faults: overrides and custom errors") {
    Bench bench(
        R"({"faults":[{"status":418,"code":"teapot","message":"short and stout","retry_after":7,)"
        R"("headers":{"x-ratelimit-exceeded":"pot"},"body":"json","count":1},)"
        R"({"fault":"rate_limited","retry_after":null}]})");
    const Reply tea = bench.call("/chat/completions", kPlain);
    CHECK(tea.status == 418);
    CHECK(tea.header("retry-after") == "7");
    CHECK(tea.header("x-ratelimit-exceeded") == "pot");
    CHECK(Bench::json_of(tea)["error"]["code"].as_string() == "teapot");
    CHECK(bench.call("/chat/completions", kPlain).header("retry-after").empty());
}

// The wire may spell a stream in many ways; a correct reader gets the same text from each.
TEST_CASE("faults: other spellings keep the text") {
    Bench clean;
    const std::string want = chat_text(events_of(clean.call("/chat/completions", kChat)));
    for (const char* fault :
         {"crlf", "multi_data", "long_line", "comments", "bom", "one_byte_writes", "usage_separate",
          "usage_null", "late_cot_id", "empty_ids", "no_done", "null_choices"}) {
        CAPTURE(fault);
        Bench bench(one(fault));
        CHECK(chat_text(events_of(bench.call("/chat/completions", kChat))) == want);
    }
}

// Cuts keep what came before them and mark how the connection ends.
TEST_CASE("faults: cuts") {
    struct Row {
        std::string_view fault;
        Cut cut;
        bool content;
        bool finish;
    };
    for (const Row& row : {Row{"cut_after_headers", Cut::close, false, false},
                           Row{"cut_after_handshake", Cut::close, false, false},
                           Row{"stall", Cut::stall, false, false},
                           Row{"reset_after_handshake", Cut::reset, false, false},
                           Row{"cut_after_content", Cut::close, true, false},
                           Row{"stall_after_content", Cut::stall, true, false},
                           Row{"cut_after_finish", Cut::close, true, true}}) {
        for (const auto& [path, body] : {std::pair{"/chat/completions", kChat},
                                         {"/responses", kResponses},
                                         {"/v1/messages", kMessages}}) {
            CAPTURE(row.fault);
            CAPTURE(path);
            Bench bench(one(row.fault));
            const Reply r = bench.call(path, body);
            REQUIRE(!r.parts.empty());
            CHECK(r.parts.back().cut == row.cut);
            CHECK((r.body().find("Hello! ") != std::string::npos) == row.content);
            CHECK((r.parts.back().stage == Stage::finish) == row.finish);
        }
    }
}

// Rules can be looked at, added and removed while the world runs.
TEST_CASE("control: faults at run time") {
    Bench bench;
    CHECK(bench.control("/_sim/faults", R"([{"id":"a","fault":"rate_limited"}])").status == 200);
    CHECK(bench.call("/chat/completions", kPlain).status == 429);
    CHECK(bench.control("/_sim/faults?add=1", R"([{"id":"a","fault":"quota_exceeded"}])").status ==
          200);
    CHECK(bench.call("/chat/completions", kPlain).status == 402);
    const auto shown = Bench::json_of(bench.send("GET", "/_sim/faults"));
    CHECK(shown["rules"].size() == 1);
    CHECK(shown["rules"][0]["fired"].as_int() == 1);
    CHECK(bench.send("DELETE", "/_sim/faults").status == 200);
    CHECK(bench.call("/chat/completions", kPlain).status == 200);
    const Reply bad = bench.control("/_sim/faults", R"([{"fault":"rate_limitd"}])");
    CHECK(bad.status == 400);
    CHECK(bad.body().find("faults[0].fault") != std::string::npos);
}

// The truth log tells what a client really sent, without its credential.
TEST_CASE("control: requests, state, reset") {
    Bench bench;
    bench.extra = {{"X-Initiator", "agent"}};
    bench.call("/chat/completions", kPlain);
    const auto log = Bench::json_of(bench.send("GET", "/_sim/requests?last=1"))["requests"][0];
    CHECK(log["headers"]["x-initiator"].as_string() == "agent");
    CHECK(log["headers"]["authorization"].as_string() == "Bearer [not kept]");
    CHECK(log["body"]["model"].as_string() == "gpt-4.1");
    CHECK(log["account"].as_string() == "pro_plus");
    CHECK(log["credential"].as_string() == "copilot");
    const auto state = bench.state();
    CHECK(state["model_calls"]["gpt-4.1 /chat/completions"].as_int() == 1);
    CHECK(state["statuses"]["200"].as_int() == 1);
    bench.control("/_sim/reset", "");
    CHECK(bench.state()["requests"].as_int() == 0);
}

// The world's clock can be moved, and an account's use set, while clients are connected.
TEST_CASE("control: advance and account") {
    Bench bench;
    CHECK(bench.call("/chat/completions", kPlain).status == 200);
    CHECK(bench.control("/_sim/account", R"({"account":"pro_plus","used":7000})").status == 200);
    CHECK(bench.call("/chat/completions", kPlain).status == 402);
    CHECK(bench.control("/_sim/advance", R"({"seconds":2678400})").status == 200);
    CHECK(bench.call("/chat/completions", kPlain).status == 401);
    bench.token.clear();
    CHECK(bench.call("/chat/completions", kPlain).status == 200);
}

// A scenario with a mistake is refused with the place of the mistake.
TEST_CASE("scenario: mistakes are named") {
    struct Row {
        std::string_view text;
        std::string_view says;
    };
    for (const Row& row :
         {Row{R"({"sed":1})", "scenario.sed is not known here"},
          Row{R"({"seed":"x"})", "scenario.seed must be a whole number"},
          Row{R"({"billing":"beer"})", "must be one of requests, credits"},
          Row{R"({"device":{"script":["maybe"]}})", "device.script"},
          Row{R"({"accounts":[{"plan":"gold"}]})", "accounts[0].plan"},
          Row{R"({"models":[{"id":"x","endpoint":[]}]})", "models[x].endpoint"},
          Row{R"({"quirks":{"gpt":{"no_dun":true}}})", "quirks.gpt.no_dun"},
          Row{R"({"faults":[{"fault":"slow","delay_ms":-1}]})", "faults[0].delay_ms"}}) {
        CAPTURE(row.text);
        const auto r = parse_scenario(*json::parse(row.text));
        REQUIRE(!r.ok());
        CHECK(r.error().message.find(row.says) != std::string::npos);
    }
}

// Models can be added like others, changed and removed.
TEST_CASE("scenario: models") {
    const auto s = *parse_scenario(*json::parse(
        R"({"models":[{"id":"new-1","like":"claude-opus-4.6","prompt_max":10},{"id":"gpt-4.1","multiplier":2.5}],"remove_models":["gpt-4o"]})"));
    const auto find = [&s](std::string_view id) -> const Model* {
        for (const auto& m : s.models) {
            if (m.id == id) {
                return &m;
            }
        }
        return nullptr;
    };
    REQUIRE(find("new-1") != nullptr);
    CHECK(find("new-1")->family == Family::claude);
    CHECK(find("new-1")->prompt_max == 10);
    CHECK(find("gpt-4.1")->multiplier_permille == 2500);
    CHECK(find("gpt-4o") == nullptr);
}

// Faults of GitHub's own paths need their path; a faulted exchange counts as an exchange.
TEST_CASE("faults: on the token exchange") {
    Bench bench(one("bad_gateway", R"(,"path":"/copilot_internal/v2/token","count":1)"));
    const Headers auth = {{"Authorization", "token gho_sim_pro_plus"}};
    CHECK(bench.send("GET", "/copilot_internal/v2/token", "", auth).status == 502);
    CHECK(bench.send("GET", "/copilot_internal/v2/token", "", auth).status == 200);
    CHECK(bench.state()["token_exchanges"].as_int() == 2);
}

// The rolling windows refuse in their own way and open again by themselves.
TEST_CASE("quota: session and weekly windows") {
    struct Row {
        std::string_view limit;
        int status;
        std::string_view code;
        int hours;
    };
    for (const Row& row : {Row{"session_limit", 402, "session_quota_exceeded", 5},
                           Row{"weekly_limit", 429, "user_weekly_rate_limited", 24 * 7}}) {
        CAPTURE(row.limit);
        Bench bench(R"({"token_lifetime":2000000,"accounts":[{"name":"pro_plus",")" +
                    std::string(row.limit) + R"(":0.0001}]})");
        CHECK(bench.call("/chat/completions", kPlain).status == 200);
        const Reply refused = bench.call("/chat/completions", kPlain);
        CHECK(refused.status == row.status);
        CHECK(refused.body().find(row.code) != std::string::npos);
        CHECK(refused.header("retry-after") == std::to_string(row.hours * 3600));
        bench.now += std::chrono::hours(row.hours);
        CHECK(bench.call("/chat/completions", kPlain).status == 200);
    }
}

// Whoever reads the documentation knows every fault.
TEST_CASE("faults: all are documented") {
    std::ifstream file(std::string(BELAY_SOURCE_DIR) + "/docs/simulator.md");
    const std::string text{std::istreambuf_iterator<char>(file), {}};
    for (const auto name : fault_names()) {
        CAPTURE(name);
        CHECK(text.find("`" + std::string(name) + "`") != std::string::npos);
    }
}
