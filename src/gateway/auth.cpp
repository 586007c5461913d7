#include "gateway/auth.h"

#include "base/ids.h"
#include "base/log.h"
#include "wire/json.h"
#include "wire/url.h"

namespace belay::gateway {
namespace {

std::string_view strip_bearer(std::string_view value) {
    if (value.size() > 7 && http::iequals(value.substr(0, 7), "bearer ")) {
        value.remove_prefix(7);
        while (!value.empty() && value.front() == ' ') {
            value.remove_prefix(1);
        }
    }
    return value;
}

std::string_view last(std::string_view text, size_t n) {
    return text.size() <= n ? text : text.substr(text.size() - n);
}

// "localhost:4000" → "localhost"; "[::1]:4000" → "::1".
std::string_view host_name(std::string_view header) {
    if (!header.empty() && header.front() == '[') {
        const size_t end = header.find(']');
        return end == std::string_view::npos ? std::string_view() : header.substr(1, end - 1);
    }
    return header.substr(0, header.find(':'));
}

bool is_address(std::string_view host) {
    return host.find(':') != std::string_view::npos ||
           (!host.empty() && host.find_first_not_of("0123456789.") == std::string_view::npos);
}

bool contains(const std::vector<std::string>& list, std::string_view what) {
    for (const auto& item : list) {
        if (http::iequals(item, what)) {
            return true;
        }
    }
    return false;
}

}  // namespace

PresentedKey find_key(const http::Head& head, std::string_view key_header, std::string_view query) {
    if (!key_header.empty()) {
        if (const auto value = head.header(key_header); !value.empty()) {
            return {strip_bearer(value)};
        }
    }
    // One pass over the headers; the earliest place in LiteLLM's order wins.
    static constexpr std::string_view kPlaces[] = {
        "x-litellm-api-key", "authorization",  "api-key",
        "x-api-key",         "x-goog-api-key", "ocp-apim-subscription-key"};
    size_t best = std::size(kPlaces);
    std::string_view value;
    constexpr uint32_t kSizes = 1 << 17 | 1 << 13 | 1 << 7 | 1 << 9 | 1 << 14 | 1 << 25;
    for (const auto& h : head.headers) {
        if (h.name.size() >= 32 || (kSizes >> h.name.size() & 1) == 0) {
            continue;
        }
        for (size_t i = 0; i < best; ++i) {
            if (h.name.size() == kPlaces[i].size() && !h.value.empty() &&
                (h.name[0] | 0x20) == kPlaces[i][0] && http::iequals(h.name, kPlaces[i])) {
                best = i;
                value = h.value;
                break;
            }
        }
    }
    if (best == 1) {
        const auto key = strip_bearer(value);
        return {key, key.size() == value.size()};
    }
    if (best < std::size(kPlaces)) {
        return {strip_bearer(value)};
    }
    if (head.target.starts_with("/v1beta/") && !query.empty()) {
        const size_t at = query.find("key=");
        if (at == 0 || (at != std::string_view::npos && query[at - 1] == '&')) {
            auto key = query.substr(at + 4);
            return {key.substr(0, key.find('&'))};
        }
    }
    return {};
}

SessionKey find_session(const http::Head& head) {
    SessionKey session;
    for (std::string_view rest = head.header("cookie"); !rest.empty();) {
        const size_t end = std::min(rest.find(';'), rest.size());
        std::string_view pair = rest.substr(0, end);
        pair.remove_prefix(std::min(pair.find_first_not_of(' '), pair.size()));
        if (pair.starts_with("token=sk-")) {
            session.key = pair.substr(6);
            break;
        }
        rest.remove_prefix(std::min(end + 1, rest.size()));
    }
    if (session.key.empty()) {
        return session;
    }
    const std::string_view site = head.header("sec-fetch-site");
    if (head.method == "GET" || head.method == "HEAD") {
        session.foreign = site == "cross-site";
    } else if (!site.empty()) {
        session.foreign = site != "same-origin";
    } else {
        std::string_view origin = head.header("origin");
        const size_t scheme = origin.find("://");
        origin.remove_prefix(scheme == std::string_view::npos ? origin.size() : scheme + 3);
        session.foreign = origin.empty() || origin != head.header("host");
    }
    return session;
}

std::optional<std::string> check_key(const PresentedKey& presented, const Snapshot& snapshot) {
    const auto refuse = [](std::string_view message, std::string_view type,
                           std::string_view param) {
        return error_envelope("Authentication Error, " + std::string(message), type, param, "401");
    };
    if (presented.malformed) {
        return refuse("Malformed API Key passed in. Ensure Key has `Bearer ` prefix.", "auth_error",
                      {});
    }
    const std::string_view key = presented.key;
    if (key.empty()) {
        return refuse("No api key passed in.", "auth_error", {});
    }
    if (snapshot.master_key.equals(key)) {
        return std::nullopt;
    }
    if (!key.starts_with("sk-")) {
        const std::string shown =
            key.size() < 12 ? "****"
                            : std::string(key.substr(0, 4)) + "****" + std::string(last(key, 4));
        return refuse("LiteLLM Virtual Key expected. Received=" + log::scrub(shown) +
                          ", expected to start with 'sk-'.",
                      "auth_error", {});
    }
    return refuse("Invalid proxy server token passed. Received API Key = sk-..." +
                      std::string(key.size() < 12 ? "" : last(key, 4)) +
                      ", Key Hash (Token) =" + sha256_hex(key) +
                      ". Unable to find token in cache or `LiteLLM_VerificationTokenTable`",
                  "token_not_found_in_db", "key");
}

bool host_allowed(std::string_view host_header, const std::vector<std::string>& allowed) {
    const std::string_view host = host_name(host_header);
    if (host.empty()) {
        return false;
    }
    return is_address(host) || host.find('.') == std::string_view::npos ||
           host.ends_with(".localhost") || contains(allowed, host) ||
           contains(allowed, host_header);
}

std::optional<Foreign> check_browser(const http::Head& head,
                                     const std::vector<std::string>& allowed_hosts,
                                     const std::vector<std::string>& allowed_origins) {
    // One pass for both; the first of each, as Head::header() gives.
    std::string_view host;
    std::string_view origin;
    for (const auto& h : head.headers) {
        if (h.name.size() == 4 && host.empty() && http::iequals(h.name, "host")) {
            host = h.value;
        } else if (h.name.size() == 6 && (h.name[0] | 0x20) == 'o' && origin.empty() &&
                   http::iequals(h.name, "origin")) {
            origin = h.value;
        }
    }
    if (!host.empty() && !host_allowed(host, allowed_hosts)) {
        return Foreign{421, "This gateway does not serve the host '" +
                                std::string(host_name(host)) +
                                "'. Use localhost or an IP address, or set "
                                "BELAY_ALLOWED_HOSTS to a list that has it"};
    }
    if (origin.empty()) {
        return std::nullopt;
    }
    if (contains(allowed_origins, origin)) {
        return std::nullopt;
    }
    const bool web = origin.starts_with("http://") || origin.starts_with("https://");
    if (!web && origin != "null") {
        return std::nullopt;  // an application's own scheme: no web page can claim it
    }
    if (web && origin.substr(origin.find("//") + 2) == host) {
        return std::nullopt;
    }
    return Foreign{403, "Requests from the web page " + std::string(origin.substr(0, 128)) +
                            " are refused. If it is yours, set "
                            "BELAY_ALLOWED_ORIGINS to a list that has it"};
}

std::string error_envelope(std::string_view message, std::string_view type, std::string_view param,
                           std::string_view code) {
    std::string out = R"({"error":{"message":)";
    json::write_string(out, message);
    out += R"(,"type":)";
    json::write_string(out, type);
    out += R"(,"param":)";
    if (param.empty()) {
        out += "null";
    } else {
        json::write_string(out, param);
    }
    out += R"(,"code":)";
    json::write_string(out, code);
    out += "}}";
    return out;
}

}  // namespace belay::gateway
