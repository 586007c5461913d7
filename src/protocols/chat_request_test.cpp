#include "protocols/chat_request.h"

#include <doctest/doctest.h>

using namespace belay;
using namespace belay::protocols;

namespace {

std::string with_messages(std::string_view messages, std::string_view rest = "") {
    return R"({"model":"m","messages":[)" + std::string(messages) + "]" + std::string(rest) + "}";
}

}  // namespace

TEST_CASE("the honest initiator: user only when a person's message is last") {
    struct Row {
        std::string_view messages;
        Initiator initiator;
    };
    const Row rows[] = {
        {R"({"role":"user","content":"a"})", Initiator::user},
        {R"({"role":"user","content":"a"},{"role":"assistant","content":"b"})", Initiator::agent},
        {R"({"role":"assistant","content":"b"},{"role":"user","content":"a"})", Initiator::user},
        {R"({"role":"tool","tool_call_id":"1","content":"b"})", Initiator::agent},
        {R"({"role":"system","content":"b"})", Initiator::agent},
        {R"({"role":"user","content":[{"type":"tool_result","tool_use_id":"1","content":"x"}]})",
         Initiator::agent},
        {R"({"role":"user","content":[{"type":"tool_result"},{"type":"text","text":"and?"}]})",
         Initiator::user},
        {R"({"content":"a","role":"user"})", Initiator::user},
        {R"({"role":"user","content":[]})", Initiator::user},
    };
    for (const auto& row : rows) {
        CAPTURE(row.messages);
        auto facts = scan_chat_request(with_messages(row.messages));
        REQUIRE(facts.ok());
        CHECK(facts->initiator == row.initiator);
    }
}

TEST_CASE("images are seen wherever they hide") {
    struct Row {
        std::string_view messages;
        bool images, documents;
    };
    const Row rows[] = {
        {R"({"role":"user","content":"data:image/png"})", false, false},
        {R"({"role":"user","content":[{"type":"image_url","image_url":{"url":"x"}}]})", true,
         false},
        {R"({"role":"user","content":[{"type":"image","source":{}}]},{"role":"user","content":"b"})",
         true, false},
        {R"({"role":"tool","content":[{"type":"image_url","image_url":"x"}]})", true, false},
        {R"({"role":"user","content":[{"type":"tool_result","content":[{"type":"image"}]}]})", true,
         false},
        {R"({"role":"user","content":[{"type":"file","file":{}}]})", false, true},
    };
    for (const auto& row : rows) {
        CAPTURE(row.messages);
        auto facts = scan_chat_request(with_messages(row.messages));
        REQUIRE(facts.ok());
        CHECK(facts->has_images == row.images);
        CHECK(facts->has_documents == row.documents);
    }
}

TEST_CASE("the gateway's own keys are read") {
    auto facts = scan_chat_request(with_messages(
        R"({"role":"user","content":"a"})",
        R"(,"fallbacks":["a",{"model":"b","temperature":1}],"num_retries":3,"timeout":"1.5",)"
        R"("tags":["x","y"],"metadata":{"tags":["y","z"],"session_id":"s","trace_id":"t"},)"
        R"("disable_fallbacks":true,"mock_response":"hello","mock_testing_fallbacks":true,)"
        R"("drop_params":false,"additional_drop_params":["a.b"],"no-log":true,"user":"u",)"
        R"("stream":true,"stream_options":{"include_usage":true},"n":2,"max_tokens":5,)"
        R"("tools":[{},{}],"reasoning_effort":"low","response_format":{"type":"json_object"})"));
    REQUIRE(facts.ok());
    const Controls& c = facts->controls;
    REQUIRE(c.fallbacks.has_value());
    CHECK(c.fallbacks->size() == 2);
    CHECK(c.num_retries == 3);
    CHECK(c.timeout == 1.5);
    CHECK(c.tags == std::vector<std::string>{"x", "y", "z"});
    CHECK(c.session_id == "s");
    CHECK(c.trace_id == "t");
    CHECK(c.disable_fallbacks);
    CHECK(c.has_mock_response);
    CHECK(c.mock_response == "hello");
    CHECK(c.mock_testing_fallbacks);
    CHECK(c.drop_params == false);
    CHECK(c.additional_drop_params == std::vector<std::string>{"a.b"});
    CHECK(c.no_log);
    CHECK(facts->user == "u");
    CHECK(facts->stream);
    CHECK(facts->include_usage);
    CHECK(facts->n == 2);
    CHECK(facts->max_tokens == 5);
    CHECK(facts->tool_count == 2);
    CHECK(facts->wants_thinking);
    CHECK(facts->wants_json);
}

TEST_CASE("a wrong field is named in the error") {
    struct Row {
        std::string_view body, param;
    };
    const Row rows[] = {
        {"", "request_body"},
        {"[]", "request_body"},
        {"{\"model\":\"m\"", "request_body"},
        {"{}", "model"},
        {R"({"model":1,"messages":[]})", "model"},
        {R"({"model":"","messages":[{}]})", "model"},
        {R"({"model":"m","messages":[]})", "messages"},
        {R"({"model":"m","messages":{}})", "messages"},
        {R"({"model":"m","messages":[{}],"stream":"yes"})", "stream"},
        {R"({"model":"m","messages":[{}],"tools":{}})", "tools"},
        {R"({"model":"m","messages":[{}],"stream_options":true})", "stream_options"},
        {R"({"model":"m","messages":[{}],"n":1,"n":2})", "request_body"},
        {R"({"model":"m","messages":[{"role":"user","role":"tool"}]})", "request_body"},
    };
    for (const auto& row : rows) {
        CAPTURE(row.body);
        auto facts = scan_chat_request(row.body);
        REQUIRE_FALSE(facts.ok());
        CHECK(facts.error().kind == Kind::invalid_request);
        CHECK(facts.error().param == row.param);
    }
}

TEST_CASE("the path's model stands in for a missing one, the body's own wins") {
    auto from_path = scan_chat_request(R"({"messages":[{"role":"user","content":"a"}]})", "path/m");
    REQUIRE(from_path.ok());
    CHECK(from_path->model == "path/m");
    auto own = scan_chat_request(with_messages(R"({"role":"user"})"), "path/m");
    REQUIRE(own.ok());
    CHECK(own->model == "m");
}

TEST_CASE("embeddings take a string or a list") {
    auto one = scan_embeddings_request(R"({"model":"m","input":"a","encoding_format":"base64"})");
    REQUIRE(one.ok());
    CHECK(one->input_is_string);
    CHECK(one->wants_base64);
    auto many = scan_embeddings_request(R"({"model":"m","input":["a","b"]})");
    REQUIRE(many.ok());
    CHECK(many->input_count == 2);
    for (std::string_view bad :
         {R"({"model":"m"})", R"({"model":"m","input":[]})", R"({"model":"m","input":3})"}) {
        CAPTURE(bad);
        auto facts = scan_embeddings_request(bad);
        REQUIRE_FALSE(facts.ok());
        CHECK(facts.error().param == "input");
    }
}

TEST_CASE("control keys are known by name, whatever else is in the table") {
    CHECK(is_control_key("fallbacks"));
    CHECK(is_control_key("no-log"));
    CHECK(is_control_key("api_key"));
    CHECK_FALSE(is_control_key("model"));
    CHECK_FALSE(is_control_key("temperature"));
    CHECK_FALSE(is_control_key("seed"));
    CHECK_FALSE(is_control_key(""));
}
