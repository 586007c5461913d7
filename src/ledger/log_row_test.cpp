// What the management API prints of a request, and what exports hold.
#include "ledger/log_row.h"

#include <doctest/doctest.h>

#include "ledger/export.h"
#include "wire/json.h"

namespace belay::ledger {
namespace {

Entry failed_entry() {
    Entry entry;
    SpendRecord& record = entry.record;
    record.request_id = "chatcmpl-1";
    record.call_type = CallType::acompletion;
    record.client_api = Api::chat;
    record.api = Api::messages;
    record.asked = "opus";
    record.upstream_model = "claude-opus-4.6";
    record.model_group = "opus";
    record.deployment_id = "d1";
    record.provider = "github_copilot";
    record.status = Status::client_aborted;
    record.http_status = 499;
    record.error_kind = Kind::cancelled;
    record.error_message = "the client, \"gone\"\n=1+1";
    record.received_ms = 1'790'000'000'123;
    record.first_token_us = 400'400;
    record.total_us = 2'300'000;
    record.usage = {1200, 800, 5, 107, 40, std::nullopt};
    record.cost = NanoCredits{53'400'001};
    record.cost_source = chat::CostSource::configured;
    record.premium_milli = 333;
    record.key_fingerprint = "3f2a9c01";
    record.team = "research";
    record.session_id = "=HYPERLINK(\"x\")";
    record.tags = {"a,b", "User-Agent: x"};
    entry.trace = trace_from(record);
    entry.trace.attempts.front().cause = "cancelled";
    return entry;
}

// Guarantee: the row is one JSON object with LiteLLM's names; money and tokens are exact; a client
// that left is a failure there, and is told apart by our own member.
TEST_CASE("a log row has LiteLLM's names") {
    std::string text;
    write_log_row(text, failed_entry());
    const Result<json::Value> row = json::parse(text);
    REQUIRE(row.ok());
    const json::Value& value = *row;
    CHECK(value["request_id"].as_string() == "chatcmpl-1");
    CHECK(value["spend"].number_text() == "0.00053400001");
    CHECK(value["prompt_tokens"].as_int() == 2005);
    CHECK(value["total_tokens"].as_int() == 2112);
    CHECK(value["startTime"].as_string() == "2026-09-21T14:13:20.123Z");
    CHECK(value["completionStartTime"].as_string() == "2026-09-21T14:13:20.523Z");
    CHECK(value["endTime"].as_string() == "2026-09-21T14:13:22.423Z");
    CHECK(value["request_duration_ms"].as_int() == 2300);
    CHECK(value["status"].as_string() == "failure");
    CHECK(value["team_id"].as_string() == "research");
    CHECK(value["organization_id"].is_null());
    CHECK(value["request_tags"].size() == 2);
    const json::Value& metadata = value["metadata"];
    CHECK(metadata["error_information"]["error_class"].as_string() == "client_aborted");
    CHECK(metadata["error_information"]["error_code"].as_string() == "499");
    CHECK(metadata["usage_object"]["prompt_tokens_details"]["cached_tokens"].as_int() == 800);
    CHECK(metadata["belay"]["status"].as_string() == "client_aborted");
    CHECK(metadata["belay"]["premium_requests"].number_text() == "0.333");
    CHECK(metadata["trace"]["attempts"][0]["cause"].as_string() == "cancelled");
}

// Guarantee: an entry with nothing in it is a valid row too.
TEST_CASE("an empty record makes a valid row") {
    std::string text;
    write_log_row(text, {});
    CHECK(json::parse(text).ok());
}

// Guarantee: a row has as many fields as the head, text with separators stays one field, and
// nothing in it is a formula.
TEST_CASE("CSV is quoted and harmless") {
    std::string head;
    write_csv_head(head);
    std::string row;
    write_csv_row(row, failed_entry());
    CHECK(head.substr(0, 21) == "request_id,call_type,");
    CHECK(row.find("\"the client, \"\"gone\"\"\n=1+1\"") != std::string::npos);
    CHECK(row.find("\"'=HYPERLINK(\"\"x\"\")\"") != std::string::npos);
    CHECK(row.find(",0.00053400001,") != std::string::npos);
    const auto fields = [](const std::string& line) {
        size_t count = 1;
        bool quoted = false;
        for (const char c : line) {
            quoted = quoted != (c == '"');
            count += c == ',' && !quoted ? 1 : 0;
        }
        return count;
    };
    CHECK(fields(head) == fields(row));
    CHECK(row.substr(row.size() - 2) == "\r\n");
}

// Guarantee: a JSON line is one line, whatever the texts hold.
TEST_CASE("a JSON line is one line") {
    std::string line;
    write_json_line(line, failed_entry());
    CHECK(line.find('\n') == line.size() - 1);
    CHECK(json::parse(std::string_view(line).substr(0, line.size() - 1)).ok());
}

}  // namespace
}  // namespace belay::ledger
