#include "observe/request_metrics.h"

#include <doctest/doctest.h>

#include <algorithm>

namespace belay::observe {
namespace {

ledger::SpendRecord answered() {
    ledger::SpendRecord r;
    r.request_id = "r";
    r.client_api = ledger::Api::chat;
    r.asked = "gpt";
    r.model_group = "gpt";
    r.deployment_id = "d1";
    r.provider = "openai";
    r.upstream_model = "gpt-x";
    r.api_base = "https://up";
    r.status = ledger::Status::success;
    r.http_status = 200;
    r.key_fingerprint = "hash";
    r.key_alias = "ci";
    r.team = "t1";
    r.user = "u1";
    r.usage.input = 7;
    r.usage.output = 2;
    r.cost = {17'000'000};
    r.queue_us = 100;
    r.total_us = 3'000;
    return r;
}

ledger::Trace one_attempt() {
    ledger::Trace trace;
    ledger::Attempt a;
    a.start_us = 100;
    a.end_us = 2'100;
    trace.attempts.push_back(a);
    return trace;
}

const Family* find(const std::vector<Family>& families, std::string_view name) {
    const auto found = std::find_if(families.begin(), families.end(),
                                    [&](const Family& f) { return f.name == name; });
    return found == families.end() || found->samples.empty() ? nullptr : &*found;
}

std::string label(const Sample& sample, std::string_view name) {
    for (const auto& [key, value] : sample.labels) {
        if (key == name) {
            return value;
        }
    }
    return "(no such label)";
}

std::vector<Family> collect(const RequestMetrics& metrics) {
    std::vector<Family> out;
    metrics.collect(out);
    return out;
}

// One answered request is counted under LiteLLM's names with LiteLLM's labels, once in each.
TEST_CASE("an answered request") {
    RequestMetrics metrics({[](std::string_view) { return std::string("red"); },
                            [](std::string_view) { return std::string("u@x"); }});
    metrics.add(answered(), one_attempt());
    const auto all = collect(metrics);
    struct Case {
        const char* name;
        double value;
        std::vector<std::pair<const char*, const char*>> labels;
    };
    const Case cases[] = {
        {"litellm_proxy_total_requests_metric_total",
         1,
         {{"status_code", "200"},
          {"hashed_api_key", "hash"},
          {"api_key_alias", "ci"},
          {"team_alias", "red"},
          {"user_email", "u@x"},
          {"route", "/chat/completions"},
          {"end_user", "None"},
          {"model_id", "d1"}}},
        {"litellm_spend_metric_total", 0.00017, {{"model", "gpt-x"}}},
        {"litellm_total_tokens_metric_total", 9, {{"requested_model", "gpt"}}},
        {"litellm_input_tokens_metric_total", 7, {}},
        {"litellm_output_tokens_metric_total", 2, {}},
        {"litellm_request_total_latency_metric", 0.003, {}},
        {"litellm_llm_api_latency_metric", 0.002, {}},
        {"litellm_overhead_latency_metric", 0.001, {{"api_base", "https://up"}}},
        {"litellm_deployment_success_responses_total", 1, {{"api_provider", "openai"}}},
        {"litellm_deployment_total_requests_total", 1, {{"litellm_model_name", "gpt-x"}}},
    };
    for (const auto& c : cases) {
        CAPTURE(c.name);
        const Family* family = find(all, c.name);
        REQUIRE(family != nullptr);
        REQUIRE(family->samples.size() == 1);
        CHECK(family->samples[0].value == doctest::Approx(c.value));
        for (const auto& [name, value] : c.labels) {
            CHECK(label(family->samples[0], name) == value);
        }
    }
    CHECK(find(all, "litellm_proxy_failed_requests_metric_total") == nullptr);
}

// A failure has its class and status; an attempt before a fallback counts against its deployment.
TEST_CASE("failures and fallbacks") {
    RequestMetrics metrics({});
    auto r = answered();
    r.attempted_fallbacks = 1;
    r.fallback_reason = "quota_month";
    ledger::Trace trace;
    ledger::Attempt bad;
    bad.group = "opus";
    bad.deployment_id = "d0";
    bad.model = "opus-x";
    bad.cause = "quota_month";
    bad.status = 402;
    bad.end_us = 50;
    trace.attempts = {bad, one_attempt().attempts[0]};
    trace.attempts[1].group = "gpt";
    trace.attempts[1].deployment_id = "d1";
    trace.attempts[1].model = "gpt-x";
    metrics.add(r, trace);
    auto failed = answered();
    failed.status = ledger::Status::failure;
    failed.http_status = 429;
    failed.error_kind = Kind::rate_limited;
    failed.usage = {};
    failed.cost = {};
    metrics.add(failed, {});
    const auto all = collect(metrics);
    const Family* fallback = find(all, "litellm_deployment_successful_fallbacks_total");
    REQUIRE(fallback != nullptr);
    CHECK(label(fallback->samples[0], "fallback_model") == "gpt");
    CHECK(label(fallback->samples[0], "exception_status") == "402");
    const Family* failures = find(all, "litellm_deployment_failure_responses_total");
    REQUIRE(failures != nullptr);
    CHECK(label(failures->samples[0], "model_id") == "d0");
    CHECK(label(failures->samples[0], "litellm_model_name") == "opus-x");
    const Family* errors = find(all, "litellm_proxy_failed_requests_metric_total");
    REQUIRE(errors != nullptr);
    CHECK(label(errors->samples[0], "exception_class") == "Openai.RateLimitError");
    CHECK(label(errors->samples[0], "exception_status") == "429");
    REQUIRE(metrics.seen("d0") != nullptr);
    CHECK(metrics.seen("d0")->failed);
    CHECK_FALSE(metrics.seen("d1")->failed);
}

// However many names clients invent, a metric has no more than its rows; what is beyond is counted
// under "other", and nothing is lost.
TEST_CASE("label sets are bounded") {
    RequestMetrics metrics({}, {.end_user = false, .rows_most = 10});
    for (int i = 0; i < 500; ++i) {
        auto r = answered();
        r.key_fingerprint = "k" + std::to_string(i);
        metrics.add(r, one_attempt());
    }
    const auto all = collect(metrics);
    const Family* family = find(all, "litellm_requests_metric_total");
    REQUIRE(family != nullptr);
    CHECK(family->samples.size() == 11);
    double sum = 0;
    for (const auto& sample : family->samples) {
        sum += sample.value;
    }
    CHECK(sum == 500);
    CHECK(label(family->samples.back(), "hashed_api_key") == "other");
    CHECK(find(all, "belay_metric_overflow_total")->samples[0].value > 0);
}

// Products and models that clients name freely become few, and an unknown model is no label.
TEST_CASE("what clients choose freely is bounded") {
    RequestMetrics metrics({});
    for (int i = 0; i < 1'000; ++i) {
        auto r = answered();
        r.user_agent = "tool-" + std::to_string(i);
        r.model_group = "*";
        r.asked = "m" + std::to_string(i);
        metrics.add(r, one_attempt());
        auto unknown = answered();
        unknown.asked = "nonsense" + std::to_string(i);
        unknown.model_group = unknown.deployment_id = "";
        unknown.status = ledger::Status::failure;
        unknown.http_status = 400;
        unknown.error_kind = Kind::invalid_request;
        metrics.add(unknown, {});
    }
    const auto all = collect(metrics);
    std::string text;
    write_text(text, all);
    CHECK(text.find("nonsense") == text.npos);
    CHECK(text.find("tool-999") == text.npos);
    CHECK(text.find("\"m999\"") == text.npos);
    CHECK(text.find("user_agent=\"other\"") != text.npos);
}

// Bytes of a long value are cut at a character.
TEST_CASE("long values are cut") {
    LabelTable table({"x"});
    const size_t c = table.counter("n_total", "n");
    std::string text(LabelTable::kValueMost - 1, 'a');
    table.row({text + "\xc3\xa9" + "tail"}).count(c);
    std::vector<Family> all;
    table.collect(all);
    CHECK(all[0].samples[0].labels[0].second == text);
}

}  // namespace
}  // namespace belay::observe
