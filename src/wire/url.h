#pragma once
// URLs: the parts an HTTP client and a router need. Strict: http and https only, no user info, no
// fragment, host is a name, an IPv4 or a bracketed IPv6 in its plain spelling (no octal, no
// integers).
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"

namespace belay {

struct Url {
    bool tls = false;
    std::string host;   // lower case; IPv6 without brackets
    uint16_t port = 0;  // always set (80, 443 by default)
    std::string path;   // begins with '/' (or empty when the URL had none)
    std::string query;  // without '?'

    bool operator==(const Url&) const = default;
    [[nodiscard]] std::string host_header() const;  // host[:port], port left out when default
    [[nodiscard]] std::string origin() const;       // scheme://host[:port]
    [[nodiscard]] std::string target() const;       // path?query, "/" at least
};

[[nodiscard]] Result<Url> parse_url(std::string_view text);
// base + "/" + path without doubling the slash; the base's query is kept out.
[[nodiscard]] Url join(const Url& base, std::string_view path);

// A request target that a router may trust: percent-decoded segments would not change its meaning.
// Refuses "//", "/./", "/../", encoded '.', '\\', NUL, ';' parameters, control bytes.
[[nodiscard]] Result<std::string_view> safe_path(std::string_view target);  // path part of target
[[nodiscard]] std::string percent_decode(std::string_view text);            // '+' is kept
[[nodiscard]] std::string percent_encode(std::string_view text);  // RFC 3986 unreserved kept
// The decoded value of the first `name` in a query string; "" when absent. '+' means space.
[[nodiscard]] std::string query_value(std::string_view query, std::string_view name);
[[nodiscard]] std::vector<std::pair<std::string, std::string>> parse_form(std::string_view text);
[[nodiscard]] bool is_loopback_host(std::string_view host);  // localhost, *.localhost, 127/8, ::1

}  // namespace belay
