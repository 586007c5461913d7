#include "ledger/render.h"

#include <doctest/doctest.h>

#include "wire/json.h"

namespace belay::ledger {
namespace {

size_t columns(std::string_view text) {
    size_t count = 0;
    for (const char c : text) {
        count += (static_cast<unsigned char>(c) & 0xC0) != 0x80 ? 1 : 0;
    }
    return count;
}

SpendRecord fallback_record() {
    SpendRecord record;
    record.request_id = "1f0c9a32-89ab-4cde-8fab-0123456789ab";
    record.asked = "github_copilot/claude-opus-4.6";
    record.model_group = "github_copilot/gemini-3-pro-preview";
    record.upstream_model = "gemini-3-pro-preview";
    record.provider = "github_copilot";
    record.status = Status::success;
    record.http_status = 200;
    record.stream = true;
    record.received_ms = 1'790'000'645'000;
    record.first_token_us = 410'000;
    record.total_us = 2'300'000;
    record.usage = {1200, 800, 0, 107, 0, NanoCredits{53'400'000}};
    record.cost = NanoCredits{53'400'000};
    record.cost_source = chat::CostSource::upstream;
    record.attempted_fallbacks = 1;
    record.fallback_reason = "quota_month";
    return record;
}

// Guarantee: the line tells asked, served, why, tokens, cost and both times, in this order.
TEST_CASE("the request line") {
    CHECK(render_line(fallback_record()) ==
          "14:24:05 200 claude-opus-4.6 → gemini-3-pro-preview (quota_month)  1.2k+800c→107  "
          "0.0534cr  0.41/2.30s  1f0c9a32");
    SpendRecord plain = fallback_record();
    plain.asked = plain.upstream_model = "gpt-5-mini";
    plain.fallback_reason.clear();
    plain.stream = false;
    plain.cost_source = chat::CostSource::price_table;
    CHECK(render_line(plain) ==
          "14:24:05 200 gpt-5-mini  1.2k+800c→107  ~0.0534cr  2.30s  1f0c9a32");
    CHECK(columns(render_line(plain)) <= 80);
}

// Guarantee: a failure says what it was; a cost nobody knows is shown as unknown, never as zero.
TEST_CASE("failures and unknown costs") {
    SpendRecord failed = fallback_record();
    failed.status = Status::failure;
    failed.http_status = 429;
    failed.usage = {};
    failed.error_kind = Kind::rate_limited;
    failed.attempted_retries = 2;
    CHECK(render_line(failed).find("(quota_month, 2 retries) rate_limited") != std::string::npos);
    SpendRecord unknown = fallback_record();
    unknown.cost = {};
    unknown.cost_source = chat::CostSource::unknown;
    CHECK(render_line(unknown).find("cost ?") != std::string::npos);
    CHECK(render_line(unknown).find("0cr") == std::string::npos);
    SpendRecord gone = fallback_record();
    gone.status = Status::client_aborted;
    CHECK(render_line(gone).find("client left") != std::string::npos);
}

// Guarantee: nothing a client sends can move the cursor, colour the terminal or break the line.
TEST_CASE("a line stays a line") {
    SpendRecord record = fallback_record();
    record.asked = "evil\n\x1b[2J\r";
    record.error_code = "x\ny";
    record.status = Status::failure;
    record.request_id = "\x1b]0;title";
    const std::string line = render_line(record);
    for (const char c : line) {
        CHECK(static_cast<unsigned char>(c) >= 0x20);
    }
    CHECK(render_line(record, Colour::on).find('\n') == std::string::npos);
    CHECK(render_line(fallback_record(), Colour::on).find("\x1b[32m200\x1b[0m") !=
          std::string::npos);
}

// Guarantee: the JSON form is one valid object; an unknown cost is null and a known one exact.
TEST_CASE("the record as JSON") {
    SpendRecord record = fallback_record();
    record.asked = "quote\" \xFF";
    record.tags = {"a", "b"};
    record.error_kind = Kind::timeout;
    std::string text;
    write_json(text, record);
    const Result<json::Value> parsed = json::parse(text);
    REQUIRE(parsed.ok());
    CHECK((*parsed)["spend"].number_text() == "0.000534");
    CHECK((*parsed)["cost_nanocredits"].as_int() == 53'400'000);
    CHECK((*parsed)["prompt_tokens"].as_int() == 2000);
    CHECK((*parsed)["request_tags"].size() == 2);
    CHECK((*parsed)["error_kind"].as_string() == "timeout");
    record.cost_source = chat::CostSource::unknown;
    text.clear();
    write_json(text, record);
    CHECK(json::parse(text)->find("spend")->is_null());
}

// Guarantee: the story tells everything that was decided, in lines of at most 80 columns.
TEST_CASE("the story of a request") {
    SpendRecord record = fallback_record();
    record.key_alias = "laptop";
    record.premium_milli = 330;
    Trace trace;
    trace.asked = record.asked;
    trace.candidates = {{"opus", "d1", "claude-opus-4.6", "cooling: quota_month until 2026-12-01"},
                        {"gemini", "d2", "gemini-3-pro-preview", "taken"}};
    Attempt first;
    first.model = "claude-opus-4.6";
    first.api = Api::chat;
    first.start_us = 900;
    first.end_us = 200'000;
    first.cause = "quota_month";
    first.status = 402;
    first.message = "You have no quota";
    first.decision = "next in chain";
    Attempt second;
    second.model = "gemini-3-pro-preview";
    second.api = Api::chat;
    second.start_us = 201'000;
    second.first_byte_us = 400'000;
    second.end_us = 2'300'000;
    second.status = 200;
    trace.attempts = {first, second};
    trace.warnings = {"dropped thinking: the model does not support it"};
    const std::string story = explain(trace, record);
    for (const char* part :
         {"Request 1f0c9a32", "Asked for github_copilot/claude-opus-4.6", "with key laptop",
          "cooling: quota_month until 2026-12-01", "the month's quota is used up (HTTP 402)",
          "You have no quota", "Then: next in chain.", "answered (HTTP 200)", "dropped thinking",
          "The client got the answer (HTTP 200) after 2.30 s", "2,000 prompt tokens",
          "0.0534 credits", "US$ 0.000534", "the upstream's own figure", "0.33 premium"}) {
        CAPTURE(std::string(part));
        std::string joined;
        for (const char c : story) {  // undo the wrapping
            joined += c == '\n' ? ' ' : c;
        }
        std::string single;
        for (const char c : joined) {
            if (c != ' ' || single.empty() || single.back() != ' ') {
                single += c;
            }
        }
        CHECK(single.find(part) != std::string::npos);
    }
    size_t begin = 0;
    for (size_t end = story.find('\n'); end != std::string::npos; end = story.find('\n', begin)) {
        CHECK(columns(std::string_view(story).substr(begin, end - begin)) <= 80);
        begin = end + 1;
    }
    CHECK(begin == story.size());
}

// Guarantee: a request that reached nobody is told as such.
TEST_CASE("the story of nothing") {
    SpendRecord record;
    record.asked = "x";
    record.http_status = 400;
    record.error_message = "nonesuch";
    const std::string story = explain(Trace{}, record);
    CHECK(story.find("Nothing was sent upstream.") != std::string::npos);
    CHECK(story.find("Nothing was consumed.") != std::string::npos);
    CHECK(story.find("nonesuch") != std::string::npos);
}

// Guarantee: counts and durations keep two to four significant figures at every size.
TEST_CASE("counts and durations") {
    CHECK(describe_count(0) == "0");
    CHECK(describe_count(999) == "999");
    CHECK(describe_count(1234) == "1.2k");
    CHECK(describe_count(123'456) == "123k");
    CHECK(describe_count(999'999) == "1.0M");
    CHECK(describe_count(2'500'000) == "2.5M");
    CHECK(describe_duration(400) == "0.4 ms");
    CHECK(describe_duration(41'500) == "41 ms");
    CHECK(describe_duration(2'300'000) == "2.30 s");
    CHECK(describe_duration(200'000'000) == "3 min 20 s");
}

}  // namespace
}  // namespace belay::ledger
