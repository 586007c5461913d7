#include "protocols/chat_reply.h"

#include <doctest/doctest.h>

using namespace belay;
using namespace belay::protocols;

namespace {

constexpr std::string_view kUsage =
    R"({"completion_tokens":2,"prompt_tokens":10,"total_tokens":12,)"
    R"("prompt_tokens_details":{"cached_tokens":0},)"
    R"("completion_tokens_details":{"x":1,"reasoning_tokens":1}})";

const ReplyOptions kOptions{"pub", "chatcmpl-own", 7, 1, false};

std::string replace(std::string text, std::string_view what, std::string_view with) {
    size_t at = text.find(what);
    REQUIRE(at != std::string::npos);
    return text.replace(at, what.size(), with);
}

std::string plain_reply() {
    return R"({"choices":[{"index":0,"finish_reason":"length","message":{"role":"assistant",)"
           R"("content":"a\"b"},"content_filter_results":{"hate":{"filtered":false}}}],)"
           R"("created":5,"id":"chatcmpl-9","model":"gpt-up","object":"chat.completion",)"
           R"("system_fingerprint":"fp_1","prompt_filter_results":[{"prompt_index":0}],"usage":)" +
           std::string(kUsage) + R"(,"copilot_usage":{"total_nano_aiu":3}})";
}

std::string mended(std::string_view body, const ReplyOptions& options = kOptions) {
    auto reply = mend_chat_reply(body, options);
    REQUIRE(reply.ok());
    REQUIRE(json::validate(reply->body).ok());
    return reply->body;
}

}  // namespace

TEST_CASE("a reply that needs no mending keeps its texts and loses what only Copilot sends") {
    auto reply = mend_chat_reply(plain_reply(), kOptions);
    REQUIRE(reply.ok());
    CHECK(reply->body ==
          R"({"id":"chatcmpl-9","object":"chat.completion","created":5,"model":"pub",)"
          R"("choices":[{"index":0,"message":{"role":"assistant","content":"a\"b"},)"
          R"("finish_reason":"length"}],"usage":)" +
              std::string(kUsage) + R"(,"system_fingerprint":"fp_1"})");
    CHECK(reply->finish_reason == "length");
    CHECK(reply->upstream_model == "gpt-up");
    CHECK(reply->id == "chatcmpl-9");
    REQUIRE(reply->usage.has_value());
    CHECK(reply->usage->input == 10);
    CHECK(reply->usage->output == 2);
    CHECK(reply->usage->reasoning == 1);
    CHECK(reply->usage->upstream_cost->value == 3);
}

TEST_CASE("choices that are no list of objects are no reply, or lose what has no name") {
    CHECK_FALSE(mend_chat_reply(R"({"choices":{"data":[{"a":1},{"b":2}]}})", kOptions).ok());
    CHECK(mended(R"({"choices":[[{"a":1},{"b":2}],{"message":{"content":"x"}}]})")
              .find(R"("content":"x")") != std::string::npos);
}

// The quick way out must be taken only when the thorough one says the same.
TEST_CASE("whatever is not quite as expected is mended beside the rest") {
    struct Row {
        std::string_view what, with;       // in the upstream's reply
        std::string_view expect_in_reply;  // somewhere in the client's
    };
    const Row rows[] = {
        {R"("created":5,)", "", R"("created":7)"},
        {R"("created":5,)", R"("created":5.0,)", R"("created":5,)"},
        {R"("created":5,)", R"("created":-5,)", R"("created":7)"},
        {R"("id":"chatcmpl-9",)", R"("id":"",)", R"("id":"chatcmpl-own")"},
        {R"("id":"chatcmpl-9",)", R"("id":"a\/b",)", R"("id":"a/b")"},
        {R"("id":"chatcmpl-9",)", R"("id":4,)", R"("id":"chatcmpl-own")"},
        {R"("finish_reason":"length",)", "", R"("finish_reason":"stop")"},
        {R"("finish_reason":"length",)", R"("finish_reason":"tool_calls",)",
         R"("finish_reason":"stop")"},
        {R"("content":"a\"b")", R"("content":null)", R"("content":null)"},
        {R"("content":"a\"b")", R"("content":"")", R"("content":"")"},
        {R"("content":"a\"b")", R"("content":"x","reasoning_text":"t")",
         R"("content":"x","reasoning_content":"t")"},
        {R"("content":"a\"b")", R"("content":"x","tool_calls":[{"id":"c"}])",
         R"("tool_calls":[{"id":"c","type":"function"}])"},
        {R"("content":"a\"b")", R"("content":"x","y":1)", R"("content":"x","y":1})"},
        {R"("index":0,)", R"("logprobs":{"z":[]},)", R"(},"logprobs":{"z":[]},"finish_reason")"},
        {R"("index":0,)", R"("index":3,)", R"("index":0,)"},
        {R"({"completion_tokens":2,)", R"({"completion_tokens":2,"y":null,)",
         R"({"prompt_tokens":10,"completion_tokens":2,"total_tokens":12,)"},
        {R"("prompt_tokens":10,)", R"("prompt_tokens":1e1,)", R"("prompt_tokens":10,)"},
        {R"("total_tokens":12)", R"("total_tokens":11)", R"("total_tokens":12)"},
        {R"("total_tokens":12)", R"("total_tokens":13)",  // reasoning comes on top
         R"("completion_tokens":3,"total_tokens":13)"},
        {R"("cached_tokens":0)", R"("cached_tokens":4)", R"("cache_read_input_tokens":4)"},
        {R"("cached_tokens":0)", "", R"("cached_tokens":0)"},
        {R"(,"reasoning_tokens":1)", "", R"("reasoning_tokens":0)"},
        {R"("total_nano_aiu":3)",
         R"("token_details":[{"token_type":"cache_write","token_count":2}])",
         R"("cache_creation_input_tokens":2)"},
    };
    for (const Row& row : rows) {
        CAPTURE(row.what);
        CAPTURE(row.with);
        std::string body = mended(replace(plain_reply(), row.what, row.with));
        CAPTURE(body);
        CHECK(body.find(row.expect_in_reply) != std::string::npos);
        CHECK(body.find("filter") == std::string::npos);
        CHECK(body.find("copilot") == std::string::npos);
        CHECK(body.find(R"("system_fingerprint":"fp_1")") != std::string::npos);
    }
}

TEST_CASE("the shown name is escaped, and stands for the upstream's only when there is one") {
    CHECK(mended(plain_reply(), {"a\"b", "i", 1, 1, false}).find(R"("model":"a\"b")") !=
          std::string::npos);
    CHECK(mended(plain_reply(), {"", "i", 1, 1, false}).find(R"("model":"gpt-up")") !=
          std::string::npos);
}
