#pragma once
// The token exchange: GET /copilot_internal/v2/token. What the reply means, how long the token
// lives by the local clock, when to fetch the next one, and what to tell a person when GitHub says
// no. Pure.
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/error.h"
#include "base/secret.h"

namespace belay::accounts {

// Why an account cannot be used, in words for a person.
struct Problem {
    enum class What : uint8_t {
        none,
        needs_login,  // the GitHub token is dead
        refused,      // the account has no (usable) Copilot
        no_exchange,  // 404: this app speaks to the API directly
        transient,    // network, 5xx, rate limit: keep what we have
    };
    What what = What::none;
    std::string id;     // GitHub's notification_id, or ours
    std::string title;  // "No Copilot subscription"
    std::string text;   // one or two sentences with the way out
    std::string url;    // a page of github.com that helps; "" when there is none
    std::optional<seconds> retry_after;

    bool operator==(const Problem&) const = default;
};

struct ExchangedToken {
    Secret token;
    std::string api_base;  // announced (endpoints.api, else from proxy-ep); not yet checked
    std::string sku;
    std::string notice;  // user_notification of a good reply: "your trial ends soon"
    seconds life{0};     // by the local clock, within 60 s..24 h
    int64_t expires_at = 0;
};

struct ExchangeAnswer {
    std::optional<ExchangedToken> token;
    Problem problem;  // what == none exactly when there is a token
};

// `server_date` is the reply's Date header ("" when absent): with it a wrong local clock is
// harmless.
[[nodiscard]] ExchangeAnswer parse_exchange(int status, std::string_view body,
                                            std::string_view server_date,
                                            std::string_view retry_after, Wall now);

// What is left of a token that was stored earlier (api-key.json); 0 when it is dead or nearly so.
[[nodiscard]] std::optional<ExchangedToken> parse_stored_token(std::string_view body, Wall now);

// When to fetch the next token: 20 % of its life, at most 5 min, before the end, a little earlier
// by chance (`jitter` in [0, 1)) so that many instances do not come at once.
[[nodiscard]] Mono plan_refresh(Mono now, seconds life, double jitter);

// After the nth failure in a row: 30 s doubling to 5 min, plus up to 20 % by chance; never below
// what the upstream asked for (within an hour).
[[nodiscard]] milliseconds plan_backoff(uint32_t failures, std::optional<seconds> retry_after,
                                        double jitter);

// The words for the notification_id of an error reply; GitHub's own title and text fill the gaps.
[[nodiscard]] Problem describe_refusal(std::string_view id, std::string_view title,
                                       std::string_view text, std::string_view url);

inline constexpr seconds kLifeMin{60};
inline constexpr seconds kLifeMax{24 * 3600};

}  // namespace belay::accounts
