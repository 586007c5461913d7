#include <doctest/doctest.h>

#include "sim/testing.h"

using namespace belay;
using namespace belay::sim;
using belay::sim::testing::Bench;
using belay::sim::testing::chat_text;
using belay::sim::testing::events_of;

namespace {

std::string ask(std::string_view model, std::string_view more = {},
                std::string_view text = "Hello") {
    return R"({"model":")" + std::string(model) + R"(","messages":[{"role":"user","content":")" +
           std::string(text) + R"("}])" + std::string(more) + "}";
}

constexpr std::string_view kWeather =
    R"(,"tools":[{"type":"function","function":{"name":"get_weather","parameters":{"type":"object",)"
    R"("properties":{"city":{"type":"string"}}}}}])";

// What a plain reply says, its choices put together.
std::string merged_text(const json::Value& reply) {
    std::string text;
    for (const auto& choice : reply["choices"].items()) {
        text += choice["message"]["content"].as_string();
    }
    return text;
}

}  // namespace

// Stream and plain reply of one question say the same, in every family.
TEST_CASE("chat: stream and plain agree") {
    for (const char* model : {"gpt-4.1", "claude-sonnet-4.5", "gemini-3-pro-preview"}) {
        CAPTURE(model);
        Bench bench;
        const auto plain = Bench::json_of(bench.call("/chat/completions", ask(model)));
        const auto streamed =
            events_of(bench.call("/chat/completions", ask(model, R"(,"stream":true)")));
        CHECK(merged_text(plain).find("Hello! I am") == 0);
        CHECK(chat_text(streamed) == merged_text(plain));
        CHECK(streamed.back().data == "[DONE]");
        CHECK(plain["usage"]["prompt_tokens"].as_int().value_or(0) > 0);
    }
}

// The family's habits are on the wire by default.
TEST_CASE("chat: flavours of the families") {
    Bench bench;
    const auto gpt = Bench::json_of(bench.call("/chat/completions", ask("gpt-4.1")));
    CHECK(gpt["object"].as_string() == "chat.completion");
    CHECK(gpt["model"].as_string() == "gpt-4.1-2025-04-14");
    CHECK(gpt.has("prompt_filter_results"));
    const auto claude = Bench::json_of(
        bench.call("/chat/completions", ask("claude-sonnet-4.5", kWeather, "Weather in Paris?")));
    CHECK(!claude.has("object"));
    CHECK(claude["model"].as_string() == "Claude Sonnet 4.5");
    CHECK(claude["choices"].size() == 2);
    CHECK(!claude["choices"][0].has("index"));
    CHECK(claude["choices"][1]["message"]["tool_calls"][0]["function"]["arguments"].as_string() ==
          R"({"city":"Paris"})");
    const auto events =
        events_of(bench.call("/chat/completions", ask("gpt-4.1", R"(,"stream":true)")));
    CHECK(events[0].json()["choices"].size() == 0);
    CHECK(events[2].json()["choices"][0]["delta"]["role"].is_null());
    const auto gemini = events_of(
        bench.call("/chat/completions", ask("gemini-3-pro-preview", R"(,"stream":true)")));
    CHECK(gemini[1].json()["usage"]["total_tokens"].as_int() == 0);
    CHECK(gemini[1].json()["choices"][0]["delta"].has("reasoning_text"));
    const auto last = gemini[gemini.size() - 2].json();
    CHECK(last["usage"]["total_tokens"].as_int().value_or(0) > 0);
    CHECK(last["choices"][0]["delta"].has("reasoning_opaque"));
}

// Parallel calls of Claude share index 0 and are told apart by id alone.
TEST_CASE("chat: claude reuses the index of parallel tool calls") {
    Bench bench;
    const auto events = events_of(bench.call(
        "/chat/completions", ask("claude-sonnet-4.5", std::string(kWeather) + R"(,"stream":true)",
                                 "Weather in both Paris and Tokyo?")));
    std::vector<std::string> ids;
    std::string arguments;
    for (const auto& e : events) {
        const auto parsed = e.json();
        const auto& call = parsed["choices"][0]["delta"]["tool_calls"][0];
        if (call.is_null()) {
            continue;
        }
        CHECK(call["index"].as_int() == 0);
        if (call.has("id")) {
            ids.emplace_back(call["id"].as_string());
            CHECK(!call["function"].has("arguments"));
        }
        arguments += call["function"]["arguments"].as_string();
    }
    REQUIRE(ids.size() == 2);
    CHECK(ids[0] != ids[1]);
    CHECK(arguments == R"({"city":"Paris"}{"city":"Tokyo"})");
}

// Reasoning comes back unchanged or is refused.
TEST_CASE("chat: reasoning_opaque is verified") {
    Bench bench;
    const auto first = Bench::json_of(
        bench.call("/chat/completions", ask("claude-sonnet-4.5", R"(,"thinking_budget":2000)")));
    const std::string opaque(first["choices"][0]["message"]["reasoning_opaque"].as_string());
    CHECK(!opaque.empty());
    auto history = [](const std::string& signature) {
        return R"({"model":"claude-sonnet-4.5","messages":[{"role":"user","content":"Hello"},)"
               R"({"role":"assistant","content":"Hi","reasoning_text":"thought","reasoning_opaque":")" +
               signature + R"("},{"role":"user","content":"more"}]})";
    };
    CHECK(bench.call("/chat/completions", history(opaque)).status == 200);
    const Reply bad = bench.call("/chat/completions", history("forged"));
    CHECK(bad.status == 400);
    CHECK(bad.body().find("Invalid signature in thinking block") != std::string::npos);
}

// What the service refuses, it refuses in its own words.
TEST_CASE("chat: refusals") {
    struct Row {
        std::string body;
        int status;
        std::string_view text;
    };
    std::string tools = R"(,"tools":[)";
    for (int i = 0; i < 129; ++i) {
        tools += (i == 0 ? "" : ",") + std::string(R"({"type":"function","function":{"name":"t)") +
                 std::to_string(i) + R"("}})";
    }
    const std::vector<Row> rows = {
        {ask("gpt-9"), 400, "model_not_supported"},
        {ask("gpt-5.3-codex"), 400, "unsupported_api_for_model"},
        {ask("gpt-5.4", R"(,"max_tokens":5)"), 400, "Use 'max_completion_tokens' instead."},
        {ask("gpt-5.4", R"(,"top_p":1)"), 400, "Unsupported parameter: 'top_p'"},
        {ask("gpt-4.1", R"(,"reasoning_effort":"low")"), 400, "invalid_reasoning_effort"},
        {ask("gpt-4.1", tools + "]"), 400, "You may not include more than 128 tools"},
        {ask("gpt-4.1", R"(,"tools":[{"type":"function","function":{"name":"a.b"}}])"), 400,
         "pattern"},
        {ask("gpt-4.1",
             R"(,"tools":[{"type":"function","function":{"name":"f","parameters":{"type":"object","properties":{"x":{"type":"array"}}}}}])"),
         400, "array schema missing items"},
        {R"({"model":"gpt-4.1","messages":[{"role":"tool","tool_call_id":"x","content":"y"}]})",
         400, "must be a response to a preceding message"},
        {R"({"model":"gpt-4.1","messages":[{"role":"user","content":[{"type":"file"}]}]})", 400,
         "type has to be either"},
        {R"({"model":"gpt-4.1","messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:,"}}]}]})",
         400, "missing required Copilot-Vision-Request"},
        {R"({"model":"claude-haiku-4.5","messages":[{"role":"user","content":""}]})", 400,
         "non-empty"},
        {R"({"model":"gpt-4o","messages":[{"role":"user","content":")" + std::string(300000, 'x') +
             R"("}]})",
         400, "exceeds the limit of 64000"},
        {"not json", 400, "Bad Request"},
    };
    for (const Row& row : rows) {
        CAPTURE(row.text);
        Bench bench;
        const Reply r = bench.call("/chat/completions", row.body);
        CHECK(r.status == row.status);
        CHECK(r.body().find(row.text) != std::string::npos);
        CHECK(r.header("content-type") == "text/plain; charset=utf-8");
        CHECK(!r.header("x-quota-snapshot-premium_interactions").empty());
    }
}

// Identity headers, API versions, plan hosts and sizes are checked before the body is read.
TEST_CASE("capi: identity, versions, hosts, sizes") {
    Bench bench(R"({"plan_hosts":true,"body_limit":100})");
    const std::string auth = "Bearer " + bench.world.issue_token("pro_plus", bench.now);
    auto status = [&](std::string_view target, Headers more, std::string_view body = "{}") {
        more.push_back({"Authorization", auth});
        return bench.send("POST", target, body, std::move(more)).status;
    };
    const Header editor = {"Editor-Version", "vscode/1.104.3"};
    CHECK(status("/chat/completions", {}) == 400);
    CHECK(status("/chat/completions", {editor, {"X-GitHub-Api-Version", "2023-01-01"}}) == 466);
    CHECK(status("/business/chat/completions", {editor}) == 421);
    CHECK(status("/individual/models/session", {editor}) == 200);
    CHECK(status("/chat/completions", {editor}, std::string(101, ' ')) == 413);
}

// Credits are charged by tokens at catalogue prices, shown on the reply, and end in 402.
TEST_CASE("billing: credits") {
    Bench bench(R"({"accounts":[{"name":"pro_plus","entitlement":0.001}]})");
    const Reply first = bench.call("/chat/completions", ask("claude-opus-4.6"));
    const auto reply = Bench::json_of(first);
    const auto& usage = reply["copilot_usage"];
    int64_t sum = 0;
    for (const auto& d : usage["token_details"].items()) {
        sum +=
            *d["token_count"].as_int() * *d["cost_per_batch"].as_int() / *d["batch_size"].as_int();
    }
    CHECK(usage["total_nano_aiu"].as_int() == sum);
    CHECK(bench.state()["charged_nano"].as_int() == sum);
    const Reply broke = bench.call("/chat/completions", ask("claude-opus-4.6"));
    CHECK(broke.status == 402);
    CHECK(broke.body().find("quota_exceeded") != std::string::npos);
    CHECK(broke.header("x-quota-snapshot-premium_interactions").find("rem=0.0") !=
          std::string_view::npos);
    CHECK(!broke.header("retry-after").empty());
    bench.now += std::chrono::hours(24 * 31);
    bench.token.clear();
    CHECK(bench.call("/chat/completions", ask("claude-opus-4.6")).status == 200);
}

// Request billing counts user calls times the multiplier; agent calls are free.
TEST_CASE("billing: premium requests") {
    Bench bench;
    bench.account = "pro";
    auto used = [&bench] {
        const auto state = bench.state();
        for (const auto& a : state["accounts"].items()) {
            if (a["name"].as_string() == "pro") {
                return *a["used"].as_double();
            }
        }
        return -1.0;
    };
    bench.call("/chat/completions", ask("claude-haiku-4.5"));
    CHECK(used() == doctest::Approx(0.33));
    bench.extra = {{"X-Initiator", "agent"}};
    const auto reply = Bench::json_of(bench.call("/chat/completions", ask("claude-haiku-4.5")));
    CHECK(used() == doctest::Approx(0.33));
    CHECK(!reply.has("copilot_usage"));
    bench.account = "pro_exhausted";
    bench.token.clear();
    CHECK(bench.call("/chat/completions", ask("claude-haiku-4.5")).status == 402);
    CHECK(bench.call("/chat/completions", ask("gpt-4.1")).status == 200);
}

// A long conversation is read from the prompt cache the second time.
TEST_CASE("usage: prompt cache") {
    Bench bench;
    const std::string text(8000, 'x');
    bench.call("/chat/completions", ask("gpt-4.1", "", text));
    const auto again = Bench::json_of(bench.call(
        "/chat/completions",
        R"({"model":"gpt-4.1","messages":[{"role":"user","content":")" + text +
            R"("},{"role":"assistant","content":"ok"},{"role":"user","content":"and?"}]})"));
    CHECK(again["usage"]["prompt_tokens_details"]["cached_tokens"].as_int() == 2004);
    CHECK(again["usage"]["prompt_tokens"].as_int().value_or(0) > 2004);
}

// The simulated model does what clients' tests ask of it.
TEST_CASE("answers: say, schema, tool result, limits, stops") {
    Bench bench;
    auto text = [&bench](const std::string& body) {
        return merged_text(Bench::json_of(bench.call("/chat/completions", body)));
    };
    CHECK(text(ask("gpt-4.1", "", "Reply with exactly: pong")) == "pong");
    CHECK(text(ask("gpt-4.1", "", "Count to 5")) == "1 2 3 4 5");
    CHECK(text(ask("gpt-4.1", R"(,"stop":["3"])", "Count to 5")) == "1 2 ");
    CHECK(
        text(ask(
            "gpt-4.1",
            R"(,"response_format":{"type":"json_schema","json_schema":{"name":"n","schema":{"type":"object","properties":{"city":{"type":"string"},"n":{"type":"integer"}}}}})",
            "Describe Paris in 3 words for Rome")) == R"({"city":"Paris","n":3})");
    const auto cut = Bench::json_of(
        bench.call("/chat/completions", ask("gpt-4.1", R"(,"max_tokens":2)", "Count to 50")));
    CHECK(cut["choices"][0]["finish_reason"].as_string() == "length");
    const std::string after =
        R"({"model":"gpt-4.1","messages":[{"role":"user","content":"weather?"},{"role":"assistant",)"
        R"("content":null,"tool_calls":[{"id":"a","type":"function","function":{"name":"w","arguments":"{}"}}]},)"
        R"({"role":"tool","tool_call_id":"a","content":"sunny"}]})";
    CHECK(text(after).find("sunny") != std::string::npos);
}

// Same seed, same requests, same bytes; another seed, other ids.
TEST_CASE("world: deterministic") {
    auto run = [](std::string_view scenario) {
        Bench bench(scenario);
        std::string all;
        for (int i = 0; i < 3; ++i) {
            all += bench.call("/chat/completions", ask("claude-sonnet-4.5", R"(,"stream":true)"))
                       .body();
        }
        return all;
    };
    CHECK(run("{}") == run("{}"));
    CHECK(run("{}") != run(R"({"seed":2})"));
}

// Embeddings: only a list of strings, floats whatever was asked, nothing at the top level.
TEST_CASE("embeddings") {
    Bench bench;
    const auto r = Bench::json_of(bench.call(
        "/embeddings",
        R"({"model":"text-embedding-3-small","input":["a","b","a"],"dimensions":8,"encoding_format":"base64"})"));
    CHECK(!r.has("object"));
    CHECK(!r.has("model"));
    CHECK(r["data"].size() == 3);
    CHECK(r["data"][0]["embedding"].size() == 8);
    CHECK(r["data"][0]["embedding"] == r["data"][2]["embedding"]);
    CHECK(r["data"][0]["embedding"] != r["data"][1]["embedding"]);
    const Reply bare =
        bench.call("/embeddings", R"({"model":"text-embedding-3-small","input":"a"})");
    CHECK(bare.status == 400);
    CHECK(bare.body() == "Bad Request\n");
}

// Bench mode answers without looking at the body, for good tokens only.
TEST_CASE("bench: prebuilt answers behind the token check") {
    Bench bench(R"({"bench":{"chunks":4}})");
    const std::string auth = "Bearer " + bench.world.issue_token("pro_plus", bench.now);
    const BenchReply* r = bench.world.fast("POST", "/chat/completions", auth, bench.now);
    REQUIRE(r != nullptr);
    CHECK(r->events.size() == 6);
    CHECK(json::parse(r->body).ok());
    CHECK(bench.world.fast("POST", "/chat/completions", "Bearer no", bench.now) == nullptr);
    CHECK(bench.world.fast("GET", "/chat/completions", auth, bench.now) == nullptr);
    CHECK(asks_for_stream(R"({"stream": true})"));
    CHECK(!asks_for_stream(R"({"stream": false})"));
    CHECK(bench.state()["counters"]["bench_calls"].as_int() == 1);
}
