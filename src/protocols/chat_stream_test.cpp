// Chunks that repeat the one before are written by copying; what comes out must not depend on it.
#include "protocols/chat_stream.h"

#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "wire/json.h"

using namespace belay;
using namespace belay::protocols;

namespace {

StreamOptions options() {
    StreamOptions o;
    o.model = "shown";
    o.id = "chatcmpl-x";
    o.created = 7;
    return o;
}

std::string chunk(std::string_view raw_text) {
    return R"({"choices":[{"index":0,"delta":{"content":")" + std::string(raw_text) +
           R"(","role":"assistant"}}],"created":1790000000,"id":"abc","model":"up"})";
}

// The frame of one chunk from a stream that has seen only the first chunk before it.
std::string frame_alone(std::string_view data) {
    ChatStreamMender mender(options());
    std::string first;
    (void)mender.on_event("", chunk("first"), first);
    std::string out;
    (void)mender.on_event("", data, out);
    return out;
}

}  // namespace

TEST_CASE("a repeated chunk gives the frame that it would give alone, whatever its text") {
    const std::vector<std::string> texts = {
        "a",      " plain text", R"(quote \" and backslash \\)",        R"(\n\t\u00e9)", "größe",
        "日本語", "🧗",          R"(looks like \"content\":\" inside)", "}]}",           R"(\\)"};
    ChatStreamMender mender(options());
    std::string out;
    (void)mender.on_event("", chunk("first"), out);
    for (int round = 0; round < 3; ++round) {
        for (const std::string& text : texts) {
            CAPTURE(text);
            out.clear();
            const FrameFacts facts = mender.on_event("", chunk(text), out);
            CHECK(facts.content);
            CHECK(facts.error.empty());
            CHECK(out == frame_alone(chunk(text)));
        }
    }
}

TEST_CASE("a text that is no JSON string is refused although its surroundings repeat") {
    for (const std::string_view text : {"bad \\x escape", "ends in a backslash \\", "\xff\xfe",
                                        "tab\there", R"(a","more":"b)", R"(\ud800)"}) {
        ChatStreamMender mender(options());
        std::string out;
        (void)mender.on_event("", chunk("first"), out);
        (void)mender.on_event("", chunk("second"), out);
        out.clear();
        const FrameFacts facts = mender.on_event("", chunk(text), out);
        const bool valid = json::parse(chunk(text)).ok();
        CAPTURE(text);
        CHECK(facts.malformed == !valid);
        CHECK(out.empty() == !valid);
    }
}

TEST_CASE("a finish, a tool call and usage are seen in the middle of repeating chunks") {
    ChatStreamMender mender(options());
    std::string out;
    for (const char* text : {"one", "two", "three"}) {
        (void)mender.on_event("", chunk(text), out);
    }
    const FrameFacts facts = mender.on_event(
        "",
        R"({"choices":[{"index":0,"finish_reason":"stop","delta":{"content":"four","role":"assistant"}}],"created":1790000000,"id":"abc","usage":{"prompt_tokens":3,"completion_tokens":4,"total_tokens":7},"model":"up"})",
        out);
    CHECK(facts.finished);
    REQUIRE(facts.usage.has_value());
    CHECK(facts.usage->output == 4);
    CHECK(out.find("four") != std::string::npos);
}
