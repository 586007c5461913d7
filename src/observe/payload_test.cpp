#include <doctest/doctest.h>

#include "observe/payload_text.h"
#include "observe/payload_writer.h"
#include "wire/json.h"

namespace belay::observe {
namespace {

json::Value parsed(const std::string& text) {
    auto value = json::parse(text);
    REQUIRE(value.ok());
    return *value;
}

// Long texts keep both ends, embedded files only their size, secrets nothing.
TEST_CASE("a request's body") {
    const Redaction redaction({"[0-9]{3}-[0-9]{2}"});
    const std::string image(5'000, 'A');
    const std::string body =
        R"({"model":"m","messages":[{"role":"user","content":")" + std::string(60, 'a') + "MIDDLE" +
        std::string(60, 'z') + R"("},{"content":[{"url":"data:image/png;base64,)" + image +
        R"("},{"raw":")" + image +
        R"("}]},{"content":"id 123-45 key gho_0123456789abcdefghijABCDEFGHIJ012345"}],"n":1.50})";
    const auto kept = parsed(shape_body(body, body.size(), redaction, 40));
    const auto text = kept["messages"][0]["content"].as_string();
    CHECK(text.starts_with(std::string(20, 'a') + " ... ("));
    CHECK(text.ends_with(std::string(20, 'z')));
    CHECK(text.find("MIDDLE") == text.npos);
    CHECK(kept["messages"][1]["content"][0]["url"].as_string() ==
          "data:image/png;base64,(5022 bytes are not kept)");
    CHECK(kept["messages"][1]["content"][1]["raw"].as_string() ==
          "(base64, 5000 bytes are not kept)");
    CHECK(kept["messages"][2]["content"].as_string() == "id [redacted] key [redacted]");
    CHECK(kept["n"].number_text() == "1.50");
}

// What is no JSON, or was too long to be gathered, leaves its size and no text.
TEST_CASE("bodies that cannot be kept") {
    const Redaction redaction({});
    for (const auto& [body, bytes] : {std::pair<std::string, size_t>{"no json", 7}, {"", 99}}) {
        const auto kept = parsed(shape_body(body, bytes, redaction, 40));
        CHECK(kept["bytes"].as_int() == static_cast<int64_t>(bytes));
        CHECK(kept.has("not_kept"));
    }
    CHECK(shape_body("", 0, redaction, 40) == "{}");
}

// A stream becomes the reply that it was: texts joined, tool calls put together by their index.
TEST_CASE("a stream is put together") {
    const Redaction redaction({});
    const std::string frames =
        R"(data: {"id":"c1","object":"chat.completion.chunk","model":"m","choices":[{"index":0,"delta":{"role":"assistant","content":"Hel"}}]}

data: {"id":"c1","choices":[{"index":0,"delta":{"content":"lo","tool_calls":[{"index":0,"id":"t0","type":"function","function":{"name":"f","arguments":"{\"a\""}}]}}]}

data: {"id":"c1","choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":":1}"}}]},"finish_reason":"tool_calls"}]}

data: {"id":"c1","choices":[],"usage":{"total_tokens":5}}

data: [DONE]

)";
    const auto kept = parsed(shape_stream(frames, frames.size(), redaction, 2048));
    CHECK(kept["object"].as_string() == "chat.completion");
    const auto& choice = kept["choices"][0];
    CHECK(choice["message"]["role"].as_string() == "assistant");
    CHECK(choice["message"]["content"].as_string() == "Hello");
    CHECK(choice["finish_reason"].as_string() == "tool_calls");
    const auto& call = choice["message"]["tool_calls"][0];
    CHECK(call["id"].as_string() == "t0");
    CHECK(call["function"]["name"].as_string() == "f");
    CHECK(call["function"]["arguments"].as_string() == R"({"a":1})");
    CHECK(kept["usage"]["total_tokens"].as_int() == 5);
}

// A stream that was cut, or never was one, still gives a document.
TEST_CASE("broken streams") {
    const Redaction redaction({});
    for (const std::string frames : {"", "data: {\"choi", "garbage\n\n", "data: 1\n\n",
                                     "data: {\"choices\":[{\"index\":99999999}]}\n\n"}) {
        CAPTURE(frames);
        CHECK(json::parse(shape_stream(frames, frames.size(), redaction, 100)).ok());
    }
}

class Kept final : public ledger::PayloadStore {
  public:
    Result<void> save(const std::vector<ledger::KeptPayload>& payloads) override {
        rows.insert(rows.end(), payloads.begin(), payloads.end());
        return {};
    }
    Result<std::optional<ledger::KeptPayload>> find(std::string_view) override {
        return std::optional<ledger::KeptPayload>();
    }
    Result<uint64_t> drop_before(int64_t) override { return uint64_t{0}; }
    std::vector<ledger::KeptPayload> rows;  // read after the writer's end
};

std::unique_ptr<ledger::Payload> payload(size_t bytes) {
    auto p = std::make_unique<ledger::Payload>();
    p->put_request("\"" + std::string(bytes, 'a') + "\"");
    p->add_reply(R"({"ok":true})");
    return p;
}

// What is offered is saved with whose it is; with the switch off nothing is.
TEST_CASE("the writer saves what it is offered") {
    Kept store;
    {
        PayloadWriter writer(store);
        ledger::SpendRecord r;
        r.request_id = "r1";
        r.key_fingerprint = "k";
        r.user = "u";
        writer.offer(r, payload(3));
        writer.flush();
        PayloadSettings off;
        off.off = true;
        writer.configure(off);
        writer.offer(r, payload(3));
    }
    REQUIRE(store.rows.size() == 1);
    CHECK(store.rows[0].request == "\"aaa\"");
    CHECK(store.rows[0].response == R"({"ok":true})");
    CHECK(store.rows[0].user == "u");
}

// Bytes that wait are bounded; what is beyond is dropped and counted.
TEST_CASE("the writer's queue is bounded") {
    Kept store;
    PayloadWriter writer(store);
    const size_t big = 8'000'000;
    uint64_t offered = 0;
    while (writer.stats().dropped == 0 && offered < 1'000) {
        writer.offer({}, payload(big));
        ++offered;
    }
    writer.flush();
    const auto stats = writer.stats();
    CHECK(stats.saved + stats.dropped == offered);
}

}  // namespace
}  // namespace belay::observe
