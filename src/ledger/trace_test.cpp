#include "ledger/trace.h"

#include <doctest/doctest.h>

#include "ledger/text.h"
#include "wire/json.h"

namespace belay::ledger {
namespace {

Trace full_trace() {
    Trace trace;
    trace.asked = "opus \"quoted\" ü";
    trace.candidates = {{"opus", "d1", "claude-opus-4.6", "taken"}, {"", "", "m", ""}};
    Attempt attempt;
    attempt.group = "opus";
    attempt.deployment_id = "d1";
    attempt.model = "claude-opus-4.6";
    attempt.api = Api::responses;
    attempt.start_us = 1;
    attempt.first_byte_us = 22;
    attempt.end_us = 333;
    attempt.cause = "quota_month";
    attempt.status = 402;
    attempt.message = "line\nbreak";
    attempt.decision = "next in chain";
    attempt.upstream_request_id = "R";
    trace.attempts = {attempt, Attempt{}};
    trace.warnings = {"dropped thinking"};
    trace.final_outcome = "cut";
    return trace;
}

// Guarantee: reading what was written gives the same trace, for the fullest and the emptiest.
TEST_CASE("written and read again") {
    for (const Trace& trace : {full_trace(), Trace{}, trace_from(SpendRecord{})}) {
        std::string text;
        write_json(text, trace);
        const Result<Trace> read = parse_trace(text);
        REQUIRE(read.ok());
        CHECK(*read == trace);
    }
}

// Guarantee: whatever bytes a trace holds, its JSON is valid, and its size is bounded.
TEST_CASE("hostile traces stay valid and bounded") {
    Trace trace;
    trace.asked = std::string("\xFF\x00\x1F\xED\xA0\x80\xF4\x90\x80\x80\xC0\xAF", 13);
    trace.candidates.resize(5'000);
    trace.attempts.resize(5'000);
    for (Attempt& attempt : trace.attempts) {
        attempt.message = std::string(100'000, '\xE2');
    }
    trace.warnings.assign(5'000, std::string(10'000, '"'));
    std::string text;
    write_json(text, trace);
    CHECK(json::parse(text).ok());
    CHECK(text.size() < 400'000);
    CHECK(text.find("\"left_out\":") != std::string::npos);
}

// Guarantee: a trace is left unwritten only when the record alone gives it back.
TEST_CASE("what follows from a record and what does not") {
    SpendRecord record;
    record.asked = "a";
    record.http_status = 200;
    record.api = Api::chat;
    record.total_us = 5;
    const Trace plain = trace_from(record);
    CHECK(follows_from(plain, record));
    const auto differs = [&](const auto& change) {
        Trace trace = plain;
        change(trace);
        return !follows_from(trace, record);
    };
    CHECK(differs([](Trace& t) { t.asked = "b"; }));
    CHECK(differs([](Trace& t) { t.candidates.emplace_back(); }));
    CHECK(differs([](Trace& t) { t.warnings.emplace_back("w"); }));
    CHECK(differs([](Trace& t) { t.final_outcome = "f"; }));
    CHECK(differs([](Trace& t) { t.attempts.emplace_back(); }));
    CHECK(differs([](Trace& t) { t.attempts.clear(); }));
    CHECK(differs([](Trace& t) { t.attempts[0].start_us = 6; }));
    CHECK(!differs([](Trace& t) { t.attempts[0].end_us = 6; }));
    CHECK(trace_from(record, 6).attempts[0].end_us == 6);
    CHECK(differs([](Trace& t) { t.attempts[0].cause = "timeout"; }));
    CHECK(differs([](Trace& t) { t.attempts[0].message = "m"; }));
    CHECK(differs([](Trace& t) { t.attempts[0].deployment_id = "x"; }));
    CHECK(differs([](Trace& t) { t.attempts[0].upstream_request_id = "x"; }));
}

// Guarantee: a cut never ends inside a character.
TEST_CASE("text is cut at characters") {
    CHECK(cut("abc", 5) == "abc");
    CHECK(cut("abc", 2) == "ab");
    CHECK(cut("aü", 2) == "a");
    CHECK(cut("a→b", 3) == "a");
    CHECK(cut("→", 0).empty());
}

// Guarantee: clean text has no control byte and is valid UTF-8.
TEST_CASE("clean text") {
    const auto clean = [](std::string_view text) {
        std::string out;
        write_clean(out, text, 100);
        return out;
    };
    CHECK(clean("plain") == "plain");
    CHECK(clean("a\x1b[31m\n\x7F") == "a [31m  ");
    CHECK(clean("\xFF") == "\xEF\xBF\xBD");
    CHECK(clean("ü→😀") == "ü→😀");
}

// Guarantee: every name reads back as its value.
TEST_CASE("names of enumerations") {
    for (const Status s : {Status::success, Status::failure, Status::client_aborted}) {
        CHECK(parse_status(status_name(s)) == s);
    }
    for (int i = 0; i < 6; ++i) {
        CHECK(parse_api(api_name(static_cast<Api>(i))) == static_cast<Api>(i));
        CHECK(parse_call_type(call_type_name(static_cast<CallType>(i))) ==
              static_cast<CallType>(i));
    }
    for (int i = 0; i < 3; ++i) {
        CHECK(parse_initiator(initiator_name(static_cast<Initiator>(i))) ==
              static_cast<Initiator>(i));
    }
    CHECK(parse_status("nonsense") == Status::failure);
    CHECK(api_name(static_cast<Api>(99)).empty());
}

}  // namespace
}  // namespace belay::ledger
