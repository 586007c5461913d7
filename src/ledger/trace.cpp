#include "ledger/trace.h"

#include "ledger/text.h"
#include "wire/json.h"

namespace belay::ledger {

namespace {

void write_text(std::string& out, std::string_view key, std::string_view value,
                size_t max = kMaxText) {
    if (!value.empty()) {
        write_key(out, key);
        write_json_text(out, cut(value, max));
    }
}

void write_candidate(std::string& out, const Candidate& candidate) {
    out += '{';
    write_text(out, "g", candidate.group);
    write_text(out, "d", candidate.deployment_id);
    write_text(out, "m", candidate.model);
    write_text(out, "v", candidate.verdict);
    out += '}';
}

void write_attempt(std::string& out, const Attempt& attempt) {
    out += '{';
    write_text(out, "g", attempt.group);
    write_text(out, "d", attempt.deployment_id);
    write_text(out, "m", attempt.model);
    if (attempt.api != Api::other) {
        write_text(out, "api", api_name(attempt.api));
    }
    write_key(out, "t");
    out += '[';
    write_number(out, attempt.start_us);
    out += ',';
    write_number(out, attempt.first_byte_us);
    out += ',';
    write_number(out, attempt.end_us);
    out += ']';
    write_text(out, "cause", attempt.cause);
    if (attempt.status != 0) {
        write_key(out, "status");
        write_number(out, attempt.status);
    }
    write_text(out, "msg", attempt.message, kMaxErrorMessage);
    write_text(out, "next", attempt.decision);
    write_text(out, "rid", attempt.upstream_request_id);
    out += '}';
}

// A list member with at most `max` items; how many were left out is told as a warning.
template <class T, class WriteItem>
size_t write_list(std::string& out, std::string_view key, const std::vector<T>& items, size_t max,
                  const WriteItem& write_item) {
    if (items.empty()) {
        return 0;
    }
    write_key(out, key);
    char lead = '[';
    for (size_t i = 0; i < items.size() && i < max; ++i) {
        out += lead;
        write_item(out, items[i]);
        lead = ',';
    }
    out += ']';
    return items.size() > max ? items.size() - max : 0;
}

std::string text_of(const json::Value& value, std::string_view key) {
    return std::string(value[key].as_string());
}

Attempt read_attempt(const json::Value& value) {
    Attempt attempt;
    attempt.group = text_of(value, "g");
    attempt.deployment_id = text_of(value, "d");
    attempt.model = text_of(value, "m");
    attempt.api = parse_api(value["api"].as_string());
    attempt.start_us = value["t"][0].as_int().value_or(0);
    attempt.first_byte_us = value["t"][1].as_int().value_or(0);
    attempt.end_us = value["t"][2].as_int().value_or(0);
    attempt.cause = text_of(value, "cause");
    attempt.status = static_cast<int>(value["status"].as_int().value_or(0));
    attempt.message = text_of(value, "msg");
    attempt.decision = text_of(value, "next");
    attempt.upstream_request_id = text_of(value, "rid");
    return attempt;
}

}  // namespace

void Trace::clear() {
    asked.clear();
    candidates.clear();
    attempts.clear();
    warnings.clear();
    final_outcome.clear();
}

void write_json(std::string& out, const Trace& trace) {
    out += '{';
    write_text(out, "asked", trace.asked);
    size_t left_out =
        write_list(out, "candidates", trace.candidates, kMaxCandidates, write_candidate);
    left_out += write_list(out, "attempts", trace.attempts, kMaxAttempts, write_attempt);
    left_out += write_list(out, "warnings", trace.warnings, kMaxWarnings,
                           [](std::string& to, const std::string& warning) {
                               write_json_text(to, cut(warning, kMaxErrorMessage));
                           });
    if (left_out != 0) {
        write_key(out, "left_out");
        write_number(out, static_cast<int64_t>(left_out));
    }
    write_text(out, "final", trace.final_outcome, kMaxErrorMessage);
    out += '}';
}

Result<Trace> parse_trace(std::string_view json) { return read_trace(TRY(json::parse(json))); }

Trace read_trace(const json::Value& value) {
    Trace trace;
    trace.asked = text_of(value, "asked");
    for (const json::Value& item : value["candidates"].items()) {
        trace.candidates.push_back(
            {text_of(item, "g"), text_of(item, "d"), text_of(item, "m"), text_of(item, "v")});
    }
    for (const json::Value& item : value["attempts"].items()) {
        trace.attempts.push_back(read_attempt(item));
    }
    for (const json::Value& item : value["warnings"].items()) {
        trace.warnings.emplace_back(item.as_string());
    }
    trace.final_outcome = text_of(value, "final");
    return trace;
}

Trace trace_from(const SpendRecord& record, int64_t end_us) {
    Trace trace;
    trace.asked = record.asked;
    Attempt attempt;
    attempt.group = record.model_group;
    attempt.deployment_id = record.deployment_id;
    attempt.model = record.upstream_model;
    attempt.api = record.api;
    attempt.start_us = record.queue_us;
    attempt.first_byte_us = record.first_byte_us;
    attempt.end_us = end_us;
    attempt.status = record.http_status;
    attempt.upstream_request_id = record.upstream_request_id;
    trace.attempts.push_back(std::move(attempt));
    return trace;
}

namespace {

// The relay leaves out what the record says of its only attempt.
bool as_recorded(const std::string& said, const std::string& recorded) {
    return said.empty() || said == recorded;
}

}  // namespace

bool follows_from(const Trace& trace, const SpendRecord& record) {
    if (trace.attempts.size() != 1 || !trace.candidates.empty() || !trace.warnings.empty() ||
        !trace.final_outcome.empty()) {
        return false;
    }
    const Attempt& attempt = trace.attempts.front();
    return attempt.start_us == record.queue_us && attempt.first_byte_us == record.first_byte_us &&
           attempt.status == record.http_status && attempt.api == record.api &&
           attempt.cause == "success" && attempt.message.empty() && attempt.decision.empty() &&
           as_recorded(attempt.deployment_id, record.deployment_id) &&
           as_recorded(attempt.model, record.upstream_model) &&
           as_recorded(attempt.group, record.model_group) &&
           attempt.upstream_request_id == record.upstream_request_id && trace.asked == record.asked;
}

}  // namespace belay::ledger
