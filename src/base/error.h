#pragma once
// What can fail and whose fault it is. Every expected failure in Belay is an Error inside a Result;
// exceptions never cross a module. Kind is closed: only two tables read it, the one that shows it
// to a client (protocols/render_error) and the one that decides how routing reacts
// (routing/outcome).
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace belay {

enum class Kind : uint8_t {
    invalid_request,
    unauthenticated,
    forbidden,
    not_found,
    too_large,
    unsupported,
    rate_limited,
    budget_exhausted,
    context_overflow,
    content_refused,
    upstream_rejected,
    upstream_malformed,
    upstream_unavailable,
    timeout,
    cancelled,
    internal,
};

enum class Origin : uint8_t { caller, gateway, upstream };

struct Error {
    Kind kind = Kind::internal;
    Origin origin = Origin::gateway;
    std::string message;  // fit for the client: never a secret, never a path of this machine
    std::string detail;   // only for the operator's log
    std::string code;     // machine-readable code of the protocol or of the upstream; may be empty
    std::string param;    // the request field at fault; may be empty
    int upstream_status = 0;  // HTTP status the upstream answered with; 0 = none
    std::optional<std::chrono::seconds> retry_after;  // from now

    bool operator==(const Error&) const = default;
};

[[nodiscard]] std::string_view kind_name(Kind kind);
[[nodiscard]] std::string_view origin_name(Origin origin);

// Shorthands for the two commonest makers.
[[nodiscard]] inline Error caller_error(Kind kind, std::string message, std::string param = {}) {
    Error e;
    e.kind = kind;
    e.origin = Origin::caller;
    e.message = std::move(message);
    e.param = std::move(param);
    return e;
}
[[nodiscard]] inline Error gateway_error(Kind kind, std::string message, std::string detail = {}) {
    Error e;
    e.kind = kind;
    e.message = std::move(message);
    e.detail = std::move(detail);
    return e;
}
[[nodiscard]] inline Error upstream_error(Kind kind, std::string message, std::string detail = {}) {
    Error e;
    e.kind = kind;
    e.origin = Origin::upstream;
    e.message = std::move(message);
    e.detail = std::move(detail);
    return e;
}

}  // namespace belay
