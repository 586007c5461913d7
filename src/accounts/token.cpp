#include "accounts/token.h"

#include <algorithm>
#include <cstdio>
#include <ctime>

#include "wire/json.h"

namespace belay::accounts {
namespace {

// "Tue, 24 Nov 2026 21:35:01 GMT" in unix seconds; nullopt when it is none.
std::optional<int64_t> parse_http_date(std::string_view text) {
    const std::string copy(text.substr(0, 40));
    std::tm tm{};
    const char* end = strptime(copy.c_str(), "%a, %d %b %Y %H:%M:%S GMT", &tm);
    if (end == nullptr || *end != '\0') {
        return std::nullopt;
    }
    return static_cast<int64_t>(timegm(&tm));
}

std::optional<seconds> parse_retry_after(std::string_view text, Wall now) {
    if (text.empty() || text.size() > 40) {
        return std::nullopt;
    }
    if (text.find_first_not_of("0123456789") == std::string_view::npos) {
        return seconds(text.size() > 9 ? 3600 : std::stoll(std::string(text)));
    }
    if (const auto date = parse_http_date(text)) {
        return seconds(std::max<int64_t>(0, *date - unix_seconds(now)));
    }
    return std::nullopt;
}

// One `key=value` of the token string; it is opaque but for a few peeks.
std::string_view token_field(std::string_view token, std::string_view key) {
    while (!token.empty()) {
        const size_t end = token.find(';');
        const std::string_view pair = token.substr(0, end);
        if (pair.size() > key.size() && pair.starts_with(key) && pair[key.size()] == '=') {
            return pair.substr(key.size() + 1);
        }
        token = end == std::string_view::npos ? std::string_view() : token.substr(end + 1);
    }
    return {};
}

// Without `endpoints` the proxy's name tells the host: proxy.individual.… -> api.individual.…
std::string base_from_token(std::string_view token) {
    const std::string_view proxy = token_field(token, "proxy-ep");
    if (!proxy.starts_with("proxy.")) {
        return {};
    }
    return "https://api." + std::string(proxy.substr(6));
}

bool is_token(std::string_view token) {
    return !token.empty() && token.size() <= 16384 &&
           std::all_of(token.begin(), token.end(), [](char c) { return c >= 0x20 && c < 0x7f; });
}

std::optional<ExchangedToken> read_token(const json::Value& v) {
    const std::string_view token = v["token"].as_string();
    if (!is_token(token)) {
        return std::nullopt;
    }
    ExchangedToken t;
    t.token = Secret(std::string(token));
    t.api_base = v["endpoints"]["api"].as_string();
    if (t.api_base.empty()) {
        t.api_base = base_from_token(token);
    }
    t.sku = v["sku"].as_string(token_field(token, "sku"));
    const json::Value& notice = v["user_notification"];
    t.notice = notice["message"].as_string(notice["title"].as_string());
    t.expires_at = v["expires_at"].as_int().value_or(0);
    return t;
}

Problem transient(std::string id, std::string text, std::optional<seconds> retry_after = {}) {
    Problem p;
    p.what = Problem::What::transient;
    p.id = std::move(id);
    p.title = "GitHub cannot be reached right now";
    p.text = std::move(text);
    p.retry_after = retry_after;
    return p;
}

Problem describe_forbidden(const json::Value& v, std::optional<seconds> retry_after) {
    const json::Value& details = v["error_details"];
    if (details.is_object()) {
        Problem p = describe_refusal(
            details["notification_id"].as_string(), details["title"].as_string(),
            details["message"].as_string(v["message"].as_string()), details["url"].as_string());
        if (v["can_signup_for_limited"].as_bool() && p.id == "not_signed_up") {
            p.text += " You can activate Copilot Free first.";
        }
        return p;
    }
    const std::string_view message = v["message"].as_string();
    if (message.find("rate limit") != std::string_view::npos) {
        Problem p = transient("rate_limited", "GitHub limits how often this account may ask.",
                              retry_after.value_or(seconds(60)));
        p.title = "GitHub asks for a pause";
        return p;
    }
    return describe_refusal("forbidden", {}, message, {});
}

struct Refusal {
    std::string_view id;
    std::string_view title;
    std::string_view text;
    std::string_view url;
};

constexpr std::string_view kPlans = "https://github.com/features/copilot/plans";
constexpr std::string_view kSettings = "https://github.com/settings/copilot";
constexpr std::string_view kBilling = "https://github.com/settings/billing";
constexpr std::string_view kSupport = "https://support.github.com/contact";

// The ids that VS Code's Copilot extension knows (microsoft/vscode-copilot-chat, copilotToken.ts).
constexpr Refusal kRefusals[] = {
    {"no_copilot_access", "No Copilot access",
     "This account has no Copilot subscription and no seat from an organisation.", kPlans},
    {"not_signed_up", "Copilot is not activated", "This account has never activated Copilot.",
     kPlans},
    {"subscription_ended", "Your Copilot subscription has ended",
     "Renew it on GitHub; Belay continues by itself afterwards.", kSettings},
    {"enterprise_managed_user_account", "Managed account without a seat",
     "This account belongs to an enterprise. Its administrator assigns Copilot seats.", ""},
    {"feature_flag_blocked", "Turned off by your organisation",
     "Your organisation's policy does not allow Copilot in this kind of client. Ask its "
     "administrator, or choose another profile.",
     kSettings},
    {"spammy_user", "GitHub has restricted this account",
     "GitHub has flagged the account for unusual activity. Only GitHub Support can lift that.",
     kSupport},
    {"billing_locked", "Billing is locked",
     "A payment failed or billing is locked. Settle it on GitHub.", kBilling},
    {"trade_restricted", "Not available in your region",
     "Trade rules keep GitHub from offering Copilot to this account.", kSupport},
    {"trade_restricted_country", "Not available in your country",
     "Trade rules keep GitHub from offering Copilot there.", kSupport},
    {"codespaces_demo_inactive", "The Codespaces demo is over",
     "This account had Copilot through a Codespaces demo that has ended.", kPlans},
    {"snippy_not_configured", "One setting is missing",
     "Decide on GitHub whether suggestions may match public code, then sign in again.", kSettings},
    {"expired_coupon", "The coupon has expired", "Copilot was paid by a coupon that has run out.",
     kSettings},
    {"revoked_coupon", "The coupon was withdrawn",
     "Copilot was paid by a coupon that was withdrawn.", kSettings},
    {"go_http_client", "GitHub refuses this client",
     "GitHub took the request for an automated client. Check the profile's headers.", ""},
    {"programmatic_token_generation", "GitHub refuses this client",
     "GitHub took the sign-in for an automated one. Check the profile's headers and sign in again.",
     ""},
    {"access_revoked", "Access was withdrawn",
     "Your organisation or GitHub has withdrawn Copilot from this account.", kSettings},
};

}  // namespace

Problem describe_refusal(std::string_view id, std::string_view title, std::string_view text,
                         std::string_view url) {
    Problem p;
    p.what = Problem::What::refused;
    p.id = id.substr(0, 60);
    if (id == "server_error") {
        return transient("server_error", "GitHub has trouble of its own.");
    }
    for (const Refusal& known : kRefusals) {
        if (known.id == id) {
            p.title = known.title;
            p.text = known.text;
            p.url = known.url;
            return p;
        }
    }
    p.title =
        title.empty() ? "GitHub does not allow Copilot for this account" : title.substr(0, 120);
    p.text = text.empty() ? "GitHub gave no reason." : text.substr(0, 300);
    // Only a page of GitHub is ever linked.
    if (url.starts_with("https://github.com/") || url.starts_with("https://docs.github.com/") ||
        url.starts_with("https://support.github.com/")) {
        p.url = url.substr(0, 300);
    }
    return p;
}

ExchangeAnswer parse_exchange(int status, std::string_view body, std::string_view server_date,
                              std::string_view retry_after, Wall now) {
    ExchangeAnswer answer;
    const auto wait = parse_retry_after(retry_after, now);
    const auto parsed = json::parse(body);
    const json::Value v = parsed.ok() ? parsed.value() : json::Value();
    if (status == 401) {
        answer.problem.what = Problem::What::needs_login;
        answer.problem.id = "bad_credentials";
        answer.problem.title = "Please sign in again";
        answer.problem.text =
            "GitHub no longer accepts the stored sign-in. It was revoked or has run out.";
    } else if (status == 404) {
        answer.problem.what = Problem::What::no_exchange;
        answer.problem.id = "no_exchange";
        answer.problem.title = "No token exchange for this app";
        answer.problem.text = "GitHub offers this app no Copilot token; its own token is used.";
    } else if (status == 403 && v.is_object()) {
        answer.problem = describe_forbidden(v, wait);
    } else if (status == 429) {
        answer.problem = transient("rate_limited", "GitHub asks for a pause.", wait);
    } else if (status != 200) {
        answer.problem =
            transient("http_" + std::to_string(status),
                      "GitHub answered with status " + std::to_string(status) + ".", wait);
    } else if (auto token = read_token(v)) {
        // The life: what GitHub suggests, never the difference of two clocks, unless nothing better
        // is said. The server's own Date makes that difference exact.
        const int64_t refresh_in = v["refresh_in"].as_int().value_or(0);
        const auto date = parse_http_date(server_date);
        const int64_t left = token->expires_at - date.value_or(unix_seconds(now));
        const bool sane = refresh_in > 0 && refresh_in <= kLifeMax.count();
        if (token->expires_at > 0 && left <= 0 && (date || !sane)) {
            answer.problem = transient("expired_token", "GitHub sent a token that has expired.");
            return answer;
        }
        const int64_t life = sane ? refresh_in + 60 : left;
        token->life = std::clamp(seconds(life), kLifeMin, kLifeMax);
        answer.token = std::move(token);
    } else {
        answer.problem = transient("malformed", "GitHub's answer holds no token.");
    }
    return answer;
}

std::optional<ExchangedToken> parse_stored_token(std::string_view body, Wall now) {
    const auto parsed = json::parse(body);
    if (!parsed.ok()) {
        return std::nullopt;
    }
    auto token = read_token(parsed.value());
    if (!token) {
        return std::nullopt;
    }
    const int64_t left = token->expires_at - unix_seconds(now);
    if (left <= kLifeMin.count()) {
        return std::nullopt;
    }
    token->life = std::min(seconds(left), kLifeMax);
    return token;
}

Mono plan_refresh(Mono now, seconds life, double jitter) {
    const milliseconds whole(life);
    const milliseconds early = std::min<milliseconds>(whole / 5, std::chrono::minutes(5));
    const milliseconds more(static_cast<int64_t>(static_cast<double>(early.count()) * jitter / 4));
    return now + whole - early - more;
}

milliseconds plan_backoff(uint32_t failures, std::optional<seconds> retry_after, double jitter) {
    const uint32_t doublings = std::min(failures > 0 ? failures - 1 : 0u, 4u);
    milliseconds wait =
        std::min<milliseconds>(seconds(30) * (1u << doublings), std::chrono::minutes(5));
    if (retry_after) {
        wait = std::max<milliseconds>(wait, std::min(*retry_after, seconds(3600)));
    }
    return wait +
           milliseconds(static_cast<int64_t>(static_cast<double>(wait.count()) * jitter / 5));
}

}  // namespace belay::accounts
