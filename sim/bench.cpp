#include "sim/bench.h"

namespace belay::sim {
namespace {

constexpr std::string_view kCommonLines =
    "x-request-id: 00000-3f2a1c9e-5b7d-4e21-a4f0-9c6d8e7f1a2b\r\n"
    "x-github-request-id: CE14:5E6E4:17D68AD:1A961DE:696681B3\r\n"
    "x-quota-snapshot-premium_interactions: "
    "ent=7000&ov=0.0&ovPerm=false&rem=88.5&rst=2026-12-01T00%3A00%3A00Z\r\n"
    "x-usage-ratelimit-session: ent=0&ov=0.0&ovPerm=false&rem=99.6&rst=2026-12-01T00%3A00%3A00Z\r\n"
    "x-content-type-options: nosniff\r\n";

constexpr std::string_view kUsage =
    R"("usage":{"completion_tokens":107,"prompt_tokens":1200,"total_tokens":1307,)"
    R"("prompt_tokens_details":{"cached_tokens":0}})";
constexpr std::string_view kCost =
    R"("copilot_usage":{"total_nano_aiu":53400000,"token_details":[]})";
constexpr std::string_view kFrame =
    R"("created":1790000000,"id":"chatcmpl-B3nchmarkReplyAAAAAAAAAAAAA",)"
    R"("model":"gpt-4.1-2025-04-14","object":"chat.completion)";

std::string sentence(size_t size) {
    static constexpr std::string_view kText = "The quick brown fox jumps over the lazy dog. ";
    std::string out;
    while (out.size() < size) {
        out += kText;
    }
    out.resize(size);
    return out;
}

std::string plain_body(size_t size) {
    const std::string head =
        R"({"choices":[{"index":0,"finish_reason":"stop","message":{"role":"assistant","content":")";
    const std::string tail = R"("}}],)" + std::string(kFrame) + R"(",)" + std::string(kUsage) +
                             "," + std::string(kCost) + "}";
    const size_t frame = head.size() + tail.size();
    return head + sentence(size > frame ? size - frame : 1) + tail;
}

std::string event(std::string_view delta, std::string_view finish, std::string_view extra) {
    return R"(data: {"choices":[{"index":0,"delta":{)" + std::string(delta) + "}" +
           std::string(finish) + "}]," + std::string(kFrame) + R"(.chunk")" + std::string(extra) +
           "}\n\n";
}

}  // namespace

BenchReply build_bench(const Scenario& scenario) {
    const BenchSpec& spec = scenario.bench;
    BenchReply r;
    r.header_lines = "content-type: application/json\r\n" + std::string(kCommonLines);
    r.stream_header_lines = "content-type: text/event-stream\r\ncache-control: no-cache\r\n" +
                            std::string(kCommonLines);
    r.body = plain_body(static_cast<size_t>(spec.reply_bytes));
    r.events.push_back(event(R"("role":"assistant","content":"")", "", ""));
    for (int64_t i = 0; i < spec.chunks; ++i) {
        r.events.push_back(event(R"("content":"The quick brown fox ")", "", ""));
    }
    r.events.push_back(event("", R"(,"finish_reason":"stop")",
                             "," + std::string(kUsage) + "," + std::string(kCost)) +
                       "data: [DONE]\n\n");
    r.pause = milliseconds(spec.chunk_ms);
    r.hold = seconds(spec.hold_s);
    return r;
}

}  // namespace belay::sim
