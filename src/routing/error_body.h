#pragma once
// Reads what an upstream wrote when it failed. The content type says nothing (JSON arrives as
// text/plain), so the bytes decide. Shapes:
//
//   {"error":{"message","code","type","param"}}     CAPI, OpenAI; any subset, code may be a number
//   {"error":"text"}                                Ollama
//   {"message":"...","documentation_url":"..."}     GitHub
//   {"type":"error","error":{"type","message"}}     Anthropic, and CAPI's WebSocket frames
//   {"type":"error","code","message"}               OpenAI Responses event
//   {"detail":"..."} {"detail":[{"loc","msg"}]}     FastAPI servers
//   [{"error":{"code":429,"status":"...","details":[...]}}]   Google
//   plain text, HTML, nothing
//
// `message` may itself hold a JSON document of the vendor behind the upstream; it is opened too.
// Used by routing/outcome only.
#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "wire/json.h"

namespace belay::routing {

enum class BodyShape : uint8_t { empty, text, html, json };

struct ErrorBody {
    BodyShape shape = BodyShape::empty;
    std::string code;
    std::string type;
    std::string message;
    std::string param;
    int status = 0;                     // an HTTP status written inside the body; 0 = none
    std::optional<double> retry_after;  // seconds from now
    std::optional<Wall> resets_at;      // stated reset time
    bool named_error = false;           // there was an "error" member, or type "error"
    bool authorize_url = false;         // an extension agent wants its own OAuth
    bool account_state = false;         // error_details: no seat, flagged, not signed up, ...
    bool validation = false;            // a list of schema violations
};

[[nodiscard]] ErrorBody read_error_body(std::string_view body, Wall now);
[[nodiscard]] ErrorBody read_error_value(const json::Value& value, Wall now);

// Text fit to show: valid UTF-8, no control bytes, no credential, at most `max` bytes.
[[nodiscard]] std::string scrub(std::string_view text, size_t max = 2048);
[[nodiscard]] std::string lower(std::string_view text);
[[nodiscard]] std::string_view trim(std::string_view text);

}  // namespace belay::routing
