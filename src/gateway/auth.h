#pragma once
// Who calls: finds the key in all the places LiteLLM's clients put it, and judges it. Also the
// guard that keeps foreign web pages out: Host against DNS rebinding, Origin against cross-site
// requests. Pure.
#include <optional>
#include <string>
#include <string_view>

#include "gateway/snapshot.h"
#include "wire/http.h"

namespace belay::gateway {

// The caller's key in LiteLLM's order of places; "" when none is given.
struct PresentedKey {
    std::string_view key;
    bool malformed = false;  // an Authorization header that is no Bearer
};
[[nodiscard]] PresentedKey find_key(const http::Head& head, std::string_view key_header,
                                    std::string_view query);

// The key of a browser's session: the cookie that /login sets ("token", as LiteLLM names it). The
// browser sends it by itself, so whatever changes something must come from this gateway's own page:
// by Sec-Fetch-Site, or by Origin where a browser does not say that.
struct SessionKey {
    std::string_view key;  // "" = there is none
    bool foreign = false;  // there is one, but another page sends it
};
[[nodiscard]] SessionKey find_session(const http::Head& head);
// The team whose keys are sessions, and no other key counts as one.
inline constexpr std::string_view kSessionTeam = "litellm-dashboard";

// Nothing when the key is good, else the 401 body in LiteLLM's words.
[[nodiscard]] std::optional<std::string> check_key(const PresentedKey& presented,
                                                   const Snapshot& snapshot);

// Nothing when the request may come in, else why not (a status and a message for people).
struct Foreign {
    int status = 403;
    std::string message;
};
[[nodiscard]] std::optional<Foreign> check_browser(const http::Head& head,
                                                   const std::vector<std::string>& allowed_hosts,
                                                   const std::vector<std::string>& allowed_origins);

// True when a page of that Host may be served at all: an IP address, localhost, a name without dots
// (a container's), or a configured one. Names with dots could be an attacker's.
[[nodiscard]] bool host_allowed(std::string_view host_header,
                                const std::vector<std::string>& allowed);

// {"error":{"message","type","param","code"}}; an empty `param` is null.
[[nodiscard]] std::string error_envelope(std::string_view message, std::string_view type,
                                         std::string_view param, std::string_view code);

}  // namespace belay::gateway
