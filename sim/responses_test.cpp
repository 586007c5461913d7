#include <doctest/doctest.h>

#include <set>

#include "sim/testing.h"

using namespace belay;
using namespace belay::sim;
using belay::sim::testing::Bench;
using belay::sim::testing::Event;
using belay::sim::testing::events_of;

namespace {

std::string ask(std::string_view more = {}, std::string_view input = "\"Hello\"") {
    return R"({"model":"gpt-5.3-codex","input":)" + std::string(input) + std::string(more) + "}";
}

std::string items(std::string_view list) {
    return ask("", "[" + std::string(list) + R"(,{"role":"user","content":"go on"}])");
}

}  // namespace

// The item-id defect: no two mentions of an item or of the response carry the same id, and the
// terminal event repeats the whole output with usage and cost.
TEST_CASE("responses: every id differs, the end is complete") {
    Bench bench;
    const auto events = events_of(
        bench.call("/responses", ask(R"(,"stream":true,"reasoning":{"summary":"auto"})")));
    std::set<std::string> ids;
    size_t mentions = 0;
    std::string text;
    int64_t expected = 0;
    for (const Event& e : events) {
        const auto v = e.json();
        CHECK(v["type"].as_string() == e.name);
        CHECK(v["sequence_number"].as_int() == expected++);
        for (const auto id : {v["item_id"].as_string(), v["item"]["id"].as_string(),
                              v["response"]["id"].as_string()}) {
            if (!id.empty()) {
                ids.emplace(id);
                ++mentions;
            }
        }
        text += e.name == "response.output_text.delta" ? v["delta"].as_string() : "";
    }
    CHECK(ids.size() == mentions);
    CHECK(mentions > 10);
    const auto last = events.back().json();
    CHECK(last["type"].as_string() == "response.completed");
    CHECK(last["response"]["output"][1]["content"][0]["text"].as_string() == text);
    CHECK(last["response"]["usage"]["output_tokens"].as_int().value_or(0) > 0);
    CHECK(last["copilot_usage"]["total_nano_aiu"].as_int().value_or(0) > 0);
}

// A replayed upstream id is answered with the misleading 401; synthetic ids pass.
TEST_CASE("responses: replayed item ids") {
    Bench bench;
    const auto reply = Bench::json_of(bench.call("/responses", ask()));
    const std::string id(reply["output"][1]["id"].as_string());
    auto with = [](const std::string& item_id) {
        return items(R"({"type":"message","role":"assistant","id":")" + item_id +
                     R"(","content":[{"type":"output_text","text":"hi"}]})");
    };
    const Reply refused = bench.call("/responses", with(id));
    CHECK(refused.status == 401);
    CHECK(refused.body().find("does not belong to this connection") != std::string::npos);
    CHECK(bench.call("/responses", with("msg_123")).status == 200);
}

// Encrypted reasoning is accepted unchanged and refused altered.
TEST_CASE("responses: encrypted reasoning") {
    Bench bench;
    const auto reply = Bench::json_of(
        bench.call("/responses", ask(R"(,"include":["reasoning.encrypted_content"])")));
    const std::string sealed(reply["output"][0]["encrypted_content"].as_string());
    REQUIRE(!sealed.empty());
    auto with = [](const std::string& content) {
        return items(R"({"type":"reasoning","id":"rs_1","summary":[],"encrypted_content":")" +
                     content + R"("})");
    };
    CHECK(bench.call("/responses", with(sealed)).status == 200);
    CHECK(bench.call("/responses", with(sealed + "x")).body().find("could not be verified") !=
          std::string::npos);
}

// The strict schema: what is not known is named.
TEST_CASE("responses: refusals") {
    struct Row {
        std::string body;
        std::string_view says;
    };
    const std::vector<Row> rows = {
        {ask(R"(,"store":true)"), "store must be false"},
        {ask(R"(,"background":true)"), "'background'"},
        {ask(R"(,"service_tier":"auto")"), "'service_tier'"},
        {ask(R"(,"temperature":1)"), "Unsupported parameter: 'temperature'"},
        {ask(R"(,"previous_response_id":"resp_1")"), "previous_response_not_found"},
        {ask(R"(,"tools":[{"type":"image_generation"}])"), "image_generation is not supported"},
        {ask(R"(,"tools":[{"type":"function","name":"f","description":""}])"), "empty_string"},
        {ask(R"(,"reasoning":{"effort":"minimal"})"), "invalid_reasoning_effort"},
        {ask(R"(,"novelty":1)"), "Unknown parameter: 'novelty'"},
        {items(R"({"role":"user","content":"x","internal":1})"),
         "Unknown parameter: 'input[0].internal'"},
        {items(R"({"role":"user","content":[{"type":"input_text","text":"x","foo":1}]})"),
         "'input[0].content[0].foo'"},
        {items(R"({"type":"reasoning","id":"r","summary":[],"status":null})"), "'input[0].status'"},
        {items(R"({"type":"function_call_output","call_id":"c","output":"x"})"),
         "No tool call found"},
        {items(R"({"type":"function_call","call_id":"c","name":"f","arguments":"{}"})"),
         "No tool output found"},
        {items(R"({"type":"item_reference","id":"x"})"), "not found"},
        {items(R"({"role":"user","content":[{"type":"input_image","image_url":"data:,"}]})"),
         "Copilot-Vision-Request"},
        {R"({"model":"gpt-4o","input":"x"})", "not accessible via the /responses endpoint"},
    };
    for (const Row& row : rows) {
        CAPTURE(row.says);
        Bench bench;
        const Reply r = bench.call("/responses", row.body);
        CHECK(r.status == 400);
        CHECK(r.body().find(row.says) != std::string::npos);
    }
    Bench small(R"({"models":[{"id":"gpt-5.3-codex","prompt_max":5}]})");
    const Reply r =
        small.call("/responses", ask("", R"("a sentence that is longer than the limit")"));
    CHECK(Bench::json_of(r)["error"]["code"].as_string() == "invalid_request_body");
}

// Tools are called in the Responses shape, freeform tools with bare text.
TEST_CASE("responses: tool calls") {
    Bench bench;
    const std::string body = ask(
        R"(,"stream":true,"tools":[{"type":"function","name":"get_weather","parameters":{"type":"object","properties":{"city":{"type":"string"}}}},{"type":"custom","name":"apply_patch"}])",
        R"("use get_weather and apply_patch for Paris")");
    const auto last = events_of(bench.call("/responses", body)).back().json();
    const auto& output = last["response"]["output"];
    CHECK(output[1]["arguments"].as_string() == R"({"city":"Paris"})");
    CHECK(output[2]["type"].as_string() == "custom_tool_call");
    CHECK(!output[2]["input"].as_string().empty());
}

// A small budget ends incomplete with the documented reason.
TEST_CASE("responses: incomplete on budget") {
    Bench bench;
    const auto events = events_of(bench.call(
        "/responses", ask(R"(,"stream":true,"max_output_tokens":16)", R"("Count to 200")")));
    CHECK(events.back().name == "response.incomplete");
    CHECK(events.back().json()["response"]["incomplete_details"]["reason"].as_string() ==
          "max_output_tokens");
}
