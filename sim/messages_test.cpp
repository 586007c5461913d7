#include <doctest/doctest.h>

#include "sim/testing.h"

using namespace belay;
using namespace belay::sim;
using belay::sim::testing::Bench;
using belay::sim::testing::Event;
using belay::sim::testing::events_of;

namespace {

std::string ask(std::string_view more = {},
                std::string_view messages = R"({"role":"user","content":"Hello"})",
                std::string_view model = "claude-opus-4.6") {
    return R"({"model":")" + std::string(model) + R"(","max_tokens":2000,"messages":[)" +
           std::string(messages) + "]" + std::string(more) + "}";
}

}  // namespace

// The vendor's event order, with cost on the closing delta, and the dashed model name.
TEST_CASE("messages: stream") {
    Bench bench;
    const auto events = events_of(
        bench.call("/v1/messages",
                   ask(R"(,"stream":true,"thinking":{"type":"enabled","budget_tokens":1024})")));
    std::string order;
    std::string text;
    std::string signature;
    for (const Event& e : events) {
        const auto v = e.json();
        if (order.empty() || !order.ends_with(e.name + " ")) {
            order += e.name + " ";
        }
        text += v["delta"]["text"].as_string();
        signature += v["delta"]["signature"].as_string();
    }
    CHECK(order ==
          "message_start ping content_block_start content_block_delta content_block_stop "
          "content_block_start content_block_delta content_block_stop message_delta message_stop ");
    CHECK(text.find("Hello! I am Claude Opus 4.6") == 0);
    CHECK(events[0].json()["message"]["model"].as_string() == "claude-opus-4-6");
    const auto closing = events[events.size() - 2].json();
    CHECK(closing["delta"]["stop_reason"].as_string() == "end_turn");
    CHECK(closing["copilot_usage"]["total_nano_aiu"].as_int().value_or(0) > 0);
    const std::string history =
        R"({"role":"user","content":"Hello"},{"role":"assistant","content":[{"type":"thinking","thinking":"t","signature":")";
    const std::string rest = R"("},{"type":"text","text":"hi"}]},{"role":"user","content":"more"})";
    CHECK(bench.call("/v1/messages", ask("", history + signature + rest)).status == 200);
    CHECK(bench.call("/v1/messages", ask("", history + "forged" + rest))
              .body()
              .find("Invalid signature in thinking block") != std::string::npos);
}

// Tool use and its result, in the vendor's shape.
TEST_CASE("messages: tool use") {
    Bench bench;
    const std::string tools =
        R"(,"tools":[{"name":"get_weather","input_schema":{"type":"object","properties":{"city":{"type":"string"}}}}])";
    const auto first = Bench::json_of(bench.call(
        "/v1/messages", ask(tools, R"({"role":"user","content":"Use get_weather for Paris"})")));
    CHECK(first["stop_reason"].as_string() == "tool_use");
    CHECK(first["content"][1]["input"]["city"].as_string() == "Paris");
    const std::string id(first["content"][1]["id"].as_string());
    const std::string turn =
        R"({"role":"user","content":"weather?"},{"role":"assistant","content":[{"type":"tool_use","id":")" +
        id +
        R"(","name":"get_weather","input":{}}]},{"role":"user","content":[{"type":"tool_result","tool_use_id":")";
    const auto second = Bench::json_of(
        bench.call("/v1/messages", ask(tools, turn + id + R"(","content":"sunny"}]})")));
    CHECK(second["content"][0]["text"].as_string().find("sunny") != std::string_view::npos);
    CHECK(bench.call("/v1/messages", ask(tools, turn + R"(other","content":"x"}]})")).status ==
          400);
}

// The strict schema, each refusal in the service's envelope.
TEST_CASE("messages: refusals") {
    const std::string user = R"({"role":"user","content":"Hello"})";
    auto block = [](std::string_view b) {
        return R"({"role":"user","content":[)" + std::string(b) + "]}";
    };
    std::string marks;
    for (int i = 0; i < 5; ++i) {
        marks += (i == 0 ? "" : ",") +
                 std::string(R"({"type":"text","text":"x","cache_control":{"type":"ephemeral"}})");
    }
    struct Row {
        std::string body;
        std::string_view says;
    };
    const std::vector<Row> rows = {
        {R"({"model":"claude-opus-4.6","messages":[]})", "max_tokens: Field required"},
        {ask(R"(,"context_management":{})"), "context_management: Extra inputs are not permitted"},
        {ask(R"(,"cache_control":{"type":"ephemeral"})"), "cache_control: Extra inputs"},
        {ask(R"(,"inference_geo":"eu")"), "inference_geo: Extra inputs"},
        {ask(R"(,"speed":"fast")"), "speed: Extra inputs"},
        {ask(R"(,"system":[{"type":"text","text":"a","cache_control":{"type":"ephemeral","scope":"global"}}])"),
         "system.0.cache_control.ephemeral.scope: Extra inputs"},
        {ask("", block(marks)), "A maximum of 4 blocks with cache_control"},
        {ask("", user + R"(,{"role":"assistant","content":"pre"})"), "prefill"},
        {ask("", block(R"({"type":"text","text":""})")), "non-empty"},
        {ask("", block(R"({"type":"image","source":{"type":"url","url":"https://x"}})")),
         "not supported"},
        {ask("", block(R"({"type":"image","source":{"type":"base64","data":""}})")),
         "Copilot-Vision-Request"},
        {ask(R"(,"thinking":{"type":"adaptive","budget_tokens":1024})"),
         "thinking.adaptive.budget_tokens: Extra inputs"},
        {ask(R"(,"thinking":{"type":"enabled","budget_tokens":4000})"), "must be greater than"},
        {ask(R"(,"thinking":{"type":"enabled","budget_tokens":1024})", user, "claude-opus-4.7"),
         "`thinking.type.enabled` is not supported"},
        {ask(R"(,"thinking":{"type":"adaptive"})", user, "claude-haiku-4.5"), "adaptive"},
        {ask(R"(,"output_config":{"effort":"high"})", user, "claude-haiku-4.5"),
         "invalid_reasoning_effort"},
        {ask(R"(,"temperature":0.5,"thinking":{"type":"adaptive"})"),
         "`temperature` may only be set to 1"},
        {ask(R"(,"temperature":1,"top_p":1)"), "cannot both be specified"},
        {ask(R"(,"tools":[{"type":"web_search_20250305","name":"web_search"}])"),
         "does not match any"},
        {ask(R"(,"tools":[{"name":"f","input_schema":{"$schema":"x"}}])"), "$schema: Extra inputs"},
        {ask("", user, "gpt-4.1"), "unsupported_api_for_model"},
    };
    for (const Row& row : rows) {
        CAPTURE(row.says);
        Bench bench;
        const Reply r = bench.call("/v1/messages", row.body);
        CHECK(r.status == 400);
        CHECK(r.body().starts_with("{\"error\":"));
        CHECK(r.body().find(row.says) != std::string::npos);
    }
}

// Beta headers: an allow-list, for generation and counting alike; counting takes the rest as it
// comes.
TEST_CASE("messages: betas and count_tokens") {
    Bench bench;
    bench.extra = {{"anthropic-beta", "interleaved-thinking-2025-05-14, advisor-tool-2026-03-01"}};
    for (const char* path : {"/v1/messages", "/v1/messages/count_tokens"}) {
        CHECK(bench.call(path, ask())
                  .body()
                  .find("unsupported beta header(s): advisor-tool-2026-03-01") !=
              std::string::npos);
    }
    bench.extra = {{"anthropic-beta", "context-management-2025-06-27"}};
    CHECK(bench.call("/v1/messages", ask(R"(,"context_management":{"edits":[]})")).status == 200);
    const auto counted =
        Bench::json_of(bench.call("/v1/messages/count_tokens",
                                  ask(R"(,"stream":true,"speed":"fast")",
                                      R"({"role":"user","content":"Hello"})", "claude-opus-4-6")));
    CHECK(counted["input_tokens"].as_int().value_or(0) > 0);
    CHECK(bench.call("/v1/messages/count_tokens", ask("", "", "text-embedding-3-small")).status ==
          400);
    CHECK(bench.state()["charged_nano"].as_int().value_or(-1) > 0);
}

// Explicit breakpoints write the cache once and read it afterwards.
TEST_CASE("messages: cache accounting") {
    Bench bench;
    const std::string text(8000, 'x');
    const std::string first = R"({"role":"user","content":[{"type":"text","text":")" + text +
                              R"(","cache_control":{"type":"ephemeral"}}]})";
    const auto written = Bench::json_of(bench.call("/v1/messages", ask("", first)));
    CHECK(written["usage"]["cache_creation_input_tokens"].as_int().value_or(0) > 2000);
    const auto read = Bench::json_of(bench.call(
        "/v1/messages",
        ask("",
            first + R"(,{"role":"assistant","content":"ok"},{"role":"user","content":"and?"})")));
    CHECK(read["usage"]["cache_read_input_tokens"].as_int().value_or(0) > 2000);
}
