#include "observe/otlp.h"

#include <doctest/doctest.h>

#include "wire/json.h"

namespace belay::observe {
namespace {

Heard heard() {
    Heard h;
    auto& r = h.entry.record;
    r.request_id = "r1";
    r.call_type = ledger::CallType::acompletion;
    r.asked = "gpt";
    r.model_group = "gpt";
    r.deployment_id = "d1";
    r.provider = "openai";
    r.upstream_model = "gpt-x";
    r.api_base = "https://up";
    r.status = ledger::Status::success;
    r.http_status = 200;
    r.received_ms = 1'700'000'000'000;
    r.total_us = 5'000;
    r.usage.input = 7;
    r.usage.output = 2;
    ledger::Attempt a;
    a.start_us = 1'000;
    a.end_us = 4'000;
    a.status = 200;
    h.entry.trace.attempts.push_back(a);
    return h;
}

json::Value parse_spans(const Heard& h) {
    const std::string text =
        traces_prefix({{"service.name", "x"}}) + render_spans(h) + std::string(traces_suffix());
    auto value = json::parse(text);
    REQUIRE(value.ok());
    return (*value)["resourceSpans"][0]["scopeSpans"][0]["spans"];
}

std::string attribute(const json::Value& span, std::string_view key) {
    for (const auto& item : span["attributes"].items()) {
        if (item["key"].as_string() == key) {
            return json::dump(item["value"]);
        }
    }
    return "(none)";
}

// Only headers that the standard allows continue a trace.
TEST_CASE("traceparent") {
    const std::string good = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    struct Case {
        std::string header;
        bool ok;
        bool sampled;
    };
    const Case cases[] = {
        {good, true, true},
        {good.substr(0, 53) + "00", true, false},
        {"01" + good.substr(2) + "-more", true, true},
        {good + "-more", false, false},
        {"ff" + good.substr(2), false, false},
        {"00-00000000000000000000000000000000-00f067aa0ba902b7-01", false, false},
        {"00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01", false, false},
        {"00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01", false, false},
        {"", false, false},
        {good.substr(0, 54), false, false},
    };
    for (const auto& c : cases) {
        CAPTURE(c.header);
        const auto parent = parse_traceparent(c.header);
        REQUIRE(parent.has_value() == c.ok);
        if (parent) {
            CHECK(parent->sampled == c.sampled);
            CHECK(parent->trace_id == "4bf92f3577b34da6a3ce929d0e0e4736");
        }
    }
}

// A request is a server span, each attempt its client child, and the caller's trace goes on.
TEST_CASE("spans of a request") {
    Heard h = heard();
    h.traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    const auto spans = parse_spans(h);
    REQUIRE(spans.size() == 2);
    const auto& request = spans[0];
    const auto& attempt = spans[1];
    CHECK(request["traceId"].as_string() == "4bf92f3577b34da6a3ce929d0e0e4736");
    CHECK(request["parentSpanId"].as_string() == "00f067aa0ba902b7");
    CHECK(request["kind"].as_int() == 2);
    CHECK(request["name"].as_string() == "chat gpt");
    CHECK(request["startTimeUnixNano"].as_string() == "1700000000000000000");
    CHECK(request["endTimeUnixNano"].as_string() == "1700000000005000000");
    CHECK(attribute(request, "gen_ai.usage.input_tokens") == R"({"intValue":"7"})");
    CHECK(attribute(request, "gen_ai.request.model") == R"({"stringValue":"gpt"})");
    CHECK(attempt["parentSpanId"].as_string() == request["spanId"].as_string());
    CHECK(attempt["kind"].as_int() == 3);
    CHECK(attempt["name"].as_string() == "chat gpt-x");
    CHECK(attempt["startTimeUnixNano"].as_string() == "1700000000001000000");
    CHECK(attribute(attempt, "server.address") == R"({"stringValue":"https://up"})");
}

// A trace that its maker does not sample is not sent.
TEST_CASE("an unsampled trace") {
    Heard h = heard();
    h.traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00";
    CHECK(render_spans(h).empty());
}

// What routing decided is told as events; a failed span has the error's status and type.
TEST_CASE("decisions and errors") {
    Heard h = heard();
    auto& r = h.entry.record;
    r.status = ledger::Status::failure;
    r.http_status = 429;
    r.error_kind = Kind::rate_limited;
    r.error_message = "slow down";
    h.entry.trace.candidates.push_back({"gpt", "d1", "gpt-x", "taken"});
    auto& a = h.entry.trace.attempts[0];
    a.cause = "rate_limited";
    a.decision = "try again";
    a.message = "limit for ghp_0123456789abcdefghijABCDEFGHIJ012345 reached";
    const auto spans = parse_spans(h);
    const auto& events = spans[0]["events"];
    REQUIRE(events.size() == 2);
    CHECK(events[0]["name"].as_string() == "belay.candidate");
    CHECK(events[1]["name"].as_string() == "belay.decision");
    CHECK(spans[0]["status"]["code"].as_int() == 2);
    CHECK(attribute(spans[0], "error.type") == R"({"stringValue":"Openai.RateLimitError"})");
    const auto message = spans[1]["status"]["message"].as_string();
    CHECK(message.find("ghp_") == message.npos);
}

// Metrics have OTLP's shape: cumulative sums, gauges, histograms with counts of each bucket.
TEST_CASE("metrics") {
    static constexpr double kBounds[] = {0.5, 1};
    Family counter{"c_total", "c", MetricType::counter, {}, {}};
    counter.add({{"l", "v"}}, 3);
    Family histogram{"h", "h", MetricType::histogram, kBounds, {}};
    histogram.samples.push_back({{}, 1.75, {1, 2}, 3});
    histogram.samples[0].buckets.push_back(3);
    auto value = json::parse(
        render_metrics({{"service.name", "x"}}, {counter, single("g", "g", 2), histogram}, 1, 2));
    REQUIRE(value.ok());
    const auto& metrics = (*value)["resourceMetrics"][0]["scopeMetrics"][0]["metrics"];
    REQUIRE(metrics.size() == 3);
    CHECK(metrics[0]["sum"]["isMonotonic"].as_bool());
    CHECK(metrics[0]["sum"]["dataPoints"][0]["asDouble"].as_double() == 3.0);
    CHECK(metrics[1]["gauge"]["dataPoints"][0]["asDouble"].as_double() == 2.0);
    const auto& point = metrics[2]["histogram"]["dataPoints"][0];
    CHECK(json::dump(point["bucketCounts"]) == R"(["1","1","1"])");
    CHECK(json::dump(point["explicitBounds"]) == "[0.5,1]");
    CHECK(point["count"].as_string() == "3");
}

}  // namespace
}  // namespace belay::observe
