#pragma once
// Every decision of one request, as it happened: what was asked, who was considered and why passed
// over, each attempt with times and result, what was changed on the way. The relay fills it; the
// ledger keeps it as compact JSON; `belay explain`, the dashboard and error histories read it back.
//
// A request whose first attempt succeeds costs three short strings here: leave `candidates` empty
// when the only one was taken.
//
//   {"asked":"m","candidates":[{"g":group,"d":deployment,"m":model,"v":verdict}],
//    "attempts":[{"g":..,"d":..,"m":..,"api":"chat","t":[start,first_byte,end],"cause":"success",
//                 "status":200,"msg":..,"next":..,"rid":..}],
//    "warnings":[".."],"left_out":n,"final":".."}
// Times are microseconds since the request was received. Empty members are left out.
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "ledger/record.h"
#include "wire/json.h"

namespace belay::ledger {

struct Candidate {
    std::string group;
    std::string deployment_id;
    std::string model;    // upstream name
    std::string verdict;  // "taken", "cooling: quota_month until 2026-12-01", "no vision"
    bool operator==(const Candidate&) const = default;
};

// Group, deployment and model may be left out of a request's only attempt: they are the record's.
struct Attempt {
    std::string group;
    std::string deployment_id;
    std::string model;  // upstream name as sent
    Api api = Api::other;
    int64_t start_us = 0;
    int64_t first_byte_us = 0;  // 0 = none came
    int64_t end_us = 0;
    std::string cause = "success";  // routing's cause name
    int status = 0;                 // upstream HTTP status; 0 = no answer
    std::string message;            // upstream's words, scrubbed, cut at kMaxErrorMessage
    std::string decision;  // what was done next: "refresh token and replay", "next in chain"
    std::string upstream_request_id;
    bool operator==(const Attempt&) const = default;
};

struct Trace {
    std::string asked;
    std::vector<Candidate> candidates;
    std::vector<Attempt> attempts;
    std::vector<std::string> warnings;  // dropped parameters, what could not cross protocols
    std::string final_outcome;  // what the client got when it was not the last attempt's result

    bool operator==(const Trace&) const = default;
    // Ready for the next request; strings and vectors keep their memory.
    void clear();
};

// What is written at most; how many items were left out is written too.
inline constexpr size_t kMaxCandidates = 64;
inline constexpr size_t kMaxAttempts = 64;
inline constexpr size_t kMaxWarnings = 64;

// Appends the JSON above. Never fails: invalid UTF-8 becomes U+FFFD.
void write_json(std::string& out, const Trace& trace);
[[nodiscard]] Result<Trace> parse_trace(std::string_view json);
[[nodiscard]] Trace read_trace(const json::Value& value);  // members it lacks stay empty

// The trace of a request whose first attempt succeeded and that has nothing else to tell: all of it
// stands in its SpendRecord (start = queue_us, ...) but the moment the attempt ended. A driver that
// finds follows_from() true keeps that moment alone and gives trace_from() back.
[[nodiscard]] Trace trace_from(const SpendRecord& record, int64_t end_us);
[[nodiscard]] inline Trace trace_from(const SpendRecord& record) {
    return trace_from(record, record.total_us);
}
[[nodiscard]] bool follows_from(const Trace& trace, const SpendRecord& record);

}  // namespace belay::ledger
