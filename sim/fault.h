#pragma once
// Faults: everything that can go wrong between a client and Copilot, by name. A rule says which
// calls it hits (path, model, account, the nth, so many, with what probability) and what happens:
// an HTTP error, an error inside a 200 stream, something done to the bytes or the connection, or a
// quirk of the answer switched on for that call. docs/simulator.md lists the names.
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "sim/message.h"
#include "sim/quirks.h"
#include "sim/random.h"
#include "wire/json.h"

namespace belay::sim {

enum class FaultKind : uint8_t { http, wire, quirk };

// Where in a stream an http fault shows; `before` means instead of the stream.
enum class When : uint8_t { before, handshake, content, finish };

enum class ErrorBody : uint8_t { json, text, html, empty, rest, anthropic };

enum class Wire : uint8_t {
    drop_before_headers,
    reset_before_headers,
    stall_before_headers,
    cut_after_headers,
    stall_after_headers,
    cut_after_handshake,
    stall_after_handshake,
    reset_after_handshake,
    cut_mid_sse,
    cut_mid_utf8,
    cut_after_content,
    reset_after_content,
    stall_after_content,
    cut_after_finish,
    truncate_body,
    slow,
    slow_headers,
    idle_gap,
    one_byte_writes,
    crlf,
    multi_data,
    long_line,
    comments,
    bom,
    gzip,
    no_content_type,
};

struct Fault {
    std::string name;
    FaultKind kind = FaultKind::http;
    // http
    int status = 500;
    ErrorBody body = ErrorBody::json;
    std::string code;
    std::string message;
    std::string type;
    std::string param;
    Headers headers;
    When when = When::before;
    std::string stream_shape;    // responses: "failed" (default), "error"; messages: "untyped"
    bool empties_quota = false;  // quota headers show nothing left
    // wire
    Wire wire = Wire::slow;
    int64_t at = 1;  // content parts that are let through first
    int64_t bytes = 300'000;
    milliseconds delay{0};
    // quirk
    bool Quirks::*quirk = nullptr;
};

// Whether the connection fails before any content has left.
[[nodiscard]] bool ends_before_content(const Fault& fault);

struct FaultRule {
    std::string id;
    std::string path;   // exact, or a prefix ending in '*'; "" = every model call
    std::string model;  // the same; "" = any
    std::string account;
    std::optional<bool> stream;
    int64_t nth = 0;    // only the nth matching call (1, 2, ...); 0 = all
    int64_t from = 1;   // from the nth on
    int64_t count = 0;  // at most so many times; 0 = no limit
    double probability = 1;
    Fault fault;
    int64_t seen = 0;
    int64_t fired = 0;
};

struct FaultSite {
    std::string_view path;
    std::string_view model;
    std::string_view account;
    bool stream = false;
    bool model_call = false;
};

// The faults that hit this call, counted. Rules are asked in order; of several http faults the
// first one wins at the caller.
[[nodiscard]] std::vector<Fault> draw_faults(std::vector<FaultRule>& rules, const FaultSite& site,
                                             Random& random);

[[nodiscard]] std::optional<Fault> find_fault(std::string_view name);
[[nodiscard]] std::vector<std::string_view> fault_names();
[[nodiscard]] Result<FaultRule> parse_fault_rule(const json::Value& value,
                                                 const std::string& where);

// The whole HTTP answer of an http fault.
[[nodiscard]] Reply render_fault(const Fault& fault, bool json_as_text);
// Does to a finished answer what a wire fault does.
void apply_wire(Reply& reply, const Fault& fault);

}  // namespace belay::sim
